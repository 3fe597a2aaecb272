#include "collections/catalog.hpp"

#include <cerrno>
#include <cstring>

#include "collections/entries.hpp"
#include "collections/log_records.hpp"
#include "index/cursor.hpp"
#include "index/key_index.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/owned_fd.hpp"
#include "memory/system.hpp"

namespace kv {
namespace {

constexpr char kHiddenMark = '\0';

// The fixed front of a catalog entry's value; encoded schema and source follow.
struct StoredRecord {
  std::uint32_t slot;
  std::uint32_t serial;
  std::uint8_t kind;
  std::uint8_t state;
  std::uint16_t home_part;
  std::uint32_t schema_bytes;
};

[[nodiscard]] std::string encode(const CatalogRecord& record) {
  const StoredRecord stored{record.binding.slot,
                            record.binding.serial,
                            static_cast<std::uint8_t>(record.kind),
                            static_cast<std::uint8_t>(record.state),
                            record.home_part,
                            static_cast<std::uint32_t>(record.schema.size())};
  return std::string(bytes_of(stored)) + record.schema + record.source;
}

[[nodiscard]] CatalogRecord decode(const std::string& bytes) {
  StoredRecord stored{};
  std::memcpy(&stored, bytes.data(), sizeof stored);
  return {{stored.slot, stored.serial},
          static_cast<CollectionKind>(stored.kind),
          static_cast<CollectionState>(stored.state),
          stored.home_part,
          bytes.substr(sizeof stored, stored.schema_bytes),
          bytes.substr(sizeof stored + stored.schema_bytes)};
}

[[nodiscard]] CatalogRecord record_of(const Part& part, Ref entry) {
  const EntryHeader header = EntryHeader::load(part.at(entry, kEntryHeaderBytes));
  std::string bytes(header.value_bytes, '\0');
  copy_out(bytes.data(), entry_value(part, entry), bytes.size());
  return decode(bytes);
}

[[nodiscard]] std::optional<CatalogRecord> find_record(const Part& part, const std::string& name) {
  const Ref entry = find(part, part.control().catalog, name);
  if (entry == kNullRef) return std::nullopt;
  return record_of(part, entry);
}

// Within a transaction on part 0:

void put_record(Transaction& txn, const std::string& name, const CatalogRecord& record) {
  const Ref entry = make_entry(txn, name, {ValueType::kBytes, encode(record)});
  const Ref replaced = insert(txn, &txn.control().catalog, entry);
  if (replaced != kNullRef) txn.free(replaced);
  txn.store64(&txn.control().directory_epoch, txn.control().directory_epoch + 1);
}

void erase_record(Transaction& txn, const std::string& name) {
  const Ref entry = erase(txn, &txn.control().catalog, name);
  if (entry != kNullRef) txn.free(entry);
  txn.store64(&txn.control().directory_epoch, txn.control().directory_epoch + 1);
}

// Renames a record to a hidden name that says what it was for.
std::string hide(Transaction& txn, const std::string& name, CatalogRecord& record, CollectionState state) {
  erase_record(txn, name);
  record.state = state;
  std::string hidden = kHiddenMark + std::to_string(record.binding.serial);
  put_record(txn, hidden, record);
  return hidden;
}

[[nodiscard]] bool is_logged(const CatalogRecord& record) noexcept {
  return is_durable(record.kind) && record.state != CollectionState::kLoading;
}

[[nodiscard]] NameFront front_of(const std::string& name, const CatalogRecord& record) noexcept {
  return {record.binding.serial,
          static_cast<std::uint8_t>(record.kind),
          0,
          static_cast<std::uint16_t>(name.size()),
          static_cast<std::uint32_t>(record.schema.size()),
          static_cast<std::uint32_t>(record.source.size())};
}

void log_create(Transaction& txn, const std::string& name, const CatalogRecord& record) {
  LogSink* const log = txn.part().arena().log();
  if (log == nullptr || !is_logged(record)) return;
  const NameFront front = front_of(name, record);
  logged::append_name(*log, txn, LogKind::kCreate,
                      std::array<ByteView, 4>{bytes_of(front), name, record.schema, record.source});
}

void log_drop(Transaction& txn, const CatalogRecord& record) {
  LogSink* const log = txn.part().arena().log();
  if (log == nullptr || !is_logged(record)) return;
  logged::append_name(*log, txn, LogKind::kDrop, std::array{bytes_of(record.binding.serial)});
}

// `record` has got the name `name`, which `replaced` had.
void log_rename(Transaction& txn, const std::string& name, const CatalogRecord& record,
                const std::optional<CatalogRecord>& replaced) {
  LogSink* const log = txn.part().arena().log();
  if (log == nullptr) return;
  if (!is_logged(record)) {
    if (replaced) log_drop(txn, *replaced);
    return;
  }
  const std::array<std::uint32_t, 2> serials{record.binding.serial,
                                             replaced && is_logged(*replaced) ? replaced->binding.serial : 0};
  logged::append_name(*log, txn, LogKind::kRename, std::array<ByteView, 2>{bytes_of(serials), name});
}

// The same for a collection whose contents are in a file.
void log_load(Transaction& txn, const std::string& name, const CatalogRecord& record,
              const std::optional<CatalogRecord>& replaced, std::uint64_t file) {
  LogSink* const log = txn.part().arena().log();
  if (log == nullptr) return;
  const std::array<std::uint32_t, 2> more{replaced && is_logged(*replaced) ? replaced->binding.serial : 0, 0};
  const NameFront front = front_of(name, record);
  logged::append_name(
      *log, txn, LogKind::kLoad,
      std::array<ByteView, 6>{bytes_of(file), bytes_of(more), bytes_of(front), name, record.schema, record.source});
}

void settle(const Arena& arena) {
  if (LogSink* const log = arena.log()) log->settle();
}

// Proof that the process which loads a collection lives: an open-file-description lock on a byte behind those of the
// slots, one for each serial number. It is held through the descriptor of the process's slot, so neither a child forked
// meanwhile has it nor whoever takes the slot over, and the kernel drops it with the process.
[[nodiscard]] constexpr std::uint64_t load_byte(std::uint32_t serial) noexcept {
  return std::uint64_t{kMaxSlots} + serial;
}

class LoadLock {
 public:
  LoadLock(const Arena& arena, std::uint32_t serial) : fd_(arena.slot_fd()), byte_(load_byte(serial)) {
    if (system::lock_byte(fd_, byte_) != 0) throw Error::from_errno(errno, "cannot lock a collection to load it");
  }
  LoadLock(const LoadLock&) = delete;
  LoadLock& operator=(const LoadLock&) = delete;
  ~LoadLock() {
    if (!kept_) system::unlock_byte(fd_, byte_);
  }
  void keep() noexcept { kept_ = true; }

 private:
  int fd_;
  std::uint64_t byte_;
  bool kept_ = false;
};

void end_load(const Arena& arena, std::uint32_t serial) noexcept {
  system::unlock_byte(arena.slot_fd(), load_byte(serial));
}

[[nodiscard]] bool is_being_loaded(const Arena& arena, std::uint32_t serial) noexcept {
  const OwnedFd fd(system::reopen(arena.fd()));  // fcntl(2) does not report the locks of the descriptor that asks
  return fd.get() < 0 || system::byte_is_locked(fd.get(), load_byte(serial));
}

}  // namespace

void Catalog::check_name(const std::string& name) {
  constexpr std::size_t kMaxNameBytes = 255;
  if (name.empty()) throw Error(ErrorCode::kInvalidArgument, "a collection's name must not be empty");
  if (name.size() > kMaxNameBytes) {
    throw Error(ErrorCode::kInvalidArgument, "a collection's name is at most 255 bytes long");
  }
  if (name.find(kHiddenMark) != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "a collection's name must not hold a NUL");
  }
}

std::uint64_t Catalog::epoch() const noexcept { return load64(&arena_.part(0).control().directory_epoch); }

std::optional<CatalogRecord> Catalog::find(const std::string& name) const {
  const Part::Lock lock(arena_.part(0));
  return find_record(arena_.part(0), name);
}

std::vector<std::pair<std::string, CatalogRecord>> Catalog::all() const {
  const Part::Lock lock(arena_.part(0));
  return all_locked();
}

std::vector<std::pair<std::string, CatalogRecord>> Catalog::all_locked() const {
  std::vector<std::pair<std::string, CatalogRecord>> records;
  const Part& part = arena_.part(0);
  Cursor cursor(std::nullopt, std::nullopt, nullptr, false);
  for (bool more = true; more;) {
    const auto entries = cursor.collect(part, part.control().catalog);
    for (const Ref entry : entries) records.emplace_back(entry_key(part, entry), record_of(part, entry));
    more = cursor.advance(entries.size(), records.empty() ? std::string() : records.back().first);
  }
  return records;
}

CatalogRecord Catalog::open(const std::string& name, CollectionKind kind, const std::string& schema) {
  check_name(name);
  auto record = find(name);
  if (!record) {
    drop_leftovers();
    record = create(name, kind, schema, CollectionState::kCreating);
    settle(arena_);
  }
  if (record->state == CollectionState::kCreating) complete(name, *record);
  return *record;
}

std::pair<std::string, CatalogRecord> Catalog::open_hidden(const std::string& schema) {
  drop_leftovers();
  CatalogRecord record = create({}, CollectionKind::kRecordHash, schema, CollectionState::kLoading);
  std::string name = kHiddenMark + std::to_string(record.binding.serial);
  complete(name, record);
  return {name, record};
}

// An empty `name` makes a hidden collection.
CatalogRecord Catalog::create(const std::string& name, CollectionKind kind, const std::string& schema,
                              CollectionState state) {
  Transaction txn(arena_.part(0));
  if (!name.empty()) {
    if (auto present = find_record(txn.part(), name)) return *present;  // another was quicker
  }
  CatalogRecord record;
  ArenaHeader& header = arena_.header();
  record.binding = {first_free_slot(txn.part()), header.next_serial};
  txn.store32(&header.next_serial, header.next_serial + 1);
  record.kind = kind;
  record.state = state;
  record.home_part = static_cast<std::uint16_t>(home_of(record.binding.serial, arena_.part_count()));
  record.schema = schema;
  const std::uint32_t record_bytes = schema.empty() ? 0 : Schema::decode(schema).record_bytes();
  std::optional<LoadLock> load;  // before anybody sees the record
  if (state == CollectionState::kLoading) load.emplace(arena_, record.binding.serial);
  make_root(txn, record.binding, kind, record_bytes);
  put_record(txn, name.empty() ? kHiddenMark + std::to_string(record.binding.serial) : name, record);
  log_create(txn, name, record);
  txn.commit();
  if (load) load->keep();
  return record;
}

// Makes the roots that are missing in other parts; then the collection is ready.
void Catalog::complete(const std::string& name, CatalogRecord& record) {
  const std::uint32_t record_bytes = record.schema.empty() ? 0 : Schema::decode(record.schema).record_bytes();
  for (std::uint32_t i = 1; i < arena_.part_count(); ++i) {
    Transaction txn(arena_.part(i));
    make_root(txn, record.binding, record.kind, record_bytes);
    txn.commit();
  }
  if (record.state != CollectionState::kCreating) return;
  {
    Transaction txn(arena_.part(0));
    const auto now = find_record(txn.part(), name);
    if (now && now->binding == record.binding) {
      record.state = CollectionState::kReady;
      if (now->state != CollectionState::kCreating) return;
      put_record(txn, name, record);
      return txn.commit();
    }
    if (find_root(txn.part(), record.binding) != nullptr) return;  // renamed meanwhile, or about to be dropped
  }
  // Dropped meanwhile, and the roots just made came too late for whoever did it. (Where that is found out by nobody,
  // the next collection in the slot finds them: make_root.)
  for (std::uint32_t i = 1; i < arena_.part_count(); ++i) {
    Transaction txn(arena_.part(i));
    discard_root(txn, record.binding, false);
    txn.commit();
  }
  for (std::uint32_t i = 1; i < arena_.part_count(); ++i) empty_trash(arena_.part(i));
}

bool Catalog::drop(const std::string& name) {
  std::optional<CatalogRecord> record;
  std::string hidden;
  {
    Transaction txn(arena_.part(0));
    record = find_record(txn.part(), name);
    if (!record) return false;
    const CatalogRecord former = *record;
    const bool loading = record->state == CollectionState::kLoading;
    hidden = hide(txn, name, *record, CollectionState::kDropping);
    log_drop(txn, former);
    txn.commit();
    if (loading) end_load(arena_, record->binding.serial);
  }
  finish_drop(hidden, *record);
  settle(arena_);
  return true;
}

// Part 0 comes last, and with it the slot and the record: until then the drop can be taken up again by anybody.
void Catalog::finish_drop(const std::string& hidden_name, const CatalogRecord& record) {
  for (std::uint32_t i = arena_.part_count(); i-- > 0;) {
    Transaction txn(arena_.part(i));
    discard_root(txn, record.binding, false);
    if (i == 0) {
      const auto now = find_record(txn.part(), hidden_name);
      if (now && now->binding == record.binding) erase_record(txn, hidden_name);
    }
    txn.commit();
  }
  for (std::uint32_t i = 0; i < arena_.part_count(); ++i) empty_trash(arena_.part(i));
}

bool Catalog::rename(const std::string& from, const std::string& to, bool replace) {
  return move(from, to, replace, nullptr);
}

void Catalog::publish(const std::string& hidden, const std::string& name, std::uint64_t file,
                      const std::string& source) {
  const Publication publication{file, source};
  move(hidden, name, true, &publication);
}

bool Catalog::move(const std::string& from, const std::string& to, bool replace, const Publication* publication) {
  std::optional<CatalogRecord> replaced;
  std::string hidden;
  {
    Transaction txn(arena_.part(0));
    auto record = find_record(txn.part(), from);
    if (!record) return false;
    if (from == to) return true;
    replaced = find_record(txn.part(), to);
    if (replaced && !replace) {
      throw Error(ErrorCode::kInvalidArgument,
                  "a collection '" + to + "' exists already; rename with replace to drop it");
    }
    const std::optional<CatalogRecord> former = replaced;
    if (replaced) hidden = hide(txn, to, *replaced, CollectionState::kDropping);
    erase_record(txn, from);
    if (publication != nullptr) {
      record->state = CollectionState::kReady;
      record->source = publication->source;
    }
    put_record(txn, to, *record);
    if (publication != nullptr) {
      log_load(txn, to, *record, former, publication->file);
    } else {
      log_rename(txn, to, *record, former);
    }
    txn.commit();
    if (publication != nullptr) end_load(arena_, record->binding.serial);
  }
  if (replaced) finish_drop(hidden, *replaced);
  settle(arena_);
  return true;
}

CatalogRecord Catalog::restore(const std::string& name, const CatalogRecord& record) {
  CatalogRecord restored = record;
  {
    Transaction txn(arena_.part(0));
    ArenaHeader& header = arena_.header();
    restored.binding.slot = first_free_slot(txn.part());
    restored.state = CollectionState::kReady;
    restored.home_part = static_cast<std::uint16_t>(home_of(restored.binding.serial, arena_.part_count()));
    if (header.next_serial <= restored.binding.serial) txn.store32(&header.next_serial, restored.binding.serial + 1);
    const std::uint32_t record_bytes = restored.schema.empty() ? 0 : Schema::decode(restored.schema).record_bytes();
    make_root(txn, restored.binding, restored.kind, record_bytes);
    put_record(txn, name, restored);
    txn.commit();
  }
  complete(name, restored);
  return restored;
}

void Catalog::drop_leftovers() {
  for (auto& [name, record] : all()) {
    if (name.front() != kHiddenMark) continue;
    if (record.state == CollectionState::kDropping) finish_drop(name, record);
    // One that was published meanwhile is no longer there under this name.
    if (record.state == CollectionState::kLoading && !is_being_loaded(arena_, record.binding.serial)) drop(name);
  }
}

}  // namespace kv
