#include "collections/expiry.hpp"

#include <algorithm>

#include "collections/cache_state.hpp"
#include "collections/due_index.hpp"
#include "collections/keyed.hpp"
#include "collections/log_records.hpp"
#include "collections/records.hpp"
#include "index/key_hash.hpp"
#include "index/key_index.hpp"
#include "kv_storage/error.hpp"
#include "memory/arena.hpp"

namespace kv::expiry {
namespace {

constexpr std::uint64_t kRootsPerSlice = 64;  // collections looked at by one writer in search of something due

// Takes an expired entry out of its collection and frees what belongs to it.
void release(Transaction& txn, CollectionRoot& root, Ref entry) {
  if (root.cache != kNullRef) return cache_state::expire(txn, root, entry);
  const ByteView key = key_of(txn.part(), entry);
  const std::uint64_t hash = hash_key(key, txn.part().arena().header().hash_seed);
  static_cast<void>(keyed::unlink(txn, root, hash, key));
  if (root.record_bytes != 0) slabs::free(txn, root, record_of_entry(txn.part(), entry));
  txn.free(entry);
}

// Goes on with the search for a collection of which something is due. Null if it was not found yet, or there is none:
// then the part's next due time is known anew.
[[nodiscard]] CollectionRoot* find_due_root(Transaction& txn, CallTime& time) {
  ExpiryState& state = txn.control().expiry;
  std::uint64_t slot = state.slot;
  std::uint64_t pass_due_ms = state.pass_due_ms;
  CollectionRoot* due = nullptr;
  const std::uint64_t end = std::min(slot_count(txn.part()), slot + kRootsPerSlice);
  for (; slot < end; ++slot) {
    const Ref ref = root_in_slot(txn.part(), slot);
    if (ref == kNullRef) continue;
    auto* const root = reinterpret_cast<CollectionRoot*>(txn.fresh(ref));
    if (!settled(*root, time)) {
      due = root;
      break;
    }
    pass_due_ms = std::min(pass_due_ms, root->next_due_ms);
  }
  const bool complete = due == nullptr && slot >= slot_count(txn.part());
  if (complete) txn.store64(&state.next_due_ms, pass_due_ms);
  txn.store64(&state.pass_due_ms, complete ? kNeverDue : pass_due_ms);
  txn.store64(&state.slot, complete ? 0 : slot);
  txn.commit();
  return due;
}

void change_due(Transaction& txn, CollectionRoot& root, std::uint64_t hash, Ref entry, std::uint64_t due_ms) {
  txn.confine(stripe_of_hash(hash));
  EntryHeader header = EntryHeader::load(txn.at(entry));
  header.expires = due_ms != kNeverDue;
  if (header.total_bytes() <= txn.block_bytes(entry)) {
    due_index::remove(txn, root, entry);
    txn.store64(entry, 0, header.encode());
    if (header.expires) txn.store64(entry, header.due_offset(), due_ms);
    due_index::add(txn, root, entry);
    logged::due(txn, root, entry);
    txn.commit();
    return;
  }
  const Value value{header.type, {reinterpret_cast<const char*>(entry_value(txn.part(), entry)), header.value_bytes}};
  const Ref copy = make_entry(txn, key_of(txn.part(), entry), value, due_ms);
  txn.free(keyed::link(txn, root, hash, copy));
  logged::due(txn, root, copy);
  txn.commit();
  keyed::remember(txn, root, hash, copy);
}

}  // namespace

std::uint64_t due_after(std::uint64_t ttl_ms) {
  if (ttl_ms == kNoTtl) return kNeverDue;
  if (ttl_ms > kMaxTtlMs) {
    throw Error(ErrorCode::kInvalidArgument,
                "a ttl of " + std::to_string(ttl_ms) + " ms is longer than " + std::to_string(kMaxTtlMs));
  }
  return wall_clock_ms() + ttl_ms;
}

bool reclaim(Transaction& txn, CollectionRoot& root, CallTime& time, std::size_t limit) {
  if (settled(root, time)) return false;
  auto next = due_index::first(txn.part(), root);
  for (; limit > 0 && next && time.is_past(next->due_ms); --limit) {
    release(txn, root, next->entry);
    txn.commit();
    next = due_index::first(txn.part(), root);
  }
  const std::uint64_t next_due_ms = next ? next->due_ms : kNeverDue;
  txn.store64(&root.next_due_ms, next_due_ms);
  txn.commit();
  return time.is_past(next_due_ms);
}

void reclaim_slice(Transaction& txn, CollectionRoot& root) {
  CallTime time;
  if (!time.is_past(txn.control().expiry.next_due_ms)) return;
  CollectionRoot* due = settled(root, time) ? find_due_root(txn, time) : &root;
  if (due != nullptr) reclaim(txn, *due, time, kSliceEntries);
}

std::uint64_t count(Part& part, Binding binding) {
  for (CallTime time;;) {
    Transaction txn(part);
    CollectionRoot* const root = find_root(txn, binding);
    if (root == nullptr) return 0;
    if (!reclaim(txn, *root, time, kSettleEntries)) return root->entries;
  }
}

bool set_due(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key, std::uint64_t due_ms) {
  CallTime time;
  const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
  if (entry == kNullRef) return false;
  change_due(txn, root, hash, entry, due_ms);
  return true;
}

bool persist(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key) {
  CallTime time;
  const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
  if (entry == kNullRef || due_of_entry(txn.part(), entry) == kNeverDue) return false;
  change_due(txn, root, hash, entry, kNeverDue);
  return true;
}

std::optional<TimeToLive> time_left(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key,
                                    CallTime& time) noexcept {
  const Ref entry = keyed::find_live(part, root, hash, key, time);
  if (entry == kNullRef) return std::nullopt;
  const std::uint64_t due_ms = due_of_entry(part, entry);
  if (due_ms == kNeverDue) return TimeToLive{false, 0};
  return TimeToLive{true, due_ms > time.ms() ? due_ms - time.ms() : 0};
}

}  // namespace kv::expiry
