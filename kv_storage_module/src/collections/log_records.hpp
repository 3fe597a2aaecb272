// The records of a durable store's log: what a committing transaction tells the log, and how that reads back.
//
// Records are absolute: they name a collection by its serial number and a key, and say what is there afterwards. So
// replaying a record again, or one that is older than what a checkpoint has seen, does no harm as long as those behind
// it follow. Those of Lists are not, and are numbered instead (collections/list_records.hpp). Numbers are little
// endian. Written to disk: kinds and layouts are frozen (docs/persistence_format.md).
//
// Each write function is one load and a branch for a store in memory. Call it last before the commit.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "collections/catalog.hpp"
#include "collections/entries.hpp"
#include "collections/roots.hpp"
#include "memory/arena.hpp"
#include "memory/log_sink.hpp"

namespace kv {

enum class LogKind : std::uint8_t {
  kPut = 1,        // KeyFront, [due time], key, value (of a schema collection: the record)
  kErase = 2,      // KeyFront, key
  kDue = 3,        // KeyFront, due time (kNeverDue: none), key
  kClear = 4,      // serial: the collection's share of the part is empty
  kKeyType = 5,    // serial, KeyType: of a Map or Set
  kCategory = 6,   // serial, column, code, text
  kCreate = 7,     // NameFront, name, schema, source
  kDrop = 8,       // serial
  kRename = 9,     // serial, serial of the collection replaced (0 = none), name
  kLoad = 10,      // number of the file that has the contents, serial of the collection replaced, 0, then as kCreate
  kListEdit = 16,  // ListEditFront, values, changes: one step
  // Only in checkpoints:
  kListPage = 17,  // ListPageFront, values, numbers: positions of a list in their order
  kListEnd = 18,   // ListEnd: the list is complete
  // Only in checkpoints and load files:
  kBegin = 32,  // serial, 0, about how many entries follow: a collection's pages, in ascending order of their keys
  kPage = 33,   // serial, number of entries; for each: PageEntry, [due time], key, value
  kEnd = 34,    // number of entries in the file: the last record
};

inline constexpr std::uint8_t kLoggedDue = 0x80;  // in KeyFront::type: there is a due time

struct KeyFront {
  std::uint32_t serial;
  std::uint16_t key_bytes;
  std::uint8_t type;  // ValueType of a put, with kLoggedDue; else 0
  std::uint8_t reserved;
};
static_assert(sizeof(KeyFront) == 8);

struct PageEntry {
  std::uint32_t value_bytes;
  std::uint16_t key_bytes;
  std::uint8_t type;  // as in KeyFront
  std::uint8_t reserved;
};
static_assert(sizeof(PageEntry) == 8);

struct NameFront {
  std::uint32_t serial;
  std::uint8_t kind;  // CollectionKind
  std::uint8_t reserved;
  std::uint16_t name_bytes;
  std::uint32_t schema_bytes;
  std::uint32_t source_bytes;
};
static_assert(sizeof(NameFront) == 16);

template <class T>
[[nodiscard]] ByteView bytes_of(const T& value) noexcept {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Whether collections of this kind are written. Caches never are.
[[nodiscard]] inline bool is_durable(CollectionKind kind) noexcept {
  return kind == CollectionKind::kHash || kind == CollectionKind::kRecordHash || kind == CollectionKind::kMap ||
         kind == CollectionKind::kSet || kind == CollectionKind::kList;
}

namespace logged {

void append_put(LogSink& log, Transaction& txn, const CollectionRoot& root, Ref entry);
void append_due(LogSink& log, Transaction& txn, const CollectionRoot& root, Ref entry);
void append_key(LogSink& log, Transaction& txn, LogKind kind, const CollectionRoot& root, ByteView key);
void append_words(LogSink& log, Transaction& txn, LogKind kind, std::span<const std::uint32_t> words, ByteView text);
// A record about names, in part 0.
void append_name(LogSink& log, Transaction& txn, LogKind kind, std::span<const ByteView> pieces);

[[nodiscard]] inline LogSink* log_of(Transaction& txn, const CollectionRoot& root) noexcept {
  LogSink* const log = txn.part().arena().log();
  if (log == nullptr) [[likely]]
    return nullptr;
  return is_durable(static_cast<CollectionKind>(root.kind)) ? log : nullptr;
}

// The entry with all that belongs to it, as it is now.
inline void put(Transaction& txn, const CollectionRoot& root, Ref entry) {
  if (LogSink* const log = log_of(txn, root)) append_put(*log, txn, root, entry);
}
// The due time of the entry, as it is now.
inline void due(Transaction& txn, const CollectionRoot& root, Ref entry) {
  if (LogSink* const log = log_of(txn, root)) append_due(*log, txn, root, entry);
}
inline void erase(Transaction& txn, const CollectionRoot& root, ByteView key) {
  if (LogSink* const log = log_of(txn, root)) append_key(*log, txn, LogKind::kErase, root, key);
}
inline void clear(Transaction& txn, const CollectionRoot& root) {
  if (LogSink* const log = log_of(txn, root)) append_words(*log, txn, LogKind::kClear, std::array{root.serial}, {});
}
inline void key_type(Transaction& txn, const CollectionRoot& root) {
  if (LogSink* const log = log_of(txn, root)) {
    append_words(*log, txn, LogKind::kKeyType, std::array{root.serial, root.key_type}, {});
  }
}
inline void category(Transaction& txn, const CollectionRoot& root, std::uint32_t column, std::uint32_t code,
                     ByteView text) {
  if (LogSink* const log = log_of(txn, root)) {
    append_words(*log, txn, LogKind::kCategory, std::array{root.serial, column, code}, text);
  }
}

}  // namespace logged

// Reads the fields of a payload one after another. Whoever reads beyond its end gets zeros, and ok() is false.
class PayloadReader {
 public:
  explicit PayloadReader(ByteView payload) noexcept : rest_(payload) {}
  template <class T>
  [[nodiscard]] T number() noexcept {
    T value{};
    const ByteView bytes = take(sizeof value);
    if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  [[nodiscard]] ByteView take(std::uint64_t bytes) noexcept {
    if (bytes > rest_.size()) {
      ok_ = false;
      return {};
    }
    const ByteView taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  [[nodiscard]] ByteView rest() noexcept { return take(rest_.size()); }
  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  ByteView rest_;
  bool ok_ = true;
};

}  // namespace kv
