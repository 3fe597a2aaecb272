// What a stretch of a log comes to for the keys of one collection.
//
// Records about keys are absolute, so of those about one key the last ones count, and those about different keys may be
// done in any order: in that of the keys, which is what an index is built in at least cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "collections/log_records.hpp"
#include "index/key_sort.hpp"
#include "kv_storage/value.hpp"

namespace kv::persist {

struct RestoredEntry {
  ByteView key;
  ByteView value;
  ValueType type;
  std::uint64_t due_ms;
  std::uint64_t hash;
};

// What a record of kind kPut, kErase or kDue says.
struct KeyRecord {
  std::uint32_t serial;
  LogKind kind;
  RestoredEntry entry;  // without the hash; of kErase the key, of kDue key and due time
};
[[nodiscard]] constexpr bool is_about_key(LogKind kind) noexcept {
  return kind == LogKind::kPut || kind == LogKind::kErase || kind == LogKind::kDue;
}
// Empty = the payload makes no sense. What is returned leads into the payload.
[[nodiscard]] std::optional<KeyRecord> decode_key_record(LogKind kind, ByteView payload) noexcept;

// The records of a piece of a log about the keys of one collection, by key.
class KeyRun {
 public:
  // In the order of the log. `payload` has been decoded; `key` lies in it. It must outlive the object.
  void add(LogKind kind, ByteView payload, ByteView key);
  void sort(KeySorter& sorter);

  // The least key that is left; null at the end.
  [[nodiscard]] const RowKey* front() const noexcept { return next_ == keys_.size() ? nullptr : &keys_[next_]; }
  // Calls visit(record) for what the records say of that key, in the order of the log, and goes on to the next.
  template <class Visit>
  void take(Visit&& visit);

 private:
  struct Source {
    const char* payload;
    std::uint64_t kind_and_bytes;  // as RecordHeader has it
  };
  [[nodiscard]] std::size_t end_of_front() noexcept;
  [[nodiscard]] KeyRecord decode(const RowKey& key) const noexcept;
  void prefetch(std::size_t place) const noexcept;

  std::vector<Source> records_;
  std::vector<RowKey> keys_;  // `row` leads to the record
  std::size_t next_ = 0;
};

class KeyChanges {
 public:
  // A run that is sorted; first those of what comes first in the log.
  void add(KeyRun&& run) { runs_.push_back(std::move(run)); }

  // What the runs come to for the least key that is left, its hash not set; null at the end. A kDue is of a key that
  // was there before.
  [[nodiscard]] const KeyRecord* front() const noexcept { return front_ ? &*front_ : nullptr; }
  // Moves on to the next key; to the first one, if it has not been called.
  void pop();

 private:
  std::vector<KeyRun> runs_;
  std::optional<KeyRecord> front_;
};

}  // namespace kv::persist
