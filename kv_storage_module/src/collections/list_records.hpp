// The records of Lists in logs and checkpoints. Written to disk: layouts are frozen (docs/persistence_format.md).
//
// A record of a change says at which positions something was put in, taken out or exchanged, in one step of a
// transaction. So, unlike the absolute records of the other kinds, it must be applied once, to the list that it was
// made for: steps are numbered (CollectionRoot::list_version), and a page of a checkpoint says up to which step it is.
//
// A checkpoint walks a list from front to end while others write. A page holds what lies between the place that the
// walk has come to and a later one, and the number of the last step. The place is a word of the root that every change
// moves (CollectionRoot::list_walk): what is put in before it or taken out before it moves it. So a step behind a
// page's number concerns the pages before the place, and of the others those alone that are written later, which have
// it in them. Whoever reads the pages and then the log knows the place in turn: it is as far from the front as the
// pages whose number is lower than the step's are long (persist/restore_list.hpp).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "collections/log_records.hpp"

namespace kv {

// A payload: front, values, then to its end changes in their order. Values are numbered as they come.
struct ListEditFront {
  std::uint32_t serial;
  std::uint32_t values;
  std::uint64_t version;  // of the list afterwards: one more than before
};
static_assert(sizeof(ListEditFront) == 16);

struct ListedValue {  // its bytes follow
  std::uint32_t bytes;
  std::uint8_t type;  // ValueType
  std::uint8_t reserved[3];
};
static_assert(sizeof(ListedValue) == 8);

enum class ListEditKind : std::uint8_t {
  kInsert = 1,  // values before `position`; their numbers follow
  kErase = 2,
  kSet = 3,    // values in place of those from `position` on; their numbers follow
  kClear = 4,  // count and position are 0
};
struct ListEdit {
  std::uint8_t kind;  // ListEditKind
  std::uint8_t reserved[3];
  std::uint32_t count;  // positions
  std::uint64_t position;
};
static_assert(sizeof(ListEdit) == 16);

// A payload: front, values that no page before had, then the numbers of what the positions hold.
struct ListPageFront {
  std::uint32_t serial;
  std::uint32_t positions;
  std::uint64_t version;      // of the list when it was read
  std::uint64_t first;        // positions in the pages before
  std::uint32_t first_value;  // the number of the first value here, which is how many there are before
  std::uint32_t values;
};
static_assert(sizeof(ListPageFront) == 32);

// All pages have been written.
struct ListEnd {
  std::uint32_t serial;
  std::uint32_t reserved;
  std::uint64_t version;
  std::uint64_t positions;  // in all pages
};
static_assert(sizeof(ListEnd) == 24);

// Bytes of a number where there are `values`.
[[nodiscard]] constexpr std::uint32_t number_bytes(std::uint64_t values) noexcept {
  return values <= 0x100 ? 1 : values <= 0x10000 ? 2 : 4;
}
inline void append_numbers(std::string& to, std::span<const std::uint32_t> numbers, std::uint32_t width) {
  for (const std::uint32_t number : numbers) to.append(reinterpret_cast<const char*>(&number), width);
}
// The i-th; there are as many bytes.
[[nodiscard]] inline std::uint32_t number_at(ByteView numbers, std::size_t i, std::uint32_t width) noexcept {
  std::uint32_t number = 0;
  std::memcpy(&number, numbers.data() + i * width, width);
  return number;
}

}  // namespace kv
