#include "collections/cache_state.hpp"

#include <algorithm>
#include <cstddef>

#include "collections/due_index.hpp"
#include "collections/lease_record.hpp"
#include "index/lookaside.hpp"

namespace kv::cache_state {
namespace {

// A byte (four counters) for so many bytes of capacity: 16 counters or more for each entry of 128 bytes, so that few
// share one (docs/decisions/cache-policy.md), for 3 % of the capacity.
constexpr std::uint64_t kCapacityPerCounterByte = 32;
constexpr std::uint64_t kMinCounterBytes = 256;
constexpr std::uint64_t kMaxCounterBytes = std::uint64_t{64} << 20;

[[nodiscard]] std::uint64_t wanted_counter_bytes(std::uint64_t capacity) noexcept {
  return std::clamp(capacity / kCapacityPerCounterByte, kMinCounterBytes, kMaxCounterBytes) / 8 * 8;
}

[[nodiscard]] Ref* first_side(Transaction& txn) noexcept { return &txn.control().cache_sides; }

void clear_side(CacheSide& side, std::uint32_t serial) noexcept {
  store_relaxed<std::uint32_t>(&side.serial, serial);
  for (auto& stripe : side.stripes) {
    store_relaxed<std::uint64_t>(&stripe.hits, 0);
    store_relaxed<std::uint64_t>(&stripe.misses, 0);
  }
  auto* const counters = reinterpret_cast<std::byte*>(&side + 1);
  for (std::uint64_t i = 0; i < side.counter_bytes; i += 8) store_relaxed<std::uint64_t>(counters + i, 0);
}

// One that no cache uses and that is large enough, else a new one.
[[nodiscard]] Ref take_side(Transaction& txn, std::uint32_t serial, std::uint64_t capacity) {
  const std::uint64_t wanted = wanted_counter_bytes(capacity);
  for (Ref ref = *first_side(txn); ref != kNullRef; ref = side_at(txn.part(), ref).next) {
    CacheSide& side = side_at(txn.part(), ref);
    if (side.serial != 0 || side.counter_bytes < wanted || side.counter_bytes > 4 * wanted) continue;
    txn.store32(&side.serial, serial);
    clear_side(side, serial);
    return ref;
  }
  const Ref ref = txn.allocate(sizeof(CacheSide) + wanted);
  CacheSide& side = side_at(txn.part(), ref);
  const CacheSide fresh{.counter_bytes = wanted, .next = *first_side(txn), .serial = serial, .wake = 0, .stripes = {}};
  copy_in(&side, &fresh, sizeof fresh);
  clear_side(side, serial);
  txn.store32(first_side(txn), ref);
  return ref;
}

void release_side(Transaction& txn, Ref ref) { txn.store32(&side_at(txn.part(), ref).serial, 0); }

void publish(Transaction& txn, CollectionRoot& root, const CacheState& state) {
  const Ref block = txn.allocate(sizeof(CacheState));
  copy_in(txn.fresh(block), &state, sizeof state);
  txn.store32(&root.cache, block);
}

void unlink(Transaction& txn, CacheState& state, const EntryLinks& at, std::uint64_t bytes) {
  EntryQueue& queue = state.queues[at.queue];
  txn.store32(at.older == kNullRef ? &queue.oldest : &links(txn, at.older).newer, at.newer);
  txn.store32(at.newer == kNullRef ? &queue.newest : &links(txn, at.newer).older, at.older);
  txn.store64(&queue.bytes, queue.bytes - bytes);
}

}  // namespace

void make(Transaction& txn, CollectionRoot& root, std::uint64_t capacity) {
  CacheState state{};
  state.capacity = capacity;
  state.side = take_side(txn, root.serial, capacity);
  publish(txn, root, state);
}

void inherit(Transaction& txn, CollectionRoot& root, CollectionRoot& old) {
  CacheState& former = of(txn, old);
  CacheState state{};
  state.capacity = former.capacity;
  state.evictions = former.evictions;
  state.expirations = former.expirations;
  state.refused = former.refused;
  state.tickets = former.tickets;
  state.side = former.side;
  state.leases = former.leases;
  publish(txn, root, state);
  txn.store32(&former.side, kNullRef);
  txn.store32(&former.leases, kNullRef);
}

void set_capacity(Transaction& txn, CollectionRoot& root, std::uint64_t capacity) {
  CacheState& state = of(txn, root);
  txn.store64(&state.capacity, capacity);
  const CacheSide& present = side_at(txn.part(), state.side);
  if (present.counter_bytes >= wanted_counter_bytes(capacity)) return;
  const Ref ref = take_side(txn, root.serial, capacity);
  CacheSide& side = side_at(txn.part(), ref);
  for (std::uint32_t i = 0; i < CacheSide::kStripes; ++i) {
    store_relaxed<std::uint64_t>(&side.stripes[i].hits, load64(&present.stripes[i].hits));
    store_relaxed<std::uint64_t>(&side.stripes[i].misses, load64(&present.stripes[i].misses));
  }
  release_side(txn, state.side);
  txn.store32(&state.side, ref);
}

EntryLinks& links(Transaction& txn, Ref entry) noexcept {
  std::byte* const at = txn.fresh(entry);
  return *reinterpret_cast<EntryLinks*>(at + links_offset(EntryHeader::load(at).total_bytes()));
}

void push(Transaction& txn, CollectionRoot& root, Ref entry, QueueKind kind, std::uint32_t tag) {
  CacheState& state = of(txn, root);
  EntryQueue& queue = state.queue(kind);
  const EntryLinks made{queue.newest, kNullRef, static_cast<std::uint32_t>(kind), tag};
  copy_in(&links(txn, entry), &made, sizeof made);
  txn.store32(queue.newest == kNullRef ? &queue.oldest : &links(txn, queue.newest).newer, entry);
  txn.store32(&queue.newest, entry);
  txn.store64(&queue.bytes, queue.bytes + txn.block_bytes(entry));
  txn.store64(&root.entries, root.entries + 1);
  due_index::add(txn, root, entry);
}

void remove(Transaction& txn, CollectionRoot& root, Ref entry) {
  const EntryLinks at = links(txn, entry);
  Lookaside(txn.part(), root.lookaside).remove(at.tag, entry);
  unlink(txn, of(txn, root), at, txn.block_bytes(entry));
  txn.store64(&root.entries, root.entries - 1);
  due_index::remove(txn, root, entry);
}

void expire(Transaction& txn, CollectionRoot& root, Ref entry) {
  CacheState& state = of(txn, root);
  remove(txn, root, entry);
  txn.free(entry);
  txn.store64(&state.expirations, state.expirations + 1);
}

void move_to_main(Transaction& txn, CollectionRoot& root, Ref entry) {
  CacheState& state = of(txn, root);
  EntryLinks& at = links(txn, entry);
  const std::uint64_t bytes = txn.block_bytes(entry);
  EntryQueue& queue = state.queue(QueueKind::kMain);
  if (queue.newest == entry) return;
  unlink(txn, state, at, bytes);
  txn.store32(&at.older, queue.newest);
  txn.store32(&at.newer, kNullRef);
  txn.store32(&at.queue, static_cast<std::uint32_t>(QueueKind::kMain));
  txn.store32(queue.newest == kNullRef ? &queue.oldest : &links(txn, queue.newest).newer, entry);
  txn.store32(&queue.newest, entry);
  txn.store64(&queue.bytes, queue.bytes + bytes);
}

bool free_some(Transaction& txn, CollectionRoot& root, std::size_t entries) {
  if (root.cache == kNullRef) return false;
  CacheState& state = of(txn, root);
  for (EntryQueue& queue : state.queues) {
    if (queue.oldest == kNullRef) continue;
    Ref entry = queue.oldest;
    for (; entries > 0 && entry != kNullRef; --entries) {
      const Ref newer = links(txn, entry).newer;
      txn.free(entry);
      entry = newer;
    }
    txn.store32(&queue.oldest, entry);
    return true;
  }
  if (state.leases != kNullRef) {
    const Ref lease = state.leases;
    txn.store32(&state.leases, reinterpret_cast<const LeaseRecord*>(txn.at(lease))->next);
    txn.free(lease);
    return true;
  }
  if (state.ghost != kNullRef) txn.free(state.ghost);
  if (state.side != kNullRef) release_side(txn, state.side);
  txn.free(root.cache);
  txn.store32(&root.cache, kNullRef);
  return true;
}

void for_each_entry(const Part& part, const CollectionRoot& root, const std::function<void(Ref, QueueKind)>& visit) {
  if (root.cache == kNullRef) return;
  for (const QueueKind kind : kQueueKinds) {
    Ref entry = of(part, root).queues[static_cast<std::uint32_t>(kind)].oldest;
    while (entry != kNullRef) {
      const std::byte* at = part.at(entry, kEntryHeaderBytes);
      visit(entry, kind);
      entry = load32(at + links_offset(EntryHeader::load(at).total_bytes()) + offsetof(EntryLinks, newer));
    }
  }
}

void for_each_block(const Part& part, const CollectionRoot& root, const std::function<void(Ref)>& visit) {
  if (root.cache == kNullRef) return;
  visit(root.cache);
  const CacheState& state = of(part, root);
  if (state.ghost != kNullRef) visit(state.ghost);
  for (Ref lease = state.leases; lease != kNullRef;) {
    visit(lease);
    lease = reinterpret_cast<const LeaseRecord*>(part.at(lease, sizeof(LeaseRecord)))->next;
  }
}

void for_each_side(const Part& part, const std::function<void(Ref)>& visit) {
  for (Ref side = part.control().cache_sides; side != kNullRef; side = side_at(part, side).next) visit(side);
}

}  // namespace kv::cache_state
