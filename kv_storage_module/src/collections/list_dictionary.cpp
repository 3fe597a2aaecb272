#include "collections/list_dictionary.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include "collections/entries.hpp"
#include "index/entry.hpp"
#include "index/key_hash.hpp"

namespace kv::list_dictionary {
namespace {

constexpr std::uint32_t kFirstBuckets = kFirstSlots;
constexpr std::uint32_t kFirstPages = 4;
constexpr std::uint32_t kMaxChain = 65'536;  // bounds what a section follows through garbage

[[nodiscard]] std::uint32_t bucket_of(std::uint32_t hash, std::uint32_t buckets) noexcept {
  if (buckets == 0) return 0;  // garbage
  const std::uint32_t mask = std::bit_ceil(buckets) - 1;
  const std::uint32_t bucket = hash & mask;
  return bucket < buckets ? bucket : bucket & mask >> 1;
}

[[nodiscard]] bool holds(const Part& part, Ref entry, const Value& value) noexcept {
  const EntryHeader header = EntryHeader::load(part.at(entry, kEntryHeaderBytes));
  if (header.kind != kEntryKind || header.type != value.type || header.key_bytes != kValueRecordBytes ||
      header.value_bytes != value.size() || !part.contains(entry, header.total_bytes())) {
    return false;
  }
  const std::byte* at = entry_value(part, entry);
  return equal_bytes(at, value.data.data(), value.data.size()) &&
         equal_bytes(at + value.data.size(), value.trailer.data(), value.trailer.size());
}

// ---- For the writer ----

[[nodiscard]] ValueRecord& record_at(Transaction& txn, Ref entry) noexcept {
  return *reinterpret_cast<ValueRecord*>(txn.fresh(entry) + kEntryHeaderBytes);
}
[[nodiscard]] SlotPage& page_at(Transaction& txn, const SlotTable& table, std::uint32_t page) noexcept {
  return reinterpret_cast<SlotPage*>(txn.fresh(table.pages))[page];
}
[[nodiscard]] Ref* slots_at(Transaction& txn, const SlotTable& table, std::uint32_t page) noexcept {
  return reinterpret_cast<Ref*>(txn.fresh(page_at(txn, table, page).slots));
}
[[nodiscard]] Ref* slot(Transaction& txn, const SlotTable& table, std::uint32_t index) noexcept {
  return slots_at(txn, table, index / kPageSlots) + index % kPageSlots;
}
[[nodiscard]] std::uint32_t slots_of_page(const SlotTable& table, std::uint32_t page) noexcept {
  return page == 0 ? table.first_slots : kPageSlots;
}

[[nodiscard]] Ref new_slots(Transaction& txn, std::uint32_t slots) {
  const Ref block = txn.allocate(slots * sizeof(Ref));
  std::byte* const at = txn.fresh(block);
  for (std::size_t i = 0; i < slots * sizeof(Ref); i += 8) store_relaxed<std::uint64_t>(at + i, 0);
  return block;
}

void store_counts(Transaction& txn, SlotPage& page, std::uint32_t used, std::uint32_t hint) {
  txn.store32(&page.used, used | hint << 16);
}

void grow_pages(Transaction& txn, SlotTable& table) {
  const std::uint32_t capacity = std::max(kFirstPages, table.page_capacity * 2);
  const Ref pages = txn.allocate(capacity * sizeof(SlotPage));
  std::byte* const to = txn.fresh(pages);
  for (std::uint32_t i = 0; i < capacity; ++i) {
    const bool present = i < table.page_capacity;
    store_relaxed<std::uint64_t>(to + i * sizeof(SlotPage), present ? load64(&page_at(txn, table, i)) : 0);
  }
  const Ref old_pages = table.pages;
  txn.store32(&table.pages, pages);
  txn.store32(&table.page_capacity, capacity);
  if (old_pages != kNullRef) txn.free(old_pages);
}

// Makes the slots of a page that has none; `page` is at most page_count.
void add_page(Transaction& txn, SlotTable& table, std::uint32_t page) {
  if (page >= table.page_capacity) grow_pages(txn, table);
  if (page == 0 && table.first_slots != kFirstSlots) txn.store32(&table.first_slots, kFirstSlots);
  const Ref slots = new_slots(txn, page == 0 ? kFirstSlots : kPageSlots);
  SlotPage& at = page_at(txn, table, page);
  txn.store32(&at.slots, slots);
  store_counts(txn, at, 0, 0);
  if (page == table.page_count) txn.store32(&table.page_count, page + 1);
}

void grow_first_page(Transaction& txn, SlotTable& table) {
  const std::uint32_t slots = std::min(table.first_slots * 4, kPageSlots);
  const Ref block = new_slots(txn, slots);
  SlotPage& page = page_at(txn, table, 0);
  copy_in(txn.fresh(block), slots_at(txn, table, 0), table.first_slots * sizeof(Ref));
  txn.free(page.slots);
  txn.store32(&page.slots, block);
  txn.store32(&table.first_slots, slots);
}

void drop_page(Transaction& txn, SlotTable& table, std::uint32_t page) {
  SlotPage& at = page_at(txn, table, page);
  txn.free(at.slots);
  txn.store32(&at.slots, kNullRef);
  if (page + 1 == table.page_count) txn.store32(&table.page_count, page);
}

// ---- Codes ----

// The first page with a free slot.
[[nodiscard]] std::uint32_t open_page(Transaction& txn, ListState& state) {
  SlotTable& table = state.codes;
  std::uint32_t page = state.code_page_hint;
  for (; page < table.page_count; ++page) {
    const SlotPage& at = page_at(txn, table, page);
    if (at.slots == kNullRef) break;
    if (at.used < slots_of_page(table, page)) return page;
    if (page == 0 && table.first_slots < kPageSlots) {
      grow_first_page(txn, table);
      return page;
    }
  }
  add_page(txn, table, page);
  return page;
}

[[nodiscard]] std::uint32_t take_code(Transaction& txn, ListState& state) {
  const std::uint32_t page = open_page(txn, state);
  if (page != state.code_page_hint) txn.store32(&state.code_page_hint, page);
  SlotPage& at = page_at(txn, state.codes, page);
  const Ref* const slots = slots_at(txn, state.codes, page);
  std::uint32_t free = at.hint;
  while (slots[free] != kNullRef) ++free;
  store_counts(txn, at, at.used + 1U, free + 1);
  return page * kPageSlots + free;
}

void give_code(Transaction& txn, ListState& state, std::uint32_t code) {
  const std::uint32_t page = code / kPageSlots;
  SlotPage& at = page_at(txn, state.codes, page);
  txn.store32(slot(txn, state.codes, code), kNullRef);
  store_counts(txn, at, at.used - 1U, std::min<std::uint32_t>(at.hint, code % kPageSlots));
  if (page < state.code_page_hint) txn.store32(&state.code_page_hint, page);
  if (at.used == 0) drop_page(txn, state.codes, page);
}

// ---- Buckets ----

// Adds a bucket, and moves what belongs into it out of the one it splits.
void split_bucket(Transaction& txn, ListState& state) {
  SlotTable& table = state.buckets;
  const std::uint32_t fresh = state.bucket_count;
  const std::uint32_t half = std::bit_floor(fresh), mask = 2 * half - 1;
  if (fresh % kPageSlots == 0) {
    add_page(txn, table, fresh / kPageSlots);
  } else if (fresh < kPageSlots && fresh == table.first_slots) {
    grow_first_page(txn, table);
  }
  Ref* place = slot(txn, table, fresh - half);
  Ref moved = kNullRef;
  for (Ref entry = *place; entry != kNullRef;) {
    ValueRecord& record = record_at(txn, entry);
    const Ref next = record.next;
    if ((record.hash & mask) == fresh) {
      txn.store32(place, next);
      txn.store32(&record.next, moved);
      moved = entry;
    } else {
      place = &record.next;
    }
    entry = next;
  }
  if (moved != kNullRef) txn.store32(slot(txn, table, fresh), moved);
  txn.store32(&state.bucket_count, fresh + 1);
}

// The inverse: the last bucket goes, and its chain with it to where it came from.
void merge_bucket(Transaction& txn, ListState& state) {
  SlotTable& table = state.buckets;
  const std::uint32_t last = state.bucket_count - 1;
  Ref* const from = slot(txn, table, last);
  if (*from != kNullRef) {
    Ref* const to = slot(txn, table, last - std::bit_floor(last));
    Ref* end = &record_at(txn, *from).next;
    while (*end != kNullRef) end = &record_at(txn, *end).next;
    if (*to != kNullRef) txn.store32(end, *to);
    txn.store32(to, *from);
    txn.store32(from, kNullRef);
  }
  txn.store32(&state.bucket_count, last);
  if (last % kPageSlots == 0) drop_page(txn, table, last / kPageSlots);
}

void unlink(Transaction& txn, ListState& state, Ref entry) {
  const ValueRecord& record = record_at(txn, entry);
  Ref* place = slot(txn, state.buckets, bucket_of(record.hash, state.bucket_count));
  while (*place != entry) place = &record_at(txn, *place).next;
  txn.store32(place, record.next);
}

}  // namespace

std::uint32_t hash_of(const Value& value, std::uint64_t seed) {
  const std::uint64_t typed_seed = seed + static_cast<std::uint64_t>(value.type);
  // Where the bytes are cut into data and trailer does not matter to what they are.
  const std::uint64_t hash = value.trailer.empty() ? hash_key(value.data, typed_seed)
                                                   : hash_key(std::string(value.data) += value.trailer, typed_seed);
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

Ref find(const Part& part, const ListState& state, const HashedValue& value) noexcept {
  const std::uint32_t bucket = bucket_of(value.hash, load32(&state.bucket_count));
  Ref entry = load32(list_state::slot_at(part, state.buckets, bucket));
  for (std::uint32_t steps = 0; entry != kNullRef && steps < kMaxChain; ++steps) {
    const ValueRecord& record = list_state::record_of(part, entry);
    if (load32(&record.hash) == value.hash && holds(part, entry, value.value)) return entry;
    entry = load32(&record.next);
  }
  return kNullRef;
}

void make(Transaction& txn, ListState& state) {
  for (SlotTable* table : {&state.codes, &state.buckets}) {
    grow_pages(txn, *table);
    add_page(txn, *table, 0);
  }
  state.bucket_count = kFirstBuckets;
}

std::uint32_t acquire(Transaction& txn, ListState& state, const HashedValue& value, std::uint32_t walks) {
  if (const Ref present = find(txn.part(), state, value); present != kNullRef) {
    ValueRecord& record = record_at(txn, present);
    txn.store64(&record.tally, record.tally + 1);
    return record.code;
  }
  if (state.distinct >= state.bucket_count) split_bucket(txn, state);
  const std::uint32_t code = take_code(txn, state);
  Ref* const head = slot(txn, state.buckets, bucket_of(value.hash, state.bucket_count));
  const ValueRecord record{
      .tally = std::uint64_t{walks} << ValueRecord::kCountBits | 1, .hash = value.hash, .code = code, .next = *head};
  const Ref entry = make_entry(txn, {reinterpret_cast<const char*>(&record), kValueRecordBytes}, value.value);
  txn.store32(head, entry);
  txn.store32(slot(txn, state.codes, code), entry);
  txn.store64(&state.distinct, state.distinct + 1);
  if (is_opaque(value.value.type)) txn.store64(&state.opaque, state.opaque + 1);
  return code;
}

void release(Transaction& txn, ListState& state, std::uint32_t code) {
  const Ref entry = entry_of(txn.part(), state, code);
  ValueRecord& record = record_at(txn, entry);
  if (record.count() > 1) return txn.store64(&record.tally, record.tally - 1);
  unlink(txn, state, entry);
  give_code(txn, state, code);
  txn.store64(&state.distinct, state.distinct - 1);
  if (is_opaque(EntryHeader::load(txn.at(entry)).type)) txn.store64(&state.opaque, state.opaque - 1);
  txn.free(entry);
  // Two for each value, or a table would still be half as long when its last value goes.
  for (int i = 0; i < 2 && state.bucket_count > kFirstBuckets && state.distinct < state.bucket_count / 2; ++i) {
    merge_bucket(txn, state);
  }
}

}  // namespace kv::list_dictionary
