#include "store/csv_loader.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "collections/categories.hpp"
#include "collections/collection.hpp"
#include "collections/entries.hpp"
#include "collections/records.hpp"
#include "collections/slabs.hpp"
#include "csv/csv_file.hpp"
#include "csv/workers.hpp"
#include "index/append_sorted.hpp"
#include "index/lookaside.hpp"
#include "persist/checkpoint.hpp"
#include "persist/recovery.hpp"
#include "store/csv_source.hpp"
#include "store/key_sort.hpp"
#include "store/store_impl.hpp"

namespace kv {
namespace {

// Room left in the journal when a step of many insertions is committed.
constexpr std::size_t kStepRoom = 1024;

// A hidden collection, dropped unless it was published.
class HiddenCollection {
 public:
  HiddenCollection(Catalog& catalog, Arena& arena, const Schema& schema)
      : HiddenCollection(catalog, arena, catalog.open_hidden(schema.encode())) {}
  HiddenCollection(const HiddenCollection&) = delete;
  HiddenCollection& operator=(const HiddenCollection&) = delete;
  ~HiddenCollection() {
    if (name_.empty()) return;
    const Part::PatientScope patient;
    catalog_.drop(name_);
  }

  // In a store with files, the contents are on disk before the name says that they are there.
  void publish(const std::string& name, persist::DurableLog* log, const std::string& source) {
    if (log == nullptr) {
      catalog_.publish(name_, name, 0, source);
      name_.clear();
      return;
    }
    WriteBatch batch(log);
    {
      const persist::DurableLog::FilesLock files(*log);
      const std::uint64_t number = files.next_number();
      persist::write_load(*log, number, record_);
      catalog_.publish(name_, name, number, source);
      name_.clear();
    }
    batch.settle_all();
  }

  [[nodiscard]] Part& part() const noexcept { return *part_; }
  // Nobody else knows this collection, so its root stays where it is.
  [[nodiscard]] CollectionRoot& root(Transaction& txn) const { return *find_root(txn, record_.binding); }

 private:
  HiddenCollection(Catalog& catalog, Arena& arena, std::pair<std::string, CatalogRecord> opened)
      : catalog_(catalog),
        name_(std::move(opened.first)),
        record_(opened.second),
        part_(&arena.part(record_.home_part)) {}

  Catalog& catalog_;
  std::string name_;
  CatalogRecord record_;
  Part* part_;
};

class Loader {
 public:
  Loader(Store& store, const CsvOptions& options)
      : options_(options),
        file_(options),
        arena_(*store.impl().arena),
        catalog_(store.impl().catalog),
        workers_(options.threads) {
    Catalog::check_name(options.into);
  }

  CsvReport run(const CsvProgress& progress) {
    const auto start = std::chrono::steady_clock::now();
    CsvReport report;
    const std::string before = persist::log_of(arena_) != nullptr ? describe_csv(options_) : std::string();
    file_.infer(progress);
    HiddenCollection target(catalog_, arena_, file_.schema());
    add_categories(target);
    reserve_rows(target);
    report.filtered = read_rows(target, progress);
    sort();
    report.rows = build_index(target);
    report.duplicates = dropped_rows_.size();
    free_rest(target);
    target.publish(options_.into, persist::log_of(arena_), source_of_file(before));
    report.bytes = file_.bytes();
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    report.schema = file_.schema();
    return report;
  }

 private:
  // Kept only by a store that outlives the process, and only if the file did not change while it was read.
  [[nodiscard]] std::string source_of_file(const std::string& before) const {
    return !before.empty() && is_same_csv(options_, before) ? before : std::string();
  }

  struct ThreadRows {
    std::vector<RowKey> keys;
    std::deque<std::string> key_bytes;  // what they point into
  };

  void add_categories(const HiddenCollection& target) {
    const auto& columns = file_.schema().columns();
    for (std::size_t column = 0; column < columns.size(); ++column) {
      const std::uint64_t missing = columns[column].missing_category();
      for (const std::string& text : file_.categories()[column]) {
        Transaction txn(target.part());
        static_cast<void>(categories::code(txn, target.root(txn), column, columns.size(), text, missing));
        txn.commit();
      }
    }
  }

  // One slab for all rows of the file. Filled without the lock: nobody else knows it.
  void reserve_rows(const HiddenCollection& target) {
    reserved_ = file_.rows();
    lines_.resize(reserved_);
    if (reserved_ == 0) return;
    if (reserved_ > std::numeric_limits<std::uint32_t>::max()) {
      throw Error(ErrorCode::kOverCapacity, "'" + options_.path + "' has more than 4 billion rows");
    }
    Transaction txn(target.part());
    first_ = slabs::reserve(txn, target.root(txn), static_cast<std::uint32_t>(reserved_));
    txn.commit();
  }

  [[nodiscard]] RecordRef record_at(std::uint32_t row) const noexcept {
    return {Part::offset_ref(first_.record, std::size_t{row} * file_.schema().record_bytes()), first_.slab};
  }

  std::uint64_t read_rows(const HiddenCollection& target, const CsvProgress& progress) {
    threads_.resize(file_.threads());
    std::atomic<std::uint32_t> next_row{0};
    std::byte* const records = target.part().slice() + std::uint64_t{first_.record} * kGranule;
    const std::uint64_t filtered = file_.parse(
        [&](unsigned thread, csv::CsvBatch&& batch) {
          const std::uint32_t first = next_row.fetch_add(static_cast<std::uint32_t>(batch.rows));
          copy_in(records + std::size_t{first} * batch.record_bytes, batch.records.data(),
                  batch.rows * batch.record_bytes);
          ThreadRows& mine = threads_[thread];
          const char* const bytes = mine.key_bytes.emplace_back(std::move(batch.keys)).data();
          std::uint32_t begin = 0;
          for (std::uint32_t i = 0; i < batch.rows; ++i) {
            mine.keys.push_back({bytes + begin, batch.key_ends[i] - begin, first + i});
            lines_[first + i] = batch.lines[i];
            begin = batch.key_ends[i];
          }
        },
        progress);
    rows_ = next_row.load();
    return filtered;
  }

  void sort() {
    workers_.run(threads_.size(), {}, [&](unsigned, std::size_t i, const csv::Stop&) { sort_keys(threads_[i].keys); });
  }

  [[nodiscard]] Error duplicate(const RowKey& a, const RowKey& b) const {
    const auto [first, second] = std::minmax(lines_[a.row], lines_[b.row]);
    return Error::at(options_.path, second, 0,
                     "the key '" + std::string(a.view()) + "' stands already in line " + std::to_string(first) +
                         "; set on_duplicate to 'first' or 'last', or make the key longer");
  }

  // Of the rows with one key, the one to keep.
  [[nodiscard]] RowKey settle(const RowKey& a, const RowKey& b) {
    if (options_.on_duplicate == OnDuplicate::kError) throw duplicate(a, b);
    const bool a_first = lines_[a.row] < lines_[b.row];
    const bool keep_a = a_first == (options_.on_duplicate == OnDuplicate::kFirst);
    dropped_rows_.push_back(keep_a ? b.row : a.row);
    return keep_a ? a : b;
  }

  // The keys come in ascending order and are appended to the index, as many in a step as the journal has room for.
  std::uint64_t build_index(const HiddenCollection& target) {
    std::vector<std::span<const RowKey>> runs;
    runs.reserve(threads_.size());
    for (const ThreadRows& rows : threads_) runs.emplace_back(rows.keys);
    RunMerger merged(std::move(runs));
    {
      Transaction txn(target.part());
      resize_lookaside(txn, &target.root(txn).lookaside, rows_);
    }
    std::uint64_t inserted = 0;
    for (const RowKey* next = merged.next(); next != nullptr;) {
      Transaction txn(target.part());
      CollectionRoot& root = target.root(txn);
      const Lookaside table(txn.part(), root.lookaside);
      std::vector<std::pair<std::uint64_t, Ref>> added;
      BlockSupply blocks(txn);
      SortedAppender appender(blocks, &root.index);
      while (next != nullptr && txn.journal_room() >= appender.journal_needed()) {
        RowKey row = *next;
        while ((next = merged.next()) != nullptr && next->view() == row.view()) row = settle(row, *next);
        const Ref entry = make_entry(blocks, row.view(), record_value(record_at(row.row)));
        appender.add(entry);
        added.emplace_back(hash_key(row.view(), arena_.header().hash_seed), entry);
        table.prefetch(added.back().first);
      }
      inserted += added.size();
      appender.finish();
      blocks.settle();
      txn.store64(&root.entries, inserted);
      txn.commit();
      for (const auto& [hash, entry] : added) table.insert(hash, entry);
    }
    return inserted;
  }

  // The slots of rows that were filtered or dropped, from the last one down.
  void free_rest(const HiddenCollection& target) {
    Transaction txn(target.part());
    CollectionRoot& root = target.root(txn);
    const auto free_row = [&](std::uint32_t row) {
      slabs::free(txn, root, record_at(row));
      if (txn.journal_room() < kStepRoom) txn.commit();
    };
    for (const std::uint32_t row : dropped_rows_) free_row(row);
    for (std::uint64_t row = rows_; row < reserved_; ++row) free_row(static_cast<std::uint32_t>(row));
    txn.commit();
  }

  const CsvOptions& options_;
  csv::CsvFile file_;
  Arena& arena_;
  Catalog& catalog_;
  csv::Workers workers_;
  RecordRef first_{};
  std::uint64_t reserved_ = 0;
  std::uint64_t rows_ = 0;
  std::vector<std::uint64_t> lines_;  // by row
  std::vector<ThreadRows> threads_;
  std::vector<std::uint32_t> dropped_rows_;
};

}  // namespace

CsvReport load_csv(Store& store, const CsvOptions& options, const CsvProgress& progress) {
  return Loader(store, options).run(progress);
}

}  // namespace kv
