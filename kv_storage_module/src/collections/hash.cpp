#include "kv_storage/hash.hpp"

#include <algorithm>
#include <limits>

#include "collections/group_reader.hpp"
#include "collections/keyed.hpp"
#include "collections/log_records.hpp"
#include "collections/ranges.hpp"
#include "collections/scanner.hpp"
#include "collections/value_reader.hpp"
#include "index/lookaside.hpp"
#include "index/ranks.hpp"

namespace kv {

namespace {

using Outcome = ValueBufferWriter::Outcome;

[[nodiscard]] bool holds(const Part& part, Ref entry, const Value& value) noexcept {
  const EntryHeader header = EntryHeader::load(part.at(entry, kEntryHeaderBytes));
  if (header.type != value.type || header.value_bytes != value.size()) return false;
  const std::byte* at = entry_value(part, entry);
  return equal_bytes(at, value.data.data(), value.data.size()) &&
         equal_bytes(at + value.data.size(), value.trailer.data(), value.trailer.size());
}

// One transaction: stores, publishes, frees what was there. True = the key was new.
bool put_entry(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key, const Value& value,
               std::uint64_t due_ms) {
  txn.confine(stripe_of_hash(hash));
  keyed::prefetch(txn.part(), root, hash);  // arrives while the walk through the index waits for its own lines
  const Ref entry = make_entry(txn, key, value, due_ms);
  const Ref replaced = keyed::link(txn, root, hash, entry);
  CallTime time;
  const bool fresh = replaced == kNullRef || entry_expired(txn.part(), replaced, time);
  if (replaced != kNullRef) txn.free(replaced);
  logged::put(txn, root, entry);
  txn.commit();
  keyed::remember(txn, root, hash, entry);
  return fresh;
}

// One transaction: takes the entry of this key out and calls `living(entry)` unless it has expired. True = it had not.
template <class Living>
bool remove_entry(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key, Living&& living) {
  txn.confine(stripe_of_hash(hash));
  const Ref entry = keyed::unlink(txn, root, hash, key);
  if (entry == kNullRef) return false;
  CallTime time;
  const bool expired = entry_expired(txn.part(), entry, time);
  if (!expired) living(entry);
  txn.free(entry);  // pinned by now if it is large and wanted: then it stays until its reader lets go
  logged::erase(txn, root, key);
  txn.commit();
  return !expired;
}

[[nodiscard]] std::int64_t read_int(const Part& part, Ref entry) noexcept {
  std::int64_t value = 0;
  copy_out(&value, entry_value(part, entry), sizeof value);
  return value;
}

[[nodiscard]] Value int_value(const std::int64_t& value) noexcept {
  return {ValueType::kInt, {reinterpret_cast<const char*>(&value), sizeof value}};
}

}  // namespace

bool Hash::get(ByteView key, ValueBuffer& out) const {
  out.pin_.release();
  const std::uint64_t hash = impl_->hash(key);
  CallTime time;
  const Outcome outcome = keyed::read(*impl_, hash, key, [&](const Part& part, Ref entry) {
    return ValueBufferWriter::copy(part, keyed::live(part, entry, time), out);
  });
  if (outcome != Outcome::kLarge) return outcome == Outcome::kCopied;
  ValueType type{};
  Pin found = pin(key, type);
  if (!found) return false;
  ValueBufferWriter::hold(std::move(found), type, out);
  return true;
}

bool Hash::contains(ByteView key) const {
  const std::uint64_t hash = impl_->hash(key);
  CallTime time;
  return keyed::read(*impl_, hash, key,
                     [&](const Part& part, Ref entry) { return keyed::live(part, entry, time) != kNullRef; });
}

Pin Hash::pin(ByteView key, ValueType& type) const {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_key(hash, [&](Transaction& txn, CollectionRoot& root) {
    CallTime time;
    const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
    if (entry == kNullRef) return Pin();
    txn.confine(stripe_of_hash(hash));
    type = EntryHeader::load(txn.at(entry)).type;
    Pin pin = pin_entry(txn, impl_->arena(), entry);
    txn.commit();
    return pin;
  });
}

bool Hash::put(ByteView key, const Value& value, std::uint64_t ttl_ms) {
  const std::uint64_t hash = impl_->hash(key);
  const std::uint64_t due_ms = expiry::due_after(ttl_ms);
  return impl_->write_key(
      hash, [&](Transaction& txn, CollectionRoot& root) { return put_entry(txn, root, hash, key, value, due_ms); });
}

bool Hash::put_if_absent(ByteView key, const Value& value, ValueBuffer& present) {
  present.pin_.release();
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_key(hash, [&](Transaction& txn, CollectionRoot& root) {
    CallTime time;
    const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
    if (entry == kNullRef) return put_entry(txn, root, hash, key, value, kNeverDue);
    load_value(txn, impl_->arena(), entry, present);
    txn.commit();
    return false;
  });
}

bool Hash::replace(ByteView key, const Value& value) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_key(hash, [&](Transaction& txn, CollectionRoot& root) {
    CallTime time;
    const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
    if (entry == kNullRef) return false;
    put_entry(txn, root, hash, key, value, due_of_entry(txn.part(), entry));
    return true;
  });
}

bool Hash::erase(ByteView key) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_key(
      hash, [&](Transaction& txn, CollectionRoot& root) { return remove_entry(txn, root, hash, key, [](Ref) {}); });
}

bool Hash::take(ByteView key, ValueBuffer& out) {
  out.pin_.release();
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_key(hash, [&](Transaction& txn, CollectionRoot& root) {
    return remove_entry(txn, root, hash, key, [&](Ref entry) { load_value(txn, impl_->arena(), entry, out); });
  });
}

bool Hash::take_last(std::string& key, ValueBuffer& out) {
  for (;;) {
    Scan last = scan({}, false, true);
    ScanPage page;
    if (!last.next(page)) return false;
    key = page.key(page.items.front());
    if (take(key, out)) return true;  // else somebody took it first: ask again
  }
}

bool Hash::expire(ByteView key, std::uint64_t ttl_ms) {
  const std::uint64_t hash = impl_->hash(key);
  const std::uint64_t due_ms = expiry::due_after(ttl_ms);
  return impl_->write_key(
      hash, [&](Transaction& txn, CollectionRoot& root) { return expiry::set_due(txn, root, hash, key, due_ms); });
}

bool Hash::persist(ByteView key) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_key(
      hash, [&](Transaction& txn, CollectionRoot& root) { return expiry::persist(txn, root, hash, key); });
}

std::optional<TimeToLive> Hash::time_to_live(ByteView key) const {
  const std::uint64_t hash = impl_->hash(key);
  CallTime time;
  return impl_->read_key(hash, [&](const Part& part, const CollectionRoot& root) {
    return expiry::time_left(part, root, hash, key, time);
  });
}

bool Hash::take_end(End end, std::string& key, ValueBuffer& out) {
  out.pin_.release();
  return impl_->write_home([&](Transaction& txn, CollectionRoot& root) {
    for (CallTime time; expiry::reclaim(txn, root, time, expiry::kSettleEntries);) {
    }
    if (root.entries == 0) return false;
    const Ref entry = select(txn.part(), root.index, end == End::kFirst ? 0 : root.entries - 1);
    if (entry == kNullRef) throw Error(ErrorCode::kCorrupt, "a collection has fewer entries than it counts");
    key = entry_key(txn.part(), entry);
    return remove_entry(txn, root, impl_->hash(key), key,
                        [&](Ref taken) { load_value(txn, impl_->arena(), taken, out); });
  });
}

std::int64_t Hash::increment(ByteView key, std::int64_t by) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_key(hash, [&](Transaction& txn, CollectionRoot& root) {
    CallTime time;
    const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
    if (entry == kNullRef) return put_entry(txn, root, hash, key, int_value(by), kNeverDue), by;
    if (EntryHeader::load(txn.at(entry)).type != ValueType::kInt) {
      throw Error(ErrorCode::kTypeMismatch,
                  "incr needs an int of at most 64 bits, and the value under this key is none");
    }
    std::int64_t sum = 0;
    if (__builtin_add_overflow(read_int(txn.part(), entry), by, &sum)) {
      throw Error(ErrorCode::kOverflow, "incr would leave the range of a signed 64-bit integer");
    }
    if (txn.control().pins.records != 0 && pins::pinned(txn, entry)) {
      // Somebody looks at the old one.
      put_entry(txn, root, hash, key, int_value(sum), due_of_entry(txn.part(), entry));
    } else {
      txn.confine(stripe_of_hash(hash));
      txn.write(const_cast<std::byte*>(entry_value(txn.part(), entry)), &sum, sizeof sum);
      logged::put(txn, root, entry);
      txn.commit();
    }
    return sum;
  });
}

bool Hash::compare_and_set(ByteView key, const std::optional<Value>& expected, const std::optional<Value>& wanted) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_key(hash, [&](Transaction& txn, CollectionRoot& root) {
    CallTime time;
    const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
    const bool as_expected =
        entry == kNullRef ? !expected.has_value() : expected.has_value() && holds(txn.part(), entry, *expected);
    if (!as_expected) return false;
    if (wanted) {
      const std::uint64_t due_ms = entry == kNullRef ? kNeverDue : due_of_entry(txn.part(), entry);
      put_entry(txn, root, hash, key, *wanted, due_ms);
    } else if (entry != kNullRef) {
      txn.confine(stripe_of_hash(hash));
      txn.free(keyed::unlink(txn, root, hash, key));
      logged::erase(txn, root, key);
      txn.commit();
    }
    return true;
  });
}

void Hash::get_many(std::span<const ByteView> keys, void* context, Found found, Large large) const {
  CallTime time;
  for (std::size_t first = 0; first < keys.size(); first += GroupReader::kKeys) {
    const std::size_t count = std::min(GroupReader::kKeys, keys.size() - first);
    const GroupReader group(*impl_, keys.subspan(first, count), time);
    for (std::size_t i = 0; i < count; ++i) {
      if (group.outcome(i) == Outcome::kCopied) {
        found(context, first + i, group.type(i), group.value(i));
      } else if (group.outcome(i) == Outcome::kLarge) {
        large(context, first + i);
      }
    }
  }
}

std::uint64_t Hash::put_many(std::span<const ByteView> keys, std::span<const Value> values, std::uint64_t ttl_ms) {
  const std::uint64_t due_ms = expiry::due_after(ttl_ms);
  WriteBatch batch(impl_->arena()->log());
  std::uint64_t added = 0;
  for (std::size_t first = 0; first < keys.size(); first += GroupReader::kKeys) {
    const std::size_t count = std::min(GroupReader::kKeys, keys.size() - first);
    std::uint64_t hashes[GroupReader::kKeys];
    for (std::size_t i = 0; i < count; ++i) hashes[i] = impl_->hash(keys[first + i]);
    // One lock for a run of keys in the same part; each key is a transaction step of its own.
    for (std::size_t i = 0; i < count;) {
      const std::uint32_t slice = impl_->slice_of(hashes[i]);
      std::size_t end = i + 1;
      while (end < count && impl_->slice_of(hashes[end]) == slice) ++end;
      impl_->write_slice(slice, [&](Transaction& txn, CollectionRoot& root) {
        keyed::prefetch(txn.part(), root, std::span(hashes + i, end - i), keys.subspan(first + i, end - i));
        for (; i < end; ++i) {
          added += put_entry(txn, root, hashes[i], keys[first + i], values[first + i], due_ms) ? 1 : 0;
        }
        return true;
      });
    }
  }
  batch.settle_all();
  return added;
}

std::uint64_t Hash::size() const {
  std::uint64_t entries = 0;
  for (std::uint32_t slice = 0; slice < impl_->slice_count(); ++slice) {
    entries +=
        impl_->read_slice_settled(slice, [](const Part&, const CollectionRoot& root) { return load64(&root.entries); });
  }
  return entries;
}

Scan Hash::scan(const KeyRange& range, bool with_values, bool reverse) const {
  return Scan(std::make_unique<ScanImpl>(impl_, range, with_values, reverse));
}

std::uint64_t Hash::count(const KeyRange& range) const { return ranges::count(scan(range, false)); }

std::uint64_t Hash::erase_range(const KeyRange& range) {
  return ranges::erase(*this, scan(range, false), impl_->arena()->log());
}

void Hash::clear() { ranges::clear(*impl_); }

const std::string& Hash::name() const noexcept { return impl_->name(); }
std::shared_ptr<Store> Hash::store() const { return impl_->store(); }

}  // namespace kv
