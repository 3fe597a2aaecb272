#include "collections/slabs.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "memory/pins.hpp"
#include "memory/size_classes.hpp"

namespace kv::slabs {
namespace {

constexpr std::size_t kFirstSlabBytes = 3 * kChunkBytes;  // more than kMaxSmallBytes: a slab is a large block
constexpr std::size_t kMaxSlabBytes = 4 * 1024 * 1024;    // but for reserve()
static_assert(kFirstSlabBytes > kMaxSmallBytes);

[[nodiscard]] constexpr std::size_t round_up(std::size_t value, std::size_t to) noexcept {
  return (value + to - 1) / to * to;
}

[[nodiscard]] constexpr std::size_t records_offset(std::size_t slots) noexcept {
  return round_up(sizeof(SlabHeader) + 2 * ((slots + 63) / 64) * 8, 64);
}

[[nodiscard]] SlabHeader& mutable_header(Transaction& txn, Ref slab) noexcept {
  return *reinterpret_cast<SlabHeader*>(txn.fresh(slab));
}
[[nodiscard]] std::uint64_t* used_words(SlabHeader& slab) noexcept {
  return reinterpret_cast<std::uint64_t*>(&slab + 1);
}
[[nodiscard]] std::uint64_t* taken_words(SlabHeader& slab) noexcept { return used_words(slab) + slab.bitmap_words(); }

// How many slots fit into a block of `bytes`.
[[nodiscard]] std::uint32_t slots_in(std::size_t bytes, std::uint32_t record_bytes) noexcept {
  std::size_t slots = (bytes - sizeof(SlabHeader)) / record_bytes;
  while (slots > 1 && records_offset(slots) + slots * record_bytes > bytes) --slots;
  return static_cast<std::uint32_t>(slots);
}

void link_open(Transaction& txn, CollectionRoot& root, Ref slab) {
  SlabHeader& header = mutable_header(txn, slab);
  txn.store32(&header.prev_open, kNullRef);
  txn.store32(&header.next_open, root.open_slabs);
  if (root.open_slabs != kNullRef) txn.store32(&mutable_header(txn, root.open_slabs).prev_open, slab);
  txn.store32(&root.open_slabs, slab);
}

void unlink_open(Transaction& txn, CollectionRoot& root, const SlabHeader& header) {
  if (header.prev_open != kNullRef) {
    txn.store32(&mutable_header(txn, header.prev_open).next_open, header.next_open);
  } else {
    txn.store32(&root.open_slabs, header.next_open);
  }
  if (header.next_open != kNullRef) txn.store32(&mutable_header(txn, header.next_open).prev_open, header.prev_open);
}

void unlink(Transaction& txn, CollectionRoot& root, const SlabHeader& header) {
  if (header.prev != kNullRef) {
    txn.store32(&mutable_header(txn, header.prev).next, header.next);
  } else {
    txn.store32(&root.slabs, header.next);
  }
  if (header.next != kNullRef) txn.store32(&mutable_header(txn, header.next).prev, header.prev);
}

// A new slab, linked among all; its bitmaps are all ones if `full`, else ones only beyond the last slot.
Ref make_slab(Transaction& txn, CollectionRoot& root, std::uint32_t slots, bool full) {
  const std::size_t bytes = records_offset(slots) + std::size_t{slots} * root.record_bytes;
  const Ref slab = txn.allocate(std::max(bytes, kFirstSlabBytes));
  SlabHeader& header = mutable_header(txn, slab);
  header = {};
  header.record_bytes = root.record_bytes;
  header.slots = slots;
  header.records_offset = static_cast<std::uint32_t>(records_offset(slots));
  header.used = header.taken = full ? slots : 0;
  header.next = root.slabs;
  const std::size_t words = header.bitmap_words();
  std::fill_n(used_words(header), 2 * words, full ? ~std::uint64_t{0} : 0);
  if (const std::uint32_t rest = slots % 64; rest != 0) {
    if (full)
      used_words(header)[words - 1] = ~(~std::uint64_t{0} << rest);  // what slabs() shows ends with the last slot
    taken_words(header)[words - 1] |= ~std::uint64_t{0} << rest;
  }
  if (root.slabs != kNullRef) txn.store32(&mutable_header(txn, root.slabs).prev, slab);
  txn.store32(&root.slabs, slab);
  return slab;
}

// Twice the slots of the newest slab, within bounds.
Ref grow(Transaction& txn, CollectionRoot& root) {
  std::size_t bytes = kFirstSlabBytes;
  if (root.slabs != kNullRef) {
    const SlabHeader& newest = mutable_header(txn, root.slabs);
    bytes = std::clamp(2 * (records_offset(newest.slots) + std::size_t{newest.slots} * newest.record_bytes),
                       kFirstSlabBytes, kMaxSlabBytes);
  }
  bytes = std::max(round_up(bytes, kChunkBytes),
                   round_up(records_offset(8) + 8 * std::size_t{root.record_bytes}, kChunkBytes));
  const Ref slab = make_slab(txn, root, slots_in(bytes, root.record_bytes), false);
  link_open(txn, root, slab);
  return slab;
}

void set_bits(Transaction& txn, SlabHeader& header, std::uint32_t slot, bool used, bool taken) {
  const std::size_t word = slot / 64;
  const std::uint64_t mask = std::uint64_t{1} << slot % 64;
  const auto apply = [&](std::uint64_t* at, bool on) {
    const std::uint64_t bits = load64(at);
    txn.store64(at, on ? bits | mask : bits & ~mask);
  };
  apply(used_words(header) + word, used);
  apply(taken_words(header) + word, taken);
}

// Hands deferred slots out again if nobody looks at the slab any more. One word of 64 slots a call is enough: the
// caller needs one slot.
void settle_deferred(Transaction& txn, CollectionRoot& root, Ref slab) {
  SlabHeader& header = mutable_header(txn, slab);
  if (header.deferred == 0 || (txn.control().pins.records != 0 && pins::pinned(txn, slab))) return;
  for (std::size_t word = 0; word < header.bitmap_words(); ++word) {
    const std::uint64_t used = load64(used_words(header) + word);
    const std::uint64_t taken = load64(taken_words(header) + word);
    const std::uint64_t valid = word + 1 < header.bitmap_words() || header.slots % 64 == 0
                                    ? ~std::uint64_t{0}
                                    : ~(~std::uint64_t{0} << header.slots % 64);
    const std::uint64_t freed = taken & ~used & valid;
    if (freed == 0) continue;
    const auto count = static_cast<std::uint32_t>(std::popcount(freed));
    if (header.taken == header.slots) link_open(txn, root, slab);
    txn.store64(taken_words(header) + word, taken & ~freed);
    txn.store32(&header.taken, header.taken - count);
    txn.store32(&header.deferred, header.deferred - count);
    txn.store32(&header.hint, std::min(header.hint, static_cast<std::uint32_t>(word)));
    return;
  }
}

}  // namespace

RecordRef allocate(Transaction& txn, CollectionRoot& root) {
  for (Ref slab = root.slabs; root.open_slabs == kNullRef && slab != kNullRef; slab = mutable_header(txn, slab).next) {
    settle_deferred(txn, root, slab);
  }
  const Ref slab = root.open_slabs != kNullRef ? root.open_slabs : grow(txn, root);
  SlabHeader& header = mutable_header(txn, slab);
  std::uint32_t word = header.hint;
  while (load64(taken_words(header) + word) == ~std::uint64_t{0}) ++word;  // an open slab has a free slot
  const std::uint32_t slot =
      word * 64 + static_cast<std::uint32_t>(std::countr_one(load64(taken_words(header) + word)));
  set_bits(txn, header, slot, true, true);
  txn.store32(&header.hint, word);
  txn.store32(&header.used, header.used + 1);
  txn.store32(&header.taken, header.taken + 1);
  if (header.taken == header.slots) unlink_open(txn, root, header);
  return {Part::offset_ref(slab, header.records_offset + std::size_t{slot} * header.record_bytes), slab};
}

void free(Transaction& txn, CollectionRoot& root, RecordRef at) {
  const auto [record, slab] = at;
  SlabHeader& header = mutable_header(txn, slab);
  const auto offset = (std::uint64_t{record} - slab) * kGranule - header.records_offset;
  const auto slot = static_cast<std::uint32_t>(offset / header.record_bytes);
  if (offset % header.record_bytes != 0 || slot >= header.slots)
    throw std::logic_error("free of something that is no record");
  const bool keep_taken = txn.control().pins.records != 0 && pins::pinned(txn, slab);
  if (!keep_taken && header.taken == header.slots) link_open(txn, root, slab);
  set_bits(txn, header, slot, false, keep_taken);
  txn.store32(&header.used, header.used - 1);
  if (keep_taken) {
    txn.store32(&header.deferred, header.deferred + 1);
    return;
  }
  txn.store32(&header.hint, std::min(header.hint, slot / 64));
  txn.store32(&header.taken, header.taken - 1);
  const bool only_open = root.open_slabs == slab && header.next_open == kNullRef;
  if (header.taken == 0 && !only_open) {
    unlink_open(txn, root, header);
    unlink(txn, root, header);
    txn.free(slab);
  }
}

RecordRef reserve(Transaction& txn, CollectionRoot& root, std::uint32_t slots) {
  const Ref slab = make_slab(txn, root, slots, true);
  return {Part::offset_ref(slab, mutable_header(txn, slab).records_offset), slab};
}

bool free_one(Transaction& txn, CollectionRoot& root) {
  const Ref slab = root.slabs;
  if (slab == kNullRef) return false;
  unlink(txn, root, mutable_header(txn, slab));
  txn.store32(&root.open_slabs, kNullRef);
  txn.free(slab);
  return true;
}

std::vector<Ref> all(const Part& part, const CollectionRoot& root) {
  std::vector<Ref> slabs;
  for (Ref slab = root.slabs; slab != kNullRef; slab = header(part, slab).next) slabs.push_back(slab);
  std::reverse(slabs.begin(), slabs.end());
  return slabs;
}

}  // namespace kv::slabs
