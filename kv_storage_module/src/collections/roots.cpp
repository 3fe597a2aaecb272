#include "collections/roots.hpp"

#include <algorithm>

#include "collections/cache_state.hpp"
#include "collections/categories.hpp"
#include "collections/list_state.hpp"
#include "collections/slabs.hpp"
#include "index/dismantle.hpp"
#include "index/lookaside.hpp"
#include "memory/clock.hpp"

namespace kv {
namespace {

constexpr std::uint32_t kFirstCapacity = 16;
constexpr std::size_t kBlocksPerStep = 128;

// PartControl::directory: this header, then Ref[capacity].
struct Directory {
  std::uint64_t capacity;
  [[nodiscard]] const std::byte* slot(std::uint64_t index) const noexcept {
    return reinterpret_cast<const std::byte*>(this + 1) + index * sizeof(Ref);
  }
};

void grow_directory(Transaction& txn, std::uint32_t slot) {
  const Ref old_block = txn.control().directory;
  const auto* old_directory = reinterpret_cast<const Directory*>(txn.part().at(old_block, sizeof(Directory)));
  const std::uint64_t old_capacity = old_block == kNullRef ? 0 : old_directory->capacity;
  const std::uint64_t capacity = std::max({std::uint64_t{kFirstCapacity}, 2 * old_capacity, std::uint64_t{slot} + 1});
  const Ref block = txn.allocate(sizeof(Directory) + capacity * sizeof(Ref));
  auto* const directory = reinterpret_cast<Directory*>(txn.fresh(block));
  store_relaxed<std::uint64_t>(&directory->capacity, capacity);
  for (std::uint32_t i = 0; i < capacity; ++i) {
    store_relaxed<Ref>(const_cast<std::byte*>(directory->slot(i)),
                       i < old_capacity ? load32(old_directory->slot(i)) : kNullRef);
  }
  txn.store32(&txn.control().directory, block);
  if (old_block != kNullRef) txn.free(old_block);
}

void set_slot(Transaction& txn, std::uint32_t slot, Ref root) {
  const auto* directory = reinterpret_cast<const Directory*>(txn.at(txn.control().directory));
  txn.store32(const_cast<std::byte*>(directory->slot(slot)), root);
}

[[nodiscard]] Ref new_root(Transaction& txn, std::uint32_t serial, std::uint32_t kind, std::uint32_t record_bytes) {
  const Ref block = txn.allocate(sizeof(CollectionRoot));
  CollectionRoot root{};
  root.serial = serial;
  root.kind = kind;
  root.record_bytes = record_bytes;
  root.next_due_ms = kNeverDue;
  copy_in(txn.fresh(block), &root, sizeof root);
  return block;
}

[[nodiscard]] CollectionRoot& root_at(Transaction& txn, Ref block) noexcept {
  return *reinterpret_cast<CollectionRoot*>(txn.fresh(block));
}

// Puts a root that no slot leads to any more on the trash.
void detach(Transaction& txn, Ref block) {
  txn.store32(&root_at(txn, block).next_trash, txn.control().trash);
  txn.store32(&txn.control().trash, block);
}

// Serials count up and may wrap round.
[[nodiscard]] bool is_older(std::uint32_t serial, std::uint32_t than) noexcept {
  return static_cast<std::int32_t>(serial - than) < 0;
}

}  // namespace

Ref root_in_slot(const Part& part, std::uint64_t slot) noexcept {
  const Ref directory = load32(&part.control().directory);
  const auto* header = reinterpret_cast<const Directory*>(part.at(directory, sizeof(Directory)));
  if (slot >= load64(&header->capacity)) return kNullRef;
  if (!part.contains(directory, sizeof(Directory) + (slot + 1) * sizeof(Ref))) return kNullRef;
  return load32(header->slot(slot));
}

std::uint64_t slot_count(const Part& part) noexcept {
  const Ref directory = load32(&part.control().directory);
  if (directory == kNullRef) return 0;
  return load64(&reinterpret_cast<const Directory*>(part.at(directory, sizeof(Directory)))->capacity);
}

const CollectionRoot* find_root(const Part& part, Binding binding) noexcept {
  const Ref ref = root_in_slot(part, binding.slot);
  if (ref == kNullRef) return nullptr;
  const auto* root = reinterpret_cast<const CollectionRoot*>(part.at(ref, sizeof(CollectionRoot)));
  return load32(&root->serial) == binding.serial ? root : nullptr;
}

CollectionRoot* find_root(Transaction& txn, Binding binding) noexcept {
  return const_cast<CollectionRoot*>(find_root(static_cast<const Part&>(txn.part()), binding));
}

void for_each_root(const Part& part, const std::function<void(Ref, const CollectionRoot&)>& visit) {
  for (std::uint64_t slot = 0; slot < slot_count(part); ++slot) {
    const Ref ref = root_in_slot(part, slot);
    if (ref != kNullRef) visit(ref, *reinterpret_cast<const CollectionRoot*>(part.at(ref, sizeof(CollectionRoot))));
  }
}

std::uint32_t first_free_slot(const Part& part) noexcept {
  std::uint32_t slot = 0;
  while (root_in_slot(part, slot) != kNullRef) ++slot;
  return slot;
}

void make_root(Transaction& txn, Binding binding, CollectionKind kind, std::uint32_t record_bytes) {
  const Ref present = root_in_slot(txn.part(), binding.slot);
  if (present != kNullRef) {
    if (!is_older(root_at(txn, present).serial, binding.serial)) return;
    detach(txn, present);
  }
  const auto* directory = reinterpret_cast<const Directory*>(txn.part().at(txn.control().directory, sizeof(Directory)));
  if (txn.control().directory == kNullRef || binding.slot >= directory->capacity) grow_directory(txn, binding.slot);
  set_slot(txn, binding.slot, new_root(txn, binding.serial, static_cast<std::uint32_t>(kind), record_bytes));
}

void discard_root(Transaction& txn, Binding binding, bool keep_empty) {
  const CollectionRoot* const root = find_root(txn, binding);
  if (root == nullptr) return;
  const Ref block = root_in_slot(txn.part(), binding.slot);
  const Ref fresh = keep_empty ? new_root(txn, root->serial, root->kind, root->record_bytes) : kNullRef;
  if (keep_empty) {
    txn.store32(fresh, offsetof(CollectionRoot, key_type), root->key_type);
    txn.store64(fresh, offsetof(CollectionRoot, list_version), root->list_version);
    txn.store32(fresh, offsetof(CollectionRoot, list_walks), root->list_walks);
  }
  set_slot(txn, binding.slot, fresh);
  if (keep_empty && root->categories != kNullRef) {  // a code that was handed out is good for good
    txn.store32(fresh, offsetof(CollectionRoot, categories), root->categories);
    txn.store32(block, offsetof(CollectionRoot, categories), kNullRef);
  }
  detach(txn, block);
}

bool empty_trash_step(Transaction& txn) {
  const Ref block = txn.control().trash;
  if (block == kNullRef) return false;
  CollectionRoot& root = root_at(txn, block);
  if (root.lookaside != kNullRef) free_lookaside(txn, &root.lookaside);
  const auto free_block = [&](Ref block_of_index) { txn.free(block_of_index); };
  if (root.due_index != kNullRef) {  // first: its records lead to entries
    dismantle_index(txn, &root.due_index, kBlocksPerStep, free_block);
  } else if (root.index != kNullRef) {
    dismantle_index(txn, &root.index, kBlocksPerStep, free_block);
  } else if (!cache_state::free_some(txn, root, kBlocksPerStep) && !list_state::free_some(txn, root, kBlocksPerStep) &&
             !slabs::free_one(txn, root) && !categories::free_some(txn, root)) {
    txn.store32(&txn.control().trash, root.next_trash);
    txn.free(block);
  }
  txn.commit();
  return true;
}

void empty_trash(Part& part) {
  for (;;) {
    Transaction txn(part);
    if (!empty_trash_step(txn)) return;
  }
}

}  // namespace kv
