// List: a sequence of values that keeps each distinct value once. What a position holds is a code of 8, 16 or 32 bits,
// so a column with few distinct values takes about a byte or two for each position.
//
// A List lies whole in one part. Distinct here means another type or other bytes: 1, 1.0 and true are three values.
// Positions, negative ones and slices mean what they mean for a list of Python, resolved in the step that uses them.
//
// Every method may be called from any thread. It is atomic over all threads and processes, but for changes of more
// values than one step of a transaction can undo (about 1,000 distinct new ones, or some thousand of which most are
// there already; in a store with a data directory also a megabyte of values): those are done in steps that each leave a
// list, and others may write between them. Reads take no lock. All methods may throw Error{kClosed}; those that put
// values in, Error{kOverCapacity}: what earlier steps have done then stays.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kv_storage/value.hpp"

namespace kv {

class HashImpl;

// As slice(start, stop, step) of Python; step is not 0.
struct ListSlice {
  std::optional<std::int64_t> start;
  std::optional<std::int64_t> stop;
  std::int64_t step = 1;
};

// Positions first, first + step, ... of a list of a certain length.
struct ListPositions {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::int64_t step = 1;

  [[nodiscard]] static ListPositions of(const ListSlice& slice, std::uint64_t length) noexcept;
  [[nodiscard]] std::uint64_t at(std::uint64_t i) const noexcept {
    return first + static_cast<std::uint64_t>(step) * i;  // modulo 2^64: right for negative steps
  }
};

// Distinct values, copied out of shared memory: their bytes lie end to end.
struct ListValues {
  struct Item {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t count = 0;  // how many positions of the list hold it
    ValueType type = ValueType::kNone;
    bool used = false;  // false = a code that stands for nothing now
  };
  std::vector<Item> items;
  std::vector<char> bytes;

  [[nodiscard]] ByteView bytes_of(const Item& item) const noexcept { return {bytes.data() + item.offset, item.size}; }
};

// A part of a list at one moment: codes[i] is the place in `values` of what its i-th position holds.
struct ListItems {
  std::vector<std::uint32_t> codes;
  ListValues values;
  std::uint64_t length = 0;    // of the list
  std::uint64_t sequence = 0;  // see List::unchanged_since
  std::uint32_t part = 0;
};

class List {
 public:
  explicit List(std::shared_ptr<HashImpl> impl) noexcept;

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] std::uint64_t size() const;

  // ---- Reading: one consistent section each ----

  // False = there is no such position. O(log n), O(1) near the end.
  bool get(std::int64_t index, ValueBuffer& out) const;
  // How many positions hold one of these values. O(1) for each.
  [[nodiscard]] std::uint64_t count(std::span<const Value> wanted) const;
  // The first position in [start, stop) (as list.index() takes them) that holds one of these values (at most
  // kMaxWanted). O(n).
  static constexpr std::size_t kMaxWanted = 8;
  [[nodiscard]] std::optional<std::uint64_t> find(std::span<const Value> wanted, std::int64_t start,
                                                  std::int64_t stop) const;
  // Whether a value may be equal to one of another type though no bytes say so: kPacked and kArray.
  [[nodiscard]] bool has_opaque_values() const;

  // Values in the order of their first position within the slice; `codes` count from 0. Copies at most about
  // `max_bytes` of values and then ends early, but not before the first position.
  void read(const ListSlice& slice, ListItems& out, std::uint64_t max_bytes = ~std::uint64_t{0}) const;
  // Codes and values as they are stored: a value's code is its place in `values`; some places may be unused.
  void read_stored(ListItems& out) const;
  // The values alone.
  void read_values(ListValues& out) const;
  // False = the list may have changed since `items` were read. One load.
  [[nodiscard]] bool unchanged_since(const ListItems& items) const noexcept;

  // ---- Changing ----

  void append(const Value& value);                      // O(1) amortized
  void extend(std::span<const Value> values);           // in steps
  void insert(std::int64_t index, const Value& value);  // beyond the ends: at the end. O(log n)
  bool set(std::int64_t index, const Value& value);     // false = there is no such position. O(log n)
  bool erase(std::int64_t index);                       // likewise
  bool take(std::int64_t index, ValueBuffer& out);      // erases what it reads; O(1) amortized at the end
  bool remove(std::span<const Value> wanted);           // the first of them; false = there is none. O(n)
  void erase(const ListSlice& slice);                   // in steps
  // Puts `values` in place of the slice, in steps. Throws Error{kInvalidArgument} if the step is not 1 and there are
  // not as many values as positions.
  void assign(const ListSlice& slice, std::span<const Value> values);
  void reverse();  // in steps
  void clear();    // O(1), then memory is given back in steps

 private:
  template <class Step>
  void change(Step&& step);

  std::shared_ptr<HashImpl> impl_;
};

}  // namespace kv
