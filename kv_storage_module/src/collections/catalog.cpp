#include "collections/catalog.hpp"

#include <cerrno>
#include <cstring>

#include "collections/entries.hpp"
#include "index/cursor.hpp"
#include "index/key_index.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/owned_fd.hpp"
#include "memory/system.hpp"

namespace kv {
namespace {

constexpr char kHiddenMark = '\0';

// The fixed front of a catalog entry's value; the encoded schema follows.
struct StoredRecord {
  std::uint32_t slot;
  std::uint32_t serial;
  std::uint8_t kind;
  std::uint8_t state;
  std::uint16_t home_part;
};

[[nodiscard]] std::string encode(const CatalogRecord& record) {
  const StoredRecord stored{record.binding.slot, record.binding.serial, static_cast<std::uint8_t>(record.kind),
                            static_cast<std::uint8_t>(record.state), record.home_part};
  return std::string(reinterpret_cast<const char*>(&stored), sizeof stored) + record.schema;
}

[[nodiscard]] CatalogRecord decode(const std::string& bytes) {
  StoredRecord stored{};
  std::memcpy(&stored, bytes.data(), sizeof stored);
  return {{stored.slot, stored.serial},
          static_cast<CollectionKind>(stored.kind),
          static_cast<CollectionState>(stored.state),
          stored.home_part,
          bytes.substr(sizeof stored)};
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
  std::vector<std::pair<std::string, CatalogRecord>> records;
  const Part& part = arena_.part(0);
  const Part::Lock lock(part);
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
  record.home_part = static_cast<std::uint16_t>(record.binding.serial % arena_.part_count());
  record.schema = schema;
  const std::uint32_t record_bytes = schema.empty() ? 0 : Schema::decode(schema).record_bytes();
  std::optional<LoadLock> load;  // before anybody sees the record
  if (state == CollectionState::kLoading) load.emplace(arena_, record.binding.serial);
  make_root(txn, record.binding, kind, record_bytes);
  put_record(txn, name.empty() ? kHiddenMark + std::to_string(record.binding.serial) : name, record);
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
    const bool loading = record->state == CollectionState::kLoading;
    hidden = hide(txn, name, *record, CollectionState::kDropping);
    txn.commit();
    if (loading) end_load(arena_, record->binding.serial);
  }
  finish_drop(hidden, *record);
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
    if (replaced) hidden = hide(txn, to, *replaced, CollectionState::kDropping);
    erase_record(txn, from);
    const bool loading = record->state == CollectionState::kLoading;
    if (loading) record->state = CollectionState::kReady;
    put_record(txn, to, *record);
    txn.commit();
    if (loading) end_load(arena_, record->binding.serial);
  }
  if (replaced) finish_drop(hidden, *replaced);
  return true;
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
