#include "persist/checkpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "collections/categories.hpp"
#include "collections/records.hpp"
#include "collections/value_reader.hpp"
#include "index/cursor.hpp"
#include "index/key_index.hpp"
#include "kv_storage/error.hpp"
#include "memory/clock.hpp"
#include "persist/list_walk.hpp"
#include "persist/record_writer.hpp"

namespace kv::persist {
namespace {

constexpr std::size_t kPageBytesAtMost = 64 * 1024;  // of a page, but for its last entry
constexpr std::size_t kLargeValueBytes = 1 << 20;    // pinned instead of copied under the lock

using Stop = std::function<bool()>;

// Walks the collections of one part into a file.
class PartWalk {
 public:
  PartWalk(Part& part, RecordWriter& out, const Stop& stop) : part_(part), out_(out), stop_(stop) {}

  void write_list(Binding binding) {
    ListWalk walk(part_, out_, binding);
    while (walk.write_some()) {
      if (stop_()) throw Error(ErrorCode::kInterrupted, "the checkpoint was given up");
    }
    entries_ += walk.positions();
  }

  void write(Binding binding) {
    if (!begin(binding)) return;
    Cursor cursor(std::nullopt, std::nullopt, nullptr, false);
    std::string last_key;
    for (bool more = true; more;) {
      if (stop_()) throw Error(ErrorCode::kInterrupted, "the checkpoint was given up");
      const std::optional<std::size_t> taken = take_batch(binding, cursor, last_key);
      if (!taken) break;  // dropped
      more = cursor.advance(*taken, last_key);
      if (large_) write_large(binding);
      if (page_.size() >= kPageBytesAtMost) flush(binding);
    }
    flush(binding);
  }
  [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }

 private:
  struct LargeValue {
    Pin pin;
    std::string front;  // PageEntry, due time and key
  };

  // What is needed before the first entry. False = it is gone.
  bool begin(Binding binding) {
    std::uint64_t about = 0;
    std::uint32_t key_type = 0;
    std::vector<std::vector<std::string>> texts;
    {
      const Part::Lock lock(part_);
      const CollectionRoot* const root = find_root(std::as_const(part_), binding);
      if (root == nullptr) return false;
      about = root->entries;
      key_type = root->counted() ? root->key_type : 0;
      const std::size_t columns = categories::dictionaries(part_, *root).size();
      for (std::size_t column = 0; column < columns; ++column) {
        texts.push_back(categories::texts(part_, *root, column));
      }
    }
    const std::uint32_t serial = binding.serial;
    if (key_type != 0) {
      out_.write(LogKind::kKeyType, std::array{bytes_of(serial), bytes_of(key_type)});
    }
    for (std::uint32_t column = 0; column < texts.size(); ++column) {
      for (std::uint32_t code = 0; code < texts[column].size(); ++code) {
        const std::array<std::uint32_t, 3> words{serial, column, code};
        out_.write(LogKind::kCategory, std::array<ByteView, 2>{bytes_of(words), texts[column][code]});
      }
    }
    const std::array<std::uint32_t, 2> front{serial, 0};
    if (about != 0) out_.write(LogKind::kBegin, std::array{bytes_of(front), bytes_of(about)});
    return true;
  }

  // Copies the next entries into the page; how many were taken.
  std::optional<std::size_t> take_batch(Binding binding, Cursor& cursor, std::string& last_key) {
    Transaction txn(part_);
    const CollectionRoot* const root = find_root(std::as_const(part_), binding);
    if (root == nullptr) return std::nullopt;
    std::size_t taken = 0;
    for (const Ref entry : cursor.collect(part_, root->index, Cursor::kPageEntries, root->record_bytes == 0)) {
      if (page_.size() >= kPageBytesAtMost) break;
      const EntryHeader header = EntryHeader::load(txn.at(entry));
      const std::uint64_t due_ms = due_of_entry(part_, entry, header);
      const bool is_record = root->record_bytes != 0;
      const std::uint32_t value_bytes = is_record ? root->record_bytes : header.value_bytes;
      if (!is_record && value_bytes >= kLargeValueBytes) {
        if (taken > 0) break;
        pin_large(txn, entry, header, due_ms);
        last_key = key_of(part_, entry);
        return 1;
      }
      append_front(page_, header, value_bytes, due_ms, key_of(part_, entry));
      const Ref record = is_record ? record_of_entry(part_, entry).record : kNullRef;
      const std::byte* const value =
          is_record ? part_.slice() + std::uint64_t{record} * kGranule : entry_value(part_, entry);
      const std::size_t at = page_.size();
      page_.resize(at + value_bytes);
      copy_out(page_.data() + at, value, value_bytes);
      ++in_page_;
      ++taken;
      last_key = key_of(part_, entry);
    }
    return taken;
  }

  static void append_front(std::string& to, const EntryHeader& header, std::uint32_t value_bytes, std::uint64_t due_ms,
                           ByteView key) {
    const bool due = due_ms != kNeverDue;
    const PageEntry front{value_bytes, header.key_bytes,
                          static_cast<std::uint8_t>(static_cast<unsigned>(header.type) | (due ? kLoggedDue : 0U)), 0};
    to += bytes_of(front);
    if (due) to += bytes_of(due_ms);
    to += key;
  }

  void pin_large(Transaction& txn, Ref entry, const EntryHeader& header, std::uint64_t due_ms) {
    LargeValue large;
    append_front(large.front, header, header.value_bytes, due_ms, key_of(part_, entry));
    large.pin = pin_entry(txn, part_.arena().shared_from_this(), entry);
    txn.commit();
    large_ = std::move(large);
  }

  void write_large(Binding binding) {
    flush(binding);
    const std::array<std::uint32_t, 2> front{binding.serial, 1};
    out_.write(LogKind::kPage, std::array<ByteView, 3>{bytes_of(front), large_->front, large_->pin.bytes()});
    ++entries_;
    large_.reset();
  }

  void flush(Binding binding) {
    if (in_page_ == 0) return;
    const std::array<std::uint32_t, 2> front{binding.serial, in_page_};
    out_.write(LogKind::kPage, std::array<ByteView, 2>{bytes_of(front), page_});
    entries_ += in_page_;
    page_.clear();
    in_page_ = 0;
  }

  Part& part_;
  RecordWriter& out_;
  const Stop& stop_;
  std::string page_;
  std::uint32_t in_page_ = 0;
  std::uint64_t entries_ = 0;
  std::optional<LargeValue> large_;
};

// What of a part is written, and from where its log is read again.
struct PartStart {
  LogStart log;
  std::vector<Binding> collections;
  std::vector<Binding> lists;  // whose home the part is
};

// Writes the files of a checkpoint, one a part.
class PartFiles {
 public:
  PartFiles(Arena& arena, const CheckpointPlace& place, const Stop& stop) : arena_(arena), place_(place), stop_(stop) {}

  CheckpointFiles write() {
    written_.epoch.number = place_.epoch;
    for (std::uint32_t i = 0; i < arena_.part_count(); ++i) write_part(i);
    return std::move(written_);
  }

 private:
  void write_part(std::uint32_t index) {
    FileHeader header{};
    header.magic = kCheckpointMagic;
    header.part = index;
    header.epoch = place_.epoch;
    header.number = place_.number;
    RecordWriter out(place_.directory, place_.path, CheckpointName{place_.number, index}.text(), header);
    Part& part = arena_.part(index);
    const PartStart start = index == 0 ? start_with_names(out) : start_of(part);
    written_.epoch.logs.push_back(start.log);
    PartWalk walk(part, out, stop_);
    for (const Binding binding : start.collections) walk.write(binding);
    for (const Binding binding : start.lists) walk.write_list(binding);
    written_.bytes += out.finish(walk.entries());
    written_.entries += walk.entries();
  }

  // The names as of the instant at which part 0 begins.
  [[nodiscard]] PartStart start_with_names(RecordWriter& out) {
    Catalog catalog(arena_);
    PartStart start;
    std::vector<std::pair<std::string, CatalogRecord>> names;
    {
      const Part::Lock lock(arena_.part(0));
      names = catalog.all_locked();
      start = start_locked(arena_.part(0));
      written_.serial = arena_.header().next_serial;
    }
    for (const auto& [name, record] : names) {
      if (name.front() == '\0') continue;
      if (!is_durable(record.kind)) continue;
      const NameFront front{record.binding.serial,
                            static_cast<std::uint8_t>(record.kind),
                            0,
                            static_cast<std::uint16_t>(name.size()),
                            static_cast<std::uint32_t>(record.schema.size()),
                            static_cast<std::uint32_t>(record.source.size())};
      out.write(LogKind::kCreate, std::array<ByteView, 4>{bytes_of(front), name, record.schema, record.source});
    }
    return start;
  }

  [[nodiscard]] static PartStart start_of(const Part& part) {
    const Part::Lock lock(part);
    return start_locked(part);
  }
  [[nodiscard]] static PartStart start_locked(const Part& part) {
    const LogState& log = part.control().log;
    PartStart start{{std::max(log.segment, std::uint64_t{1}), log.tail}, {}, {}};
    for (std::uint64_t slot = 0; slot < slot_count(part); ++slot) {
      const Ref ref = root_in_slot(part, slot);
      if (ref == kNullRef) continue;
      const auto& root = *reinterpret_cast<const CollectionRoot*>(part.at(ref, sizeof(CollectionRoot)));
      const auto kind = static_cast<CollectionKind>(root.kind);
      const Binding binding{static_cast<std::uint32_t>(slot), root.serial};
      if (kind == CollectionKind::kList) {
        if (home_of(root.serial, part.arena().part_count()) == part.index()) start.lists.push_back(binding);
      } else if (is_durable(kind)) {
        start.collections.push_back(binding);
      }
    }
    return start;
  }

  Arena& arena_;
  const CheckpointPlace& place_;
  const Stop& stop_;
  CheckpointFiles written_;
};

class Checkpoint {
 public:
  Checkpoint(DurableLog& log, std::uint64_t number, const Stop& stop) : log_(log), number_(number), stop_(stop) {}

  void run() {
    Arena& arena = log_.arena();
    const CheckpointFiles written =
        write_parts(arena, {log_.directory(), log_.path(), log_.state().epoch, number_}, stop_);
    log_.flush();
    const Manifest manifest = manifest_of(arena, number_, load64(&log_.state().next_file), written, {written.epoch});
    must_sync_directory();
    installing_ = true;
    manifest.write(log_.directory(), log_.path());
    tell(written.epoch, written.bytes);
    remove_stale_files(log_.directory(), log_.path(), manifest, [](std::uint64_t) { return false; });
  }

  // After run() failed. Once a manifest with this checkpoint may be in force, its files stay.
  void discard() const noexcept {
    if (installing_) return;
    for (std::uint32_t i = 0; i < log_.arena().part_count(); ++i) {
      (void)files().remove(log_.directory(), CheckpointName{number_, i}.text().c_str());
    }
  }

 private:
  void must_sync_directory() const {
    if (files().sync(log_.directory()) != 0) throw Error::from_errno(errno, "cannot sync", log_.path());
  }

  void tell(const Epoch& epoch, std::uint64_t bytes) {
    DurableState& state = log_.state();
    for (std::uint32_t i = 0; i < log_.arena().part_count(); ++i) {
      const Part::Lock lock(log_.arena().part(i));
      LogState& log = log_.arena().part(i).control().log;
      store_relaxed<std::uint64_t>(&log.kept, epoch.logs[i].segment);
      store_relaxed<std::uint64_t>(&log.checkpoint_tail, epoch.logs[i].position);
    }
    store_relaxed<std::uint64_t>(&state.older_log_bytes, 0);
    store_relaxed<std::uint32_t>(&state.older_epochs, 0);
    store_relaxed<std::uint64_t>(&state.checkpoint, number_);
    store_relaxed<std::uint64_t>(&state.checkpoint_bytes, bytes);
    store_relaxed<std::uint64_t>(&state.checkpoint_ms, wall_clock_ms());
  }

  DurableLog& log_;
  std::uint64_t number_;
  const Stop& stop_;
  bool installing_ = false;
};

}  // namespace

CheckpointFiles write_parts(Arena& arena, const CheckpointPlace& place, const Stop& stop) {
  return PartFiles(arena, place, stop).write();
}

Manifest manifest_of(const Arena& arena, std::uint64_t number, std::uint64_t next, const CheckpointFiles& files,
                     std::vector<Epoch> epochs) {
  Manifest manifest;
  manifest.seed = arena.header().hash_seed;
  manifest.next = next;
  manifest.serial = files.serial;
  manifest.checkpoint = number;
  manifest.checkpoint_parts = arena.part_count();
  manifest.epochs = std::move(epochs);
  return manifest;
}

void write_checkpoint(DurableLog& log, std::uint64_t number, const Stop& stop) {
  Checkpoint checkpoint(log, number, stop);
  try {
    checkpoint.run();
  } catch (...) {
    checkpoint.discard();
    throw;
  }
}

void write_load(DurableLog& log, std::uint64_t number, const CatalogRecord& record) {
  FileHeader header{};
  header.magic = kLoadMagic;
  header.epoch = log.state().epoch;
  header.number = number;
  RecordWriter out(log.directory(), log.path(), LoadName{number}.text(), header);
  const Stop never = [] { return false; };
  PartWalk walk(log.arena().part(record.home_part), out, never);
  walk.write(record.binding);
  out.finish(walk.entries());
  if (files().sync(log.directory()) != 0) throw Error::from_errno(errno, "cannot sync", log.path());
}

void remove_stale_files(int directory, const std::string& path, const Manifest& manifest,
                        const std::function<bool(std::uint64_t number)>& keep_load) {
  const auto log_in_force = [&](const LogName& name) {
    return std::any_of(manifest.epochs.begin(), manifest.epochs.end(), [&](const Epoch& epoch) {
      return epoch.number == name.epoch &&
             (name.part >= epoch.logs.size() || name.number >= epoch.logs[name.part].segment);
    });
  };
  for (const std::string& name : names_in(directory, path)) {
    bool stale = false;
    if (const auto log = LogName::parse(name)) {
      stale = !log_in_force(*log);
    } else if (const auto checkpoint = CheckpointName::parse(name)) {
      stale = checkpoint->number != manifest.checkpoint;
    } else if (const auto load = LoadName::parse(name)) {
      stale = !keep_load(load->number);
    } else if (name.ends_with(kTemporarySuffix)) {
      const std::string whole = name.substr(0, name.size() - std::string(kTemporarySuffix).size());
      stale = CheckpointName::parse(whole) || LoadName::parse(whole) || whole == kManifestName;
    }
    if (stale) (void)files().remove(directory, name.c_str());
  }
}

}  // namespace kv::persist
