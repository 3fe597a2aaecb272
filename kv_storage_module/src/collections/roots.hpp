// What a collection is inside one part: the root of its index, its look-aside table, its counters.
//
// Each part has a table slot -> CollectionRoot. A slot is used again after a drop, so a handle also knows the serial
// number of its collection and compares it: a root with another serial is another collection.
#pragma once

#include <cstdint>
#include <functional>

#include "kv_storage/store.hpp"
#include "memory/transaction.hpp"

namespace kv {

struct CollectionRoot {
  std::uint32_t serial;
  std::uint32_t kind;  // CollectionKind
  Ref index;           // root node of the key index; null = empty
  Ref lookaside;       // point look-up table; null while small
  std::uint64_t entries;
  // Schema collections only (collections/slabs.hpp, collections/categories.hpp):
  Ref slabs;       // all slabs, a doubly linked list
  Ref open_slabs;  // those with a free slot
  Ref categories;  // one dictionary per category column
  std::uint32_t record_bytes;
  Ref next_trash;             // while detached
  Ref due_index;              // what expires, by due time (collections/due_index.hpp); null = nothing
  std::uint64_t next_due_ms;  // no due time of the collection is earlier; kNeverDue = nothing expires
  std::uint32_t key_type;     // of a Map or Set: KeyType, 0 until the first key
  Ref cache;                  // what makes it a cache (collections/cache_state.hpp); null for other kinds
  Ref list;                   // what makes it a list that is not empty (collections/list_state.hpp)
  // Of a list of a durable store (collections/list_records.hpp):
  std::uint64_t list_version;  // steps that have changed it
  std::uint64_t list_walk;     // positions that the checkpoint in progress has gone past; else anything up to entries
  std::uint32_t list_walks;    // checkpoints that have been begun

  // Maps and Sets know their ranks.
  [[nodiscard]] bool counted() const noexcept {
    return kind == static_cast<std::uint32_t>(CollectionKind::kMap) ||
           kind == static_cast<std::uint32_t>(CollectionKind::kSet);
  }
};

// Where a collection lies: the same in every part.
struct Binding {
  std::uint32_t slot;
  std::uint32_t serial;
  friend bool operator==(const Binding&, const Binding&) = default;
};
inline constexpr Binding kRootBinding{0, 0};

// The collection's root in this part; nullptr if the slot holds another one, or none. Safe in a section.
[[nodiscard]] const CollectionRoot* find_root(const Part& part, Binding binding) noexcept;
// The same for writers.
[[nodiscard]] CollectionRoot* find_root(Transaction& txn, Binding binding) noexcept;

// The root in `slot`, whatever its serial; null if the slot is empty. Safe in a section.
[[nodiscard]] Ref root_in_slot(const Part& part, std::uint64_t slot) noexcept;
[[nodiscard]] std::uint64_t slot_count(const Part& part) noexcept;  // likewise

// All roots but the detached ones. Under the lock.
void for_each_root(const Part& part, const std::function<void(Ref, const CollectionRoot&)>& visit);

[[nodiscard]] std::uint32_t first_free_slot(const Part& part) noexcept;  // under the lock
// Makes an empty root unless the slot holds this collection already. A slot is given out in part 0; what lies in it in
// another part may be older (made for a collection that was being dropped: it goes to the trash) or younger (we are the
// late one: nothing happens).
void make_root(Transaction& txn, Binding binding, CollectionKind kind, std::uint32_t record_bytes);
// Detaches the contents to the trash and frees the slot, or (clear) puts an empty root in their place.
// No-op if the slot does not hold this collection.
void discard_root(Transaction& txn, Binding binding, bool keep_empty);

// Frees up to some hundred entries of what lies in the trash, in one transaction step; false = the trash is empty.
bool empty_trash_step(Transaction& txn);
// All of it, letting others in between steps.
void empty_trash(Part& part);

}  // namespace kv
