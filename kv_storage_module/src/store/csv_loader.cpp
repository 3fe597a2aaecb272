#include "store/csv_loader.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
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
#include "store/key_partitions.hpp"
#include "store/row_lines.hpp"
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
    std::unique_ptr<HiddenCollection> hidden;
    std::optional<std::uint64_t> filtered;
    if (file_.guess(progress)) {
      prepare_target(hidden);
      filtered = read_rows(*hidden, [&](const csv::BatchSink& sink) { return file_.parse_guessed(sink, progress); });
    }
    if (!filtered) {
      prepare_target(hidden);
      filtered = read_rows(*hidden, [&](const csv::BatchSink& sink) { return file_.parse(sink, progress); });
    }
    const HiddenCollection& target = *hidden;
    report.filtered = filtered.value_or(0);
    finish_categories(target);
    report.rows = build_index(target);
    report.duplicates = dropped_rows_.size();
    free_rest(target);
    hidden->publish(options_.into, persist::log_of(arena_), source_of_file(before));
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

  // Keys in order, each once: with its row, after all rows with the same key have been settled, and its hash, which
  // becomes the word of the look-aside table as soon as the key has an entry.
  struct Prepared {
    SortedKeys sorted;
    std::vector<std::uint64_t> words;
    std::vector<std::uint32_t> dropped_rows;
  };

  // A collection with the schema that the file seems to have, and room for all its rows.
  void prepare_target(std::unique_ptr<HiddenCollection>& target) {
    target.reset();  // its memory first
    target = std::make_unique<HiddenCollection>(catalog_, arena_, file_.schema());
    reserve_rows(*target);
    lookaside_begun_.clear();
    lookaside_for_ = 0;
  }

  // The dictionaries, and codes for those that the rows got before all texts were known.
  void finish_categories(const HiddenCollection& target) {
    constexpr std::size_t kRowsAtATime = 64 * 1024;
    if (file_.needs_recoding()) {
      char* const records = reinterpret_cast<char*>(records_of(target));
      workers_.run((rows_ + kRowsAtATime - 1) / kRowsAtATime, {}, [&](unsigned, std::size_t i, const csv::Stop&) {
        const std::size_t first = i * kRowsAtATime;
        file_.recode(records + first * file_.schema().record_bytes(), std::min(kRowsAtATime, rows_ - first));
      });
    }
    const auto& columns = file_.schema().columns();
    Transaction txn(target.part());
    for (std::size_t column = 0; column < columns.size(); ++column) {
      const std::uint64_t missing = columns[column].missing_category();
      for (const std::string& text : file_.categories()[column]) {
        static_cast<void>(categories::code(txn, target.root(txn), column, columns.size(), text, missing));
        if (txn.journal_room() < kStepRoom) txn.commit();
      }
    }
    txn.commit();
  }

  // One slab for all rows of the file. Filled without the lock: nobody else knows it.
  void reserve_rows(const HiddenCollection& target) {
    reserved_ = file_.rows();
    lines_ = RowLines(file_.threads());
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

  [[nodiscard]] std::byte* records_of(const HiddenCollection& target) const noexcept {
    return target.part().slice() + std::uint64_t{first_.record} * kGranule;
  }

  template <class Parse>
  std::optional<std::uint64_t> read_rows(const HiddenCollection& target, const Parse& parse) {
    keys_ = std::make_unique<KeyPartitions>(file_.sample_keys(KeyPartitions::sample_for(reserved_)), reserved_,
                                            file_.threads());
    std::atomic<std::uint64_t> next_row{0};
    std::byte* const records = records_of(target);
    const std::optional<std::uint64_t> filtered = parse([&](unsigned thread, csv::CsvBatch&& batch) {
      const std::uint64_t first = next_row.fetch_add(batch.rows);
      if (first + batch.rows > reserved_) {
        throw Error::at(options_.path, 0, 0, "the file was changed while it was loaded; load it again");
      }
      copy_in(records + first * batch.record_bytes, batch.records.data(), batch.rows * batch.record_bytes);
      // Memory for the look-aside table takes one thread some time, in which the others go on.
      if (options_.where.empty() && !lookaside_begun_.test_and_set()) make_lookaside(target, reserved_);
      keys_->add(thread, batch.keys, batch.key_ends, static_cast<std::uint32_t>(first));
      lines_.add(thread, static_cast<std::uint32_t>(first), batch.lines);
    });
    rows_ = next_row.load();
    lines_.settle();
    return filtered;
  }

  [[nodiscard]] Error duplicate(ByteView key, std::uint32_t first, std::uint32_t second) const {
    return Error::at(options_.path, lines_.line(second), 0,
                     "the key '" + std::string(key) + "' stands already in line " + std::to_string(lines_.line(first)) +
                         "; set on_duplicate to 'first' or 'last', or make the key longer");
  }

  // The keys of a partition in order, each once. Run by several threads for different partitions.
  [[nodiscard]] Prepared prepare(std::size_t partition, KeySorter& sorter) {
    Prepared prepared{.sorted = keys_->take(partition, sorter), .words = {}, .dropped_rows = {}};
    std::vector<SortedKeys::Key>& keys = prepared.sorted.keys;
    prepared.words.reserve(keys.size());
    char* const begin = prepared.sorted.bytes.get();
    const char* from = begin;
    char* to = begin;  // dropped keys leave no gaps
    std::vector<std::uint32_t> rows;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < keys.size();) {
      const ByteView key{from, keys[i].size};
      rows.clear();
      do {
        rows.push_back(keys[i].row);
        from += key.size();
        ++i;
      } while (i < keys.size() && ByteView(from, keys[i].size) == key);
      const std::uint32_t row = rows.size() == 1 ? rows[0] : settle(key, rows, prepared.dropped_rows);
      prepared.words.push_back(hash_key(key, arena_.header().hash_seed));
      keys[kept++] = {keys[i - 1].size, row};
      if (to != key.data()) std::memmove(to, key.data(), key.size());
      to += key.size();
    }
    keys.resize(kept);
    return prepared;
  }

  // Of the rows with one key, the one to keep.
  [[nodiscard]] std::uint32_t settle(ByteView key, std::vector<std::uint32_t>& rows,
                                     std::vector<std::uint32_t>& dropped) const {
    std::sort(rows.begin(), rows.end(),
              [&](std::uint32_t a, std::uint32_t b) { return lines_.line(a) < lines_.line(b); });
    if (options_.on_duplicate == OnDuplicate::kError) throw duplicate(key, rows[0], rows[1]);
    const auto kept = options_.on_duplicate == OnDuplicate::kFirst ? rows.begin() : rows.end() - 1;
    const std::uint32_t row = *kept;
    rows.erase(kept);
    dropped.insert(dropped.end(), rows.begin(), rows.end());
    return row;
  }

  // Threads sort partitions of the keys, and fill the look-aside table with what has been appended meanwhile; this one
  // appends them to the index, one after the other.
  std::uint64_t build_index(const HiddenCollection& target) {
    if (!is_lookaside_for(rows_)) make_lookaside(target, rows_);
    const Lookaside lookaside(target.part(), lookaside_);
    std::vector<KeySorter> sorters(workers_.threads());
    std::vector<Prepared> prepared(keys_->count());
    workers_.run_in_order(
        prepared.size(), {},
        [&](unsigned thread, std::size_t i, const csv::Stop&) {
          insert_appended(lookaside);
          prepared[i] = prepare(i, sorters[thread]);
        },
        [&](std::size_t i) {
          Prepared keys = std::move(prepared[i]);
          append(target, keys);
          dropped_rows_.insert(dropped_rows_.end(), keys.dropped_rows.begin(), keys.dropped_rows.end());
          const std::lock_guard lock(appended_mutex_);
          appended_.push_back(std::move(keys.words));
        });
    insert_appended(lookaside);
    if (!is_lookaside_for(entries_)) make_lookaside(target, entries_);  // duplicates: it is mostly empty
    return entries_;
  }

  // As many in a step as the journal has room for.
  void append(const HiddenCollection& target, Prepared& prepared) {
    const std::vector<SortedKeys::Key>& keys = prepared.sorted.keys;
    const char* bytes = prepared.sorted.bytes.get();
    for (std::size_t next = 0; next < keys.size();) {
      Transaction txn(target.part());
      CollectionRoot& root = target.root(txn);
      BlockSupply blocks(txn);
      SortedAppender appender(blocks, &root.index);
      const std::size_t first = next;
      for (; next < keys.size() && txn.journal_room() >= appender.journal_needed(); ++next) {
        const SortedKeys::Key key = keys[next];
        const Ref entry = make_entry(blocks, {bytes, key.size}, record_value(record_at(key.row)));
        appender.add(entry);
        prepared.words[next] = Lookaside::word_of(prepared.words[next], entry);
        bytes += key.size;
      }
      appender.finish();
      blocks.settle();
      entries_ += next - first;
      txn.store64(&root.entries, entries_);
      txn.commit();
    }
  }

  // Without the lock: nobody else knows the table.
  void insert_appended(const Lookaside& lookaside) {
    std::vector<std::vector<std::uint64_t>> appended;
    {
      const std::lock_guard lock(appended_mutex_);
      appended.swap(appended_);
    }
    for (const std::vector<std::uint64_t>& words : appended) lookaside.insert_words(words);
  }

  // Whether there is a table, and not one much too large.
  [[nodiscard]] bool is_lookaside_for(std::uint64_t entries) const noexcept {
    constexpr std::size_t kSpareShare = 32;  // of a table made before it was known how many keys are duplicates
    return lookaside_for_ >= entries && lookaside_for_ - entries <= entries / kSpareShare;
  }

  // A table for so many entries, which keeps what is in it; none if there is no memory for it.
  void make_lookaside(const HiddenCollection& target, std::uint64_t entries) {
    const Part::PatientScope patient;  // it may be another thread that does this
    Transaction txn(target.part());
    CollectionRoot& root = target.root(txn);
    resize_lookaside(txn, &root.lookaside, entries);
    lookaside_ = root.lookaside;
    lookaside_for_ = entries;
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
  RowLines lines_{0};
  std::unique_ptr<KeyPartitions> keys_;
  std::uint64_t entries_ = 0;
  std::mutex appended_mutex_;
  std::vector<std::vector<std::uint64_t>> appended_;  // words that the look-aside table does not hold yet
  std::atomic_flag lookaside_begun_;
  Ref lookaside_ = kNullRef;
  std::uint64_t lookaside_for_ = 0;  // entries
  std::vector<std::uint32_t> dropped_rows_;
};

}  // namespace

CsvReport load_csv(Store& store, const CsvOptions& options, const CsvProgress& progress) {
  return Loader(store, options).run(progress);
}

}  // namespace kv
