#include "kv_storage/cache.hpp"

#include "cache/leases.hpp"
#include "collections/collection.hpp"
#include "collections/eviction.hpp"
#include "collections/expiry.hpp"
#include "collections/value_reader.hpp"
#include "index/lookaside.hpp"

namespace kv {
namespace {

using Outcome = ValueBufferWriter::Outcome;

// How long a waiter sleeps before it looks whether the holder lives and whether a signal came.
constexpr std::uint32_t kSliceMs = 50;

// The entry with this key, or null. Safe in a section.
[[nodiscard]] Ref find_entry(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key) noexcept {
  return Lookaside(part, load32(&root.lookaside)).find(hash, key);
}
// The same if it has not expired.
[[nodiscard]] Ref find_live(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key,
                            CallTime& time) noexcept {
  const Ref entry = find_entry(part, root, hash, key);
  return entry != kNullRef && entry_expired(part, entry, time) ? kNullRef : entry;
}
[[nodiscard]] Ref find_live(Transaction& txn, const CollectionRoot& root, std::uint64_t hash, ByteView key) noexcept {
  CallTime time;
  return find_live(txn.part(), root, hash, key, time);
}

// What count_read() will change, unless the line is there long before. Safe in a section.
void prefetch_counter(const Part& part, Ref side, std::uint64_t hash) noexcept {
  const auto& at = *reinterpret_cast<const CacheSide*>(part.at(side, sizeof(CacheSide)));
  __builtin_prefetch(at.place(tag_of_hash(hash)).byte, 1);
}

void count_read(const Part& part, Ref side_ref, std::uint64_t hash, bool hit) noexcept {
  if (side_ref == kNullRef) return;
  CacheSide& side = cache_state::side_at(part, side_ref);
  CacheSide::Stripe& stripe = side.stripes[part.arena().slot() % CacheSide::kStripes];
  __atomic_fetch_add(hit ? &stripe.hits : &stripe.misses, 1, __ATOMIC_RELAXED);
  if (hit) eviction::count_hit(side, tag_of_hash(hash));
}

// What an entry of a cache takes: known before it is made, as room is made first.
[[nodiscard]] std::uint64_t block_bytes_for(ByteView key, const Value& value, std::uint64_t due_ms) noexcept {
  return block_bytes_of(links_offset(entry_bytes(key, value, due_ms)) + sizeof(EntryLinks));
}

}  // namespace

// What the methods do under the lock.
struct Cache::Steps {
  // Runs step(transaction, root, state) in the part of `hash`.
  template <class Step>
  static auto write(const Cache& cache, Part& part, Step&& step) {
    return cache.impl_->write(part, [&](Transaction& txn, CollectionRoot& root) {
      if (root.cache == kNullRef) {  // its maker died before it came to this part
        cache_state::make(txn, root, cache.part_capacity_);
        txn.commit();
      }
      return step(txn, root, cache_state::of(txn, root));
    });
  }

  static bool erase(Transaction& txn, CollectionRoot& root, Ref entry) {
    if (entry == kNullRef) return false;
    cache_state::remove(txn, root, entry);
    txn.free(entry);
    txn.commit();
    return true;
  }

  static bool refuse(Transaction& txn, CollectionRoot& root, CacheState& state, Ref present) {
    erase(txn, root, present);  // what it held under this key is not what was put last
    txn.store64(&state.refused, state.refused + 1);
    txn.commit();
    return false;
  }

  static bool put(Transaction& txn, CollectionRoot& root, CacheState& state, std::uint64_t hash, ByteView key,
                  const Value& value, std::uint64_t due_ms) {
    const std::uint64_t bytes = block_bytes_for(key, value, due_ms);
    Ref present = find_entry(txn.part(), root, hash, key);
    if (bytes > state.capacity) return refuse(txn, root, state, present);
    const auto fits = [&] {
      const std::uint64_t freed = present == kNullRef ? 0 : txn.block_bytes(present);
      return state.bytes() - freed + bytes <= state.capacity;
    };
    while (!fits() && eviction::evict_one(txn, root)) present = find_entry(txn.part(), root, hash, key);

    const std::uint32_t tag = tag_of_hash(hash);
    const Ref entry = make_entry(txn, key, value, due_ms, sizeof(EntryLinks));
    const QueueKind queue = present == kNullRef ? eviction::queue_for(txn, root, tag)
                                                : static_cast<QueueKind>(cache_state::links(txn, present).queue);
    if (present != kNullRef) {
      cache_state::remove(txn, root, present);
      txn.free(present);
    }
    cache_state::push(txn, root, entry, queue, tag);
    txn.commit();
    eviction::tend(txn, root, tag);
    Lookaside(txn.part(), root.lookaside).insert(hash, entry);
    return true;
  }
};

bool Cache::get(ByteView key, ValueBuffer& out) const {
  ValueBufferWriter::release(out);
  const std::uint64_t hash = impl_->hash(key);
  const Part& part = impl_->part_of(hash);
  CallTime time;
  Ref side = kNullRef;
  const Outcome outcome = impl_->read(part, [&](const CollectionRoot& root) {
    side = load32(&cache_state::of(part, root).side);
    prefetch_counter(part, side, hash);
    return ValueBufferWriter::copy(part, find_live(part, root, hash, key, time), out);
  });
  count_read(part, side, hash, outcome != Outcome::kAbsent);
  if (outcome != Outcome::kLarge) return outcome == Outcome::kCopied;
  return Steps::write(*this, impl_->part_of(hash), [&](Transaction& txn, CollectionRoot& root, CacheState&) {
    const Ref entry = find_live(txn, root, hash, key);
    if (entry == kNullRef) return false;
    load_value(txn, impl_->arena(), entry, out);
    txn.commit();
    return true;
  });
}

bool Cache::contains(ByteView key) const {
  const std::uint64_t hash = impl_->hash(key);
  const Part& part = impl_->part_of(hash);
  CallTime time;
  return impl_->read(part,
                     [&](const CollectionRoot& root) { return find_live(part, root, hash, key, time) != kNullRef; });
}

bool Cache::put(ByteView key, const Value& value, std::uint64_t ttl_ms) {
  if (key.size() > kMaxKeyBytes) {
    throw Error(ErrorCode::kInvalidArgument,
                "a key of " + std::to_string(key.size()) + " bytes is longer than " + std::to_string(kMaxKeyBytes));
  }
  const std::uint64_t due_ms = expiry::due_after(ttl_ms);
  const std::uint64_t hash = impl_->hash(key);
  Part& part = impl_->part_of(hash);
  try {
    return Steps::write(*this, part, [&](Transaction& txn, CollectionRoot& root, CacheState& state) {
      return Steps::put(txn, root, state, hash, key, value, due_ms);
    });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOverCapacity) throw;
  }
  return Steps::write(*this, part, [&](Transaction& txn, CollectionRoot& root, CacheState& state) {
    return Steps::refuse(txn, root, state, find_entry(txn.part(), root, hash, key));
  });
}

bool Cache::erase(ByteView key) {
  const std::uint64_t hash = impl_->hash(key);
  return Steps::write(*this, impl_->part_of(hash), [&](Transaction& txn, CollectionRoot& root, CacheState&) {
    const bool was_there = find_live(txn, root, hash, key) != kNullRef;
    return Steps::erase(txn, root, find_entry(txn.part(), root, hash, key)) && was_there;
  });
}

bool Cache::take(ByteView key, ValueBuffer& out) {
  ValueBufferWriter::release(out);
  const std::uint64_t hash = impl_->hash(key);
  return Steps::write(*this, impl_->part_of(hash), [&](Transaction& txn, CollectionRoot& root, CacheState& state) {
    const Ref entry = find_live(txn, root, hash, key);
    count_read(txn.part(), state.side, hash, entry != kNullRef);
    if (entry == kNullRef) return false;
    load_value(txn, impl_->arena(), entry, out);
    return Steps::erase(txn, root, entry);
  });
}

// Puts an empty root in the place of the old one, part by part, then frees what that held.
void Cache::clear() {
  for (std::uint32_t i = 0; i < impl_->part_count(); ++i) {
    Part& part = impl_->part(i);
    impl_->write(part, [&](Transaction& txn, CollectionRoot& root, Binding binding) {
      discard_root(txn, binding, true);
      if (root.cache != kNullRef) cache_state::inherit(txn, *find_root(txn, binding), root);
      txn.commit();
      return true;
    });
    empty_trash(part);
  }
}

std::uint64_t Cache::size() const {
  std::uint64_t entries = 0;
  for (std::uint32_t i = 0; i < impl_->part_count(); ++i) {
    entries += impl_->read_settled(impl_->part(i), [](const CollectionRoot& root) { return load64(&root.entries); });
  }
  return entries;
}

CacheStats Cache::stats() const {
  CacheStats sum{};
  for (std::uint32_t i = 0; i < impl_->part_count(); ++i) {
    Steps::write(*this, impl_->part(i), [&](Transaction& txn, CollectionRoot& root, CacheState& state) {
      for (const CacheSide::Stripe& stripe : cache_state::side_at(txn.part(), state.side).stripes) {
        sum.hits += load64(&stripe.hits);
        sum.misses += load64(&stripe.misses);
      }
      sum.evictions += state.evictions;
      sum.expirations += state.expirations;
      sum.refused += state.refused;
      sum.entries += root.entries;
      sum.bytes += state.bytes();
      sum.capacity += state.capacity;
      return true;
    });
  }
  return sum;
}

void Cache::check_capacity(std::uint64_t capacity, std::uint64_t max_memory) {
  if (capacity >= kMinCacheCapacity && capacity <= max_memory) return;
  throw Error(ErrorCode::kInvalidArgument, "a cache's capacity is from " + std::to_string(kMinCacheCapacity) +
                                               " bytes to the store's max_memory, here " + std::to_string(max_memory) +
                                               "; not " + std::to_string(capacity));
}

void Cache::resize(std::uint64_t capacity) {
  check_capacity(capacity, impl_->arena()->header().max_memory);
  const std::uint64_t part_capacity = capacity / impl_->part_count();
  for (std::uint32_t i = 0; i < impl_->part_count(); ++i) {
    Steps::write(*this, impl_->part(i), [&](Transaction& txn, CollectionRoot& root, CacheState&) {
      cache_state::set_capacity(txn, root, part_capacity);
      txn.commit();
      return true;
    });
    // A few at a time, so that others get the lock in between.
    constexpr int kEvictionsPerLock = 64;
    for (bool more = true; more;) {
      more = Steps::write(*this, impl_->part(i), [&](Transaction& txn, CollectionRoot& root, CacheState& state) {
        int evicted = 0;
        while (state.bytes() > state.capacity && evicted < kEvictionsPerLock && eviction::evict_one(txn, root))
          ++evicted;
        return evicted == kEvictionsPerLock;
      });
    }
  }
}

// ---- One computation per key ----

Claim Cache::try_claim(ByteView key, std::uint64_t holder, ValueBuffer& out, CacheLease& lease) {
  if (get(key, out)) return Claim::kFound;
  const std::uint64_t hash = impl_->hash(key);
  return Steps::write(*this, impl_->part_of(hash), [&](Transaction& txn, CollectionRoot& root, CacheState& state) {
    const Ref entry = find_live(txn, root, hash, key);
    if (entry != kNullRef) {  // stored since we looked
      load_value(txn, impl_->arena(), entry, out);
      txn.commit();
      return Claim::kFound;
    }
    const Ref held = leases::find(txn, state, hash);
    if (held != kNullRef) {
      const LeaseRecord& record = leases::at(txn, held);
      if (leases::is_held_by(*impl_->arena(), record, holder)) {
        throw Error(ErrorCode::kReentry,
                    "this key's value is being computed by this very thread: it cannot wait for itself");
      }
      if (leases::holder_lives(*impl_->arena(), record)) return Claim::kBusy;
    }
    lease = {hash, leases::grant(txn, state, held, hash, holder)};
    txn.commit();
    return Claim::kMine;
  });
}

namespace {

struct Waiting {
  const Arena* arena;
  const CacheSide* side;
  std::uint32_t seen;
  LeaseRecord lease;
};

// True = it may be worth asking again.
bool sleep_a_slice(void* context) {
  const auto* waiting = static_cast<const Waiting*>(context);
  return leases::sleep(*waiting->side, waiting->seen, kSliceMs) ||
         !leases::holder_lives(*waiting->arena, waiting->lease);
}

}  // namespace

// Sleeps only while the lease is still there, seen together with the futex under the lock: a wake cannot be missed.
void Cache::wait_for(ByteView key, std::uint32_t ms) const {
  const std::uint64_t hash = impl_->hash(key);
  Part& part = impl_->part_of(hash);
  const CacheSide* side = nullptr;
  std::uint32_t seen = 0;
  const bool busy = Steps::write(*this, part, [&](Transaction& txn, CollectionRoot&, CacheState& state) {
    side = &cache_state::side_at(part, state.side);
    seen = leases::wake_count(*side);
    return leases::find(txn, state, hash) != kNullRef;
  });
  if (busy) leases::sleep(*side, seen, ms);
}

Claim Cache::claim(ByteView key, std::uint64_t holder, ValueBuffer& out, CacheLease& lease) {
  for (;;) {
    const Claim claim = try_claim(key, holder, out, lease);
    if (claim != Claim::kBusy) return claim;
    const std::uint64_t hash = impl_->hash(key);
    Part& part = impl_->part_of(hash);
    Waiting waiting{};
    waiting.arena = impl_->arena().get();
    const bool busy = Steps::write(*this, part, [&](Transaction& txn, CollectionRoot&, CacheState& state) {
      waiting.side = &cache_state::side_at(part, state.side);
      waiting.seen = leases::wake_count(*waiting.side);
      const Ref held = leases::find(txn, state, hash);
      if (held != kNullRef) waiting.lease = leases::at(txn, held);
      return held != kNullRef;
    });
    if (busy) wait_until(sleep_a_slice, &waiting);
  }
}

void Cache::abandon(const CacheLease& lease) {
  const Part::PatientScope patient;  // it must happen, whatever signals say
  Part& part = impl_->part_of(lease.hash);
  CacheSide* const side = Steps::write(*this, part, [&](Transaction& txn, CollectionRoot&, CacheState& state) {
    leases::end(txn, state, lease.hash, lease.ticket);
    txn.commit();
    return &cache_state::side_at(part, state.side);
  });
  leases::wake_all(*side);
}

bool Cache::fill(const CacheLease& lease, ByteView key, const Value& value, std::uint64_t ttl_ms) {
  struct Ended {
    Cache& cache;
    const CacheLease& lease;
    ~Ended() {
      try {
        cache.abandon(lease);
      } catch (const Error&) {  // the store was closed, or the cache dropped: nobody waits there any more
      }
    }
  } const ended{*this, lease};
  return put(key, value, ttl_ms);
}

const std::string& Cache::name() const noexcept { return impl_->name(); }
std::shared_ptr<Store> Cache::store() const { return impl_->store(); }

}  // namespace kv
