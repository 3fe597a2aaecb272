#include "memory/pins.hpp"

namespace kv::pins {
namespace {

constexpr std::uint32_t kFirstCapacity = 64;
constexpr std::uint64_t kOrphanBit = std::uint64_t{1} << 63;

struct StoredRecord {
  std::uint64_t owner;  // block, slot << 32, kOrphanBit; 0 = empty
  std::uint64_t count;
};

[[nodiscard]] std::uint64_t owner_word(Ref block, std::uint32_t slot) noexcept {
  return std::uint64_t{block} | std::uint64_t{slot} << 32;
}
[[nodiscard]] Ref block_of(std::uint64_t owner) noexcept { return static_cast<Ref>(owner); }
[[nodiscard]] std::uint32_t slot_of(std::uint64_t owner) noexcept {
  return static_cast<std::uint32_t>((owner & ~kOrphanBit) >> 32);
}

// The table of one part: linear probing; a deletion moves records back (Knuth, TAOCP vol. 3, 6.4).
class Table {
 public:
  explicit Table(Transaction& txn) noexcept : txn_(txn), state_(txn.control().pins) {}

  [[nodiscard]] std::uint32_t capacity() const noexcept { return state_.capacity; }
  [[nodiscard]] StoredRecord& at(std::uint32_t index) const noexcept {
    return reinterpret_cast<StoredRecord*>(txn_.fresh(state_.table))[index];
  }

  // The first record from the home of `block` on that `wanted` accepts; capacity() if an empty one comes before.
  template <class Wanted>
  [[nodiscard]] std::uint32_t find(Ref block, Wanted&& wanted) const noexcept {
    if (state_.table == kNullRef) return state_.capacity;
    for (std::uint32_t i = home(block, state_.capacity);; i = next(i)) {
      const StoredRecord& record = at(i);
      if (record.owner == 0) return state_.capacity;
      if (block_of(record.owner) == block && wanted(record)) return i;
    }
  }
  [[nodiscard]] std::uint32_t find_owner(Ref block, std::uint32_t slot) const noexcept {
    return find(block, [&](const StoredRecord& record) { return slot_of(record.owner) == slot; });
  }
  [[nodiscard]] std::uint32_t find_any(Ref block) const noexcept {
    return find(block, [](const StoredRecord&) { return true; });
  }

  void insert(std::uint64_t owner, std::uint64_t count) {
    if (state_.table == kNullRef || (state_.records + 1) * 2 > state_.capacity) grow();
    std::uint32_t i = home(block_of(owner), state_.capacity);
    while (at(i).owner != 0) i = next(i);
    txn_.store64(&at(i).owner, owner);
    txn_.store64(&at(i).count, count);
    txn_.store64(&state_.records, state_.records + 1);
  }

  // On the record of every slot: any of them may be the last to go.
  void mark_orphan(Ref block) {
    for (std::uint32_t i = home(block, state_.capacity); at(i).owner != 0; i = next(i)) {
      if (block_of(at(i).owner) == block) txn_.store64(&at(i).owner, at(i).owner | kOrphanBit);
    }
  }

  void set_count(std::uint32_t index, std::uint64_t count) { txn_.store64(&at(index).count, count); }

  // Fills the hole with the farthest record that may lie there, then the hole that this leaves. Equal homes are common
  // (one block, many slots): shifting each of their records by one, as algorithm R does, could outgrow the journal.
  void erase(std::uint32_t hole) {
    for (std::uint32_t from = farthest_for(hole); from != hole; from = farthest_for(hole)) {
      txn_.store64(&at(hole).owner, at(from).owner);
      txn_.store64(&at(hole).count, at(from).count);
      hole = from;
    }
    txn_.store64(&at(hole).owner, 0);
    txn_.store64(&state_.records, state_.records - 1);
  }

 private:
  [[nodiscard]] static std::uint32_t home(Ref block, std::uint32_t capacity) noexcept {
    return static_cast<std::uint32_t>((block * std::uint64_t{0x9e3779b97f4a7c15}) >> 32) & (capacity - 1);
  }
  [[nodiscard]] std::uint32_t next(std::uint32_t index) const noexcept { return (index + 1) & (state_.capacity - 1); }

  // The last record after `hole`, up to the next empty one, that would not come before its home; `hole` if there is
  // none.
  [[nodiscard]] std::uint32_t farthest_for(std::uint32_t hole) const noexcept {
    std::uint32_t farthest = hole;
    for (std::uint32_t i = next(hole); at(i).owner != 0; i = next(i)) {
      const std::uint32_t from_home = (i - home(block_of(at(i).owner), state_.capacity)) & (state_.capacity - 1);
      const std::uint32_t from_hole = (i - hole) & (state_.capacity - 1);
      if (from_home >= from_hole) farthest = i;
    }
    return farthest;
  }

  // Into memory that a reader with an old reference may still be loading.
  static void store_fresh(StoredRecord& to, const StoredRecord& record) noexcept {
    store_relaxed<std::uint64_t>(&to.owner, record.owner);
    store_relaxed<std::uint64_t>(&to.count, record.count);
  }

  void grow() {
    const Ref old_table = state_.table;
    const std::uint32_t old_capacity = state_.capacity;
    const std::uint32_t capacity = old_capacity == 0 ? kFirstCapacity : old_capacity * 2;
    const Ref table = txn_.allocate(capacity * sizeof(StoredRecord));
    auto* const records = reinterpret_cast<StoredRecord*>(txn_.fresh(table));
    for (std::uint32_t i = 0; i < capacity; ++i) store_fresh(records[i], {0, 0});
    for (std::uint32_t i = 0; i < old_capacity; ++i) {
      const StoredRecord record = at(i);
      if (record.owner == 0) continue;
      std::uint32_t to = home(block_of(record.owner), capacity);
      while (records[to].owner != 0) to = (to + 1) & (capacity - 1);
      store_fresh(records[to], record);
    }
    txn_.store32(&state_.table, table);
    txn_.store32(&state_.capacity, capacity);
    if (old_table != kNullRef) txn_.free(old_table);
  }

  Transaction& txn_;
  PinState& state_;
};

// A step ends while the release of a record still fits into the journal.
constexpr std::size_t kStepRoom = 1024;

// The first record from `from` on that belongs to `slot`; capacity() if there is none.
[[nodiscard]] std::uint32_t find_slot(const Table& table, std::uint32_t from, std::uint32_t slot) {
  while (from < table.capacity() && (table.at(from).owner == 0 || slot_of(table.at(from).owner) != slot)) ++from;
  return from;
}

// Takes record `index` out; its block goes, too, if it is an orphan nobody else pins.
void release_record(Transaction& txn, Table& table, std::uint32_t index) {
  const std::uint64_t owner = table.at(index).owner;
  table.erase(index);
  const Ref block = block_of(owner);
  if ((owner & kOrphanBit) == 0 || table.find_any(block) != table.capacity()) return;
  PinState& state = txn.control().pins;
  txn.store64(&state.pinned_bytes, state.pinned_bytes - txn.block_bytes(block));
  txn.free(block);
}

}  // namespace

void pin(Transaction& txn, Ref block, std::uint32_t slot) {
  Table table(txn);
  const std::uint32_t index = table.find_owner(block, slot);
  if (index != table.capacity()) return table.set_count(index, table.at(index).count + 1);
  table.insert(owner_word(block, slot), 1);
}

void unpin(Transaction& txn, Ref block, std::uint32_t slot) {
  Table table(txn);
  const std::uint32_t index = table.find_owner(block, slot);
  if (index == table.capacity()) return;
  const std::uint64_t count = table.at(index).count;
  if (count > 1) return table.set_count(index, count - 1);
  release_record(txn, table, index);
}

bool pinned(Transaction& txn, Ref block) noexcept {
  const Table table(txn);
  return table.find_any(block) != table.capacity();
}

void make_orphan(Transaction& txn, Ref block) {
  Table(txn).mark_orphan(block);
  PinState& state = txn.control().pins;
  txn.store64(&state.pinned_bytes, state.pinned_bytes + txn.block_bytes(block));
}

void release_slot(Transaction& txn, std::uint32_t slot) {
  Table table(txn);
  // A deletion may move a record of this slot from behind the end's wrap to before `i`: walk until there is none.
  for (std::uint32_t i = find_slot(table, 0, slot); i < table.capacity(); i = find_slot(table, 0, slot)) {
    for (; i < table.capacity(); i = find_slot(table, i, slot)) {
      release_record(txn, table, i);  // what it moved back may lie at i now
      if (txn.journal_room() < kStepRoom) txn.commit();
    }
  }
  txn.commit();
}

void copy_slot(Transaction& txn, std::uint32_t from, std::uint32_t to) {
  std::vector<StoredRecord> copies;
  {
    const Table table(txn);
    for (std::uint32_t i = 0; (i = find_slot(table, i, from)) < table.capacity(); ++i) copies.push_back(table.at(i));
  }
  for (const StoredRecord& record : copies) {
    const std::uint64_t orphan = record.owner & kOrphanBit;
    Table(txn).insert(owner_word(block_of(record.owner), to) | orphan, record.count);
    txn.commit();  // it may have freed the old table, which the next step must not fill anew before that is final
  }
}

void double_counts(Transaction& txn, std::uint32_t slot) {
  Table table(txn);
  for (std::uint32_t i = 0; (i = find_slot(table, i, slot)) < table.capacity(); ++i) {
    table.set_count(i, table.at(i).count * 2);
    if (txn.journal_room() < kStepRoom) txn.commit();
  }
  txn.commit();
}

std::vector<Record> records(const Part& part) {
  std::vector<Record> found;
  const PinState& state = part.control().pins;
  const auto* stored = reinterpret_cast<const StoredRecord*>(part.slice() + std::uint64_t{state.table} * kGranule);
  for (std::uint32_t i = 0; i < state.capacity; ++i) {
    const std::uint64_t owner = stored[i].owner;
    if (owner != 0) found.push_back({block_of(owner), slot_of(owner), (owner & kOrphanBit) != 0, stored[i].count});
  }
  return found;
}

}  // namespace kv::pins
