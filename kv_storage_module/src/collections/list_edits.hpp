// What one step does to a List, gathered for its log record.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "collections/list_records.hpp"
#include "collections/list_state.hpp"
#include "kv_storage/value.hpp"

namespace kv {

class ListEdits {
 public:
  [[nodiscard]] bool empty() const noexcept { return edits_.empty(); }
  // About as many as the record will have.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

  // What add() adds from now on is put in before, or in place of, the positions from `position` on.
  void begin(ListEditKind kind, std::uint64_t position);
  // The value that has the code now. Its entry is read when the record is written: freed by the step meanwhile or not.
  void add(const Part& part, const ListState& state, std::uint32_t code);
  void erase(std::uint64_t position, std::uint64_t count);
  void clear();
  // The code's value goes: the code may come to stand for another.
  void forget(std::uint32_t code);

  // Last before the commit, when root.list_version is that of the step.
  void append(LogSink& log, Transaction& txn, const CollectionRoot& root) const;

 private:
  static constexpr std::size_t kFew = 16;  // so many values are found without a table
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct ListedBytes {
    ListedValue front;
    ByteView bytes;
    std::uint32_t code;  // kNone once forgotten
  };
  [[nodiscard]] std::uint32_t number_of(std::uint32_t code) const;

  std::vector<ListEdit> edits_;
  std::vector<std::uint32_t> numbers_;  // of all edits that have some
  std::vector<ListedBytes> values_;
  std::unordered_map<std::uint32_t, std::uint32_t> by_code_;  // once there are more than a few
  std::uint64_t bytes_ = sizeof(ListEditFront);
};

}  // namespace kv
