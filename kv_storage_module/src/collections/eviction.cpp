#include "collections/eviction.hpp"

#include <algorithm>

#include "index/lookaside.hpp"
#include "kv_storage/error.hpp"

namespace kv::eviction {
namespace {

// ---- The ghost: buckets of eight 16-bit fingerprints, the latest first. Only lock holders touch it, unjournaled. ----

constexpr std::uint32_t kFirstGhostBuckets = 16;
constexpr std::uint32_t kFingerprints = 8;
constexpr std::size_t kGhostBucketBytes = kFingerprints * sizeof(std::uint16_t);
// It remembers as many keys as the cache holds, or up to a quarter more.
constexpr bool ghost_is_short(std::uint32_t buckets, std::uint64_t entries) noexcept {
  return std::uint64_t{buckets} * kFingerprints < entries;
}
constexpr std::uint32_t wanted_ghost_buckets(std::uint64_t entries) noexcept {
  const std::uint64_t buckets = entries * 5 / 4 / kFingerprints;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(buckets, kFirstGhostBuckets, 1U << 31));
}

struct GhostPlace {
  std::uint16_t* bucket;  // nullptr: no ghost yet
  std::uint16_t fingerprint;
};

[[nodiscard]] GhostPlace ghost_place(Transaction& txn, const CacheState& state, std::uint32_t tag) noexcept {
  constexpr std::uint64_t kSpread = 0xc2b2ae3d27d4eb4f;
  const std::uint64_t mixed = tag * kSpread;
  auto* const first = reinterpret_cast<std::uint16_t*>(txn.fresh(state.ghost));
  const std::uint64_t bucket = ((mixed >> 32) * state.ghost_buckets) >> 32;
  return {state.ghost == kNullRef ? nullptr : first + bucket * kFingerprints,
          static_cast<std::uint16_t>((mixed >> 8 & 0xffff) | 1)};  // 0 = free
}

void remember(Transaction& txn, const CacheState& state, std::uint32_t tag) noexcept {
  const auto [bucket, fingerprint] = ghost_place(txn, state, tag);
  if (bucket == nullptr) return;
  for (std::uint32_t i = kFingerprints - 1; i > 0; --i)
    store_relaxed<std::uint16_t>(bucket + i, load16(bucket + i - 1));
  store_relaxed<std::uint16_t>(bucket, fingerprint);
}

// Takes a key out of the ghost; false = it was not there.
[[nodiscard]] bool recall(Transaction& txn, const CacheState& state, std::uint32_t tag) noexcept {
  const auto [bucket, fingerprint] = ghost_place(txn, state, tag);
  if (bucket == nullptr) return false;
  std::uint32_t i = 0;
  while (i < kFingerprints && load16(bucket + i) != fingerprint) ++i;
  if (i == kFingerprints) return false;
  // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): loses sight of structured bindings
  for (; i + 1 < kFingerprints; ++i) store_relaxed<std::uint16_t>(bucket + i, load16(bucket + i + 1));
  store_relaxed<std::uint16_t>(bucket + kFingerprints - 1, 0);
  return true;
}

// Each new bucket begins with what the old one held that its keys went to; some of that now belongs to a neighbour.
void grow_ghost(Transaction& txn, CollectionRoot& root, std::uint64_t entries) {
  CacheState& state = cache_state::of(txn, root);
  const std::uint32_t buckets = wanted_ghost_buckets(entries);
  const Ref block = txn.allocate(buckets * kGhostBucketBytes);
  for (std::uint64_t i = 0; i < buckets; ++i) {
    const std::uint64_t old = i * state.ghost_buckets / buckets;
    for (std::size_t at = 0; at < kGhostBucketBytes; at += 8) {
      const std::uint64_t word =
          state.ghost == kNullRef ? 0 : load64(txn.at(state.ghost) + old * kGhostBucketBytes + at);
      store_relaxed<std::uint64_t>(txn.fresh(block) + i * kGhostBucketBytes + at, word);
    }
  }
  if (state.ghost != kNullRef) txn.free(state.ghost);
  txn.store32(&state.ghost, block);
  txn.store32(&state.ghost_buckets, buckets);
  txn.commit();
}

// ---- Counters ----

[[nodiscard]] unsigned count_of(const CacheSide& side, std::uint32_t tag) noexcept {
  const auto [byte, shift] = side.place(tag);
  return load8(byte) >> shift & 3U;
}
void set_count(const CacheSide& side, std::uint32_t tag, unsigned count) noexcept {
  const auto [byte, shift] = side.place(tag);
  store_relaxed<std::uint8_t>(byte, static_cast<std::uint8_t>((load8(byte) & ~(3U << shift)) | count << shift));
}

// What the next eviction from this queue reads, on its way from memory while the caller goes on: the count of the
// oldest entry, its places in the look-aside and in the ghost, and the entry behind it. Its own lines were just
// written.
void prefetch_next(Transaction& txn, const CollectionRoot& root, CacheState& state, QueueKind kind) noexcept {
  const Ref oldest = state.queue(kind).oldest;
  if (oldest == kNullRef) return;
  const std::byte* const at = txn.fresh(oldest);
  const EntryLinks& links = cache_state::links(txn, oldest);
  __builtin_prefetch(cache_state::side_at(txn.part(), state.side).place(links.tag).byte, 1);
  Lookaside(txn.part(), root.lookaside).prefetch(links.tag);
  __builtin_prefetch(ghost_place(txn, state, links.tag).bucket, 1);
  constexpr std::ptrdiff_t kLineBytes = 64, kMostLines = 4;
  const std::ptrdiff_t links_at = reinterpret_cast<const std::byte*>(&links) - at;
  for (std::ptrdiff_t i = kLineBytes; i < std::min(links_at, kMostLines * kLineBytes); i += kLineBytes) {
    __builtin_prefetch(at + i, 1);
  }
  if (links.newer == kNullRef) return;
  const std::byte* const newer = txn.fresh(links.newer);
  __builtin_prefetch(newer, 1);
  __builtin_prefetch(newer + links_at, 1);  // where entries are of one size
}

[[nodiscard]] QueueKind next_to_shrink(CacheState& state) noexcept {
  const EntryQueue& small = state.queue(QueueKind::kSmall);
  if (small.oldest == kNullRef) return QueueKind::kMain;
  const bool main_is_empty = state.queue(QueueKind::kMain).oldest == kNullRef;
  return main_is_empty || small.bytes >= state.capacity / 100 * kSmallPercent ? QueueKind::kSmall : QueueKind::kMain;
}

}  // namespace

bool evict_one(Transaction& txn, CollectionRoot& root) {
  CacheState& state = cache_state::of(txn, root);
  const CacheSide& side = cache_state::side_at(txn.part(), state.side);
  for (int moves = 0;; ++moves) {
    const QueueKind kind = next_to_shrink(state);
    const Ref entry = state.queue(kind).oldest;
    if (entry == kNullRef) return false;
    const std::uint32_t tag = cache_state::links(txn, entry).tag;
    const unsigned count = count_of(side, tag);
    if (count == 0 || moves == kMaxMoves) {
      remember(txn, state, tag);
      cache_state::remove(txn, root, entry);
      txn.free(entry);
      txn.store64(&state.evictions, state.evictions + 1);
      txn.commit();
      prefetch_next(txn, root, state, kind);
      return true;
    }
    set_count(side, tag, kind == QueueKind::kSmall ? 0 : count - 1);
    cache_state::move_to_main(txn, root, entry);
    txn.commit();
    prefetch_next(txn, root, state, kind);
  }
}

QueueKind queue_for(Transaction& txn, CollectionRoot& root, std::uint32_t tag) noexcept {
  const CacheState& state = cache_state::of(txn, root);
  set_count(cache_state::side_at(txn.part(), state.side), tag, 0);
  return recall(txn, state, tag) ? QueueKind::kMain : QueueKind::kSmall;
}

void tend(Transaction& txn, CollectionRoot& root, std::uint32_t tag) noexcept {
  constexpr std::uint64_t kFewestEntries = 32;  // for which a look-aside is made
  const std::uint64_t entries = std::max(root.entries, kFewestEntries);
  try {
    const Lookaside table(txn.part(), root.lookaside);
    if (table.buckets() == 0 || lookaside_wants_resize(table.buckets(), entries)) {
      resize_lookaside(txn, &root.lookaside, entries);
    } else if (!table.has_room(tag)) {
      resize_lookaside(txn, &root.lookaside, 2 * entries);
    }
    if (ghost_is_short(cache_state::of(txn, root).ghost_buckets, entries)) grow_ghost(txn, root, entries);
  } catch (const Error&) {
    txn.rollback();
  }
}

bool relieve(Part& part, std::uint64_t bytes) {
  Transaction txn(part);
  Ref largest = kNullRef;
  std::uint64_t most = 0;
  for_each_root(part, [&](Ref block, const CollectionRoot& root) {
    if (root.cache == kNullRef) return;
    const std::uint64_t held = cache_state::of(part, root).bytes();
    if (held > most) most = held, largest = block;
  });
  if (largest == kNullRef) return false;
  auto& root = *reinterpret_cast<CollectionRoot*>(txn.fresh(largest));
  const std::uint64_t keep = most - std::min(bytes, most);
  while (cache_state::of(txn, root).bytes() > keep && evict_one(txn, root)) {
  }
  return true;
}

}  // namespace kv::eviction
