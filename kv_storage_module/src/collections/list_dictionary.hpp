// The values of a List: each once, counted, under a code.
//
// Found by hash: a table of chains that grows and shrinks by one bucket at a time (linear hashing: W. Litwin, "Linear
// hashing: a new tool for file and table addressing", VLDB 1980), so that no step has to move them all. A code is the
// lowest free one of its page, the page the first that has one: codes stay small, and pages of the end go when their
// values do.
#pragma once

#include "collections/list_state.hpp"
#include "kv_storage/value.hpp"

namespace kv {

struct HashedValue {
  Value value;
  std::uint32_t hash = 0;
};

namespace list_dictionary {

[[nodiscard]] std::uint32_t hash_of(const Value& value, std::uint64_t seed);
// Whether values of this type may be equal to others that have other bytes.
[[nodiscard]] constexpr bool is_opaque(ValueType type) noexcept {
  return type == ValueType::kPacked || type == ValueType::kArray;
}

// ---- Safe in a section ----

[[nodiscard]] inline Ref entry_of(const Part& part, const ListState& state, std::uint32_t code) noexcept {
  return load32(list_state::slot_at(part, state.codes, code));
}
[[nodiscard]] Ref find(const Part& part, const ListState& state, const HashedValue& value) noexcept;

// ---- Within a step ----

// The journal words that one call below takes at most, but for chains that are longer than chance makes them.
inline constexpr std::size_t kJournal = 192;

void make(Transaction& txn, ListState& state);  // both tables, of a state that is not yet published
// The code of a value, added if it is new, and counted once more. Throws Error{kOverCapacity}.
[[nodiscard]] std::uint32_t acquire(Transaction& txn, ListState& state, const HashedValue& value, std::uint32_t walks);
// Counts it once less, and frees it if nothing holds it any more. Allocates nothing.
void release(Transaction& txn, ListState& state, std::uint32_t code);

}  // namespace list_dictionary
}  // namespace kv
