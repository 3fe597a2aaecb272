#include <algorithm>

#include "collections/categories.hpp"
#include "collections/keyed.hpp"
#include "collections/log_records.hpp"
#include "collections/ranges.hpp"
#include "collections/records.hpp"
#include "collections/scanner.hpp"
#include "kv_storage/hash.hpp"
#include "memory/pins.hpp"

namespace kv {
namespace {

// In a section, or under the lock: copies the record of `entry`; false = no entry (or garbage).
bool copy_record(const Part& part, Ref entry, std::uint32_t bytes, void* out) noexcept {
  if (entry == kNullRef) return false;
  const Ref record = record_of_entry(part, entry).record;
  if (record == kNullRef || !part.contains(record, bytes)) return false;
  copy_out(out, part.slice() + std::uint64_t{record} * kGranule, bytes);
  return true;
}

}  // namespace

namespace records {

// The old one is overwritten in place: slabs() is a live view, and get copies.
bool put(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key, const void* record,
         std::uint64_t due_ms) {
  CallTime time;
  txn.confine(stripe_of_hash(hash));
  const Ref present = keyed::find(txn.part(), root, hash, key);
  const bool fresh = present == kNullRef || entry_expired(txn.part(), present, time);
  if (present != kNullRef && due_ms == kNeverDue && due_of_entry(txn.part(), present) == kNeverDue) {
    txn.write(record_of_entry(txn.part(), present).record, 0, record, root.record_bytes);
    logged::put(txn, root, present);
    txn.commit();
    return false;
  }
  const RecordRef at = present != kNullRef ? record_of_entry(txn.part(), present) : slabs::allocate(txn, root);
  if (present != kNullRef) {
    txn.write(at.record, 0, record, root.record_bytes);
  } else {
    copy_in(txn.fresh(at.record), record, root.record_bytes);
  }
  const Ref entry = make_entry(txn, key, record_value(at), due_ms);
  const Ref replaced = keyed::link(txn, root, hash, entry);
  if (replaced != kNullRef) txn.free(replaced);
  logged::put(txn, root, entry);
  txn.commit();
  keyed::remember(txn, root, hash, entry);
  return fresh;
}

bool erase(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key) {
  txn.confine(stripe_of_hash(hash));
  const Ref entry = keyed::unlink(txn, root, hash, key);
  if (entry == kNullRef) return false;
  CallTime time;
  const bool expired = entry_expired(txn.part(), entry, time);
  slabs::free(txn, root, record_of_entry(txn.part(), entry));
  txn.free(entry);
  logged::erase(txn, root, key);
  txn.commit();
  return !expired;
}

}  // namespace records

bool RecordHash::get(ByteView key, void* record) const {
  const std::uint64_t hash = impl_->hash(key);
  CallTime time;
  return keyed::read(*impl_, hash, key, [&](const Part& part, Ref entry) {
    return copy_record(part, keyed::live(part, entry, time), schema().record_bytes(), record);
  });
}

bool RecordHash::contains(ByteView key) const {
  const std::uint64_t hash = impl_->hash(key);
  CallTime time;
  return keyed::read(*impl_, hash, key,
                     [&](const Part& part, Ref entry) { return keyed::live(part, entry, time) != kNullRef; });
}

bool RecordHash::put(ByteView key, const void* record, std::uint64_t ttl_ms) {
  const std::uint64_t hash = impl_->hash(key);
  const std::uint64_t due_ms = expiry::due_after(ttl_ms);
  return impl_->write_home(
      [&](Transaction& txn, CollectionRoot& root) { return records::put(txn, root, hash, key, record, due_ms); });
}

bool RecordHash::erase(ByteView key) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_home(
      [&](Transaction& txn, CollectionRoot& root) { return records::erase(txn, root, hash, key); });
}

bool RecordHash::take(ByteView key, void* record) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_home([&](Transaction& txn, CollectionRoot& root) {
    CallTime time;
    const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
    return copy_record(txn.part(), entry, root.record_bytes, record) && records::erase(txn, root, hash, key);
  });
}

bool RecordHash::take_last(std::string& key, void* record) {
  for (;;) {
    Scan last = scan({}, false, true);
    ScanPage page;
    if (!last.next(page)) return false;
    key = page.key(page.items.front());
    if (take(key, record)) return true;  // else somebody took it first: ask again
  }
}

bool RecordHash::set_fields(ByteView key, std::span<const Field> fields) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_home([&](Transaction& txn, CollectionRoot& root) {
    CallTime time;
    const Ref entry = keyed::find_live(txn.part(), root, hash, key, time);
    if (entry == kNullRef) return false;
    txn.confine(stripe_of_hash(hash));
    const Ref record = record_of_entry(txn.part(), entry).record;
    for (const Field& field : fields) txn.write(record, field.offset, field.value, field.bytes);
    logged::put(txn, root, entry);
    txn.commit();
    return true;
  });
}

bool RecordHash::expire(ByteView key, std::uint64_t ttl_ms) {
  const std::uint64_t hash = impl_->hash(key);
  const std::uint64_t due_ms = expiry::due_after(ttl_ms);
  return impl_->write_home(
      [&](Transaction& txn, CollectionRoot& root) { return expiry::set_due(txn, root, hash, key, due_ms); });
}

bool RecordHash::persist(ByteView key) {
  const std::uint64_t hash = impl_->hash(key);
  return impl_->write_home(
      [&](Transaction& txn, CollectionRoot& root) { return expiry::persist(txn, root, hash, key); });
}

std::optional<TimeToLive> RecordHash::time_to_live(ByteView key) const {
  const std::uint64_t hash = impl_->hash(key);
  CallTime time;
  return impl_->read_home(
      [&](const Part& part, const CollectionRoot& root) { return expiry::time_left(part, root, hash, key, time); });
}

std::uint64_t RecordHash::size() const {
  return impl_->read_home_settled([](const CollectionRoot& root) { return load64(&root.entries); });
}

Scan RecordHash::scan(const KeyRange& range, bool with_values, bool reverse) const {
  return Scan(std::make_unique<ScanImpl>(impl_, range, with_values, reverse));
}

std::uint64_t RecordHash::count(const KeyRange& range) const { return ranges::count(scan(range, false)); }

std::uint64_t RecordHash::erase_range(const KeyRange& range) {
  return ranges::erase(*this, scan(range, false), impl_->arena()->log());
}

void RecordHash::clear() { ranges::clear(*impl_); }

void RecordHash::gather(const KeyRange& range, std::uint32_t offset, std::uint32_t bytes,
                        std::vector<char>& out) const {
  Scan rows = scan(range, true);
  ScanPage page;
  while (rows.next(page)) {
    const std::size_t before = out.size();
    out.resize(before + page.items.size() * bytes);
    char* to = out.data() + before;
    for (const ScanPage::Item& item : page.items) {
      std::memcpy(to, page.value(item).data() + offset, bytes);
      to += bytes;
    }
  }
}

std::vector<RecordHash::Slab> RecordHash::slabs() const {
  const Part* part = nullptr;
  const std::vector<Ref> pinned = impl_->write_home([&](Transaction& txn, CollectionRoot& root) {
    CallTime time;
    while (expiry::reclaim(txn, root, time, expiry::kSettleEntries)) {
    }
    part = &txn.part();
    std::vector<Ref> all = slabs::all(*part, root);
    for (const Ref slab : all) pins::pin(txn, slab, impl_->arena()->slot());
    txn.commit();
    return all;
  });
  // The handles are made outside of the lock: one that goes away takes it.
  std::vector<Slab> found;
  for (const Ref ref : pinned) {
    const SlabHeader& header = slabs::header(*part, ref);
    const auto* base = reinterpret_cast<const char*>(&header);
    const ByteView records(base + header.records_offset, std::size_t{header.slots} * header.record_bytes);
    const ByteView used(reinterpret_cast<const char*>(slabs::used_bitmap(header)), header.bitmap_words() * 8);
    found.push_back({Pin(impl_->arena(), part->index(), ref, records), records, used, header.slots});
  }
  return found;
}

const Schema& RecordHash::schema() const noexcept { return impl_->schema(); }

std::uint32_t RecordHash::category_code(std::size_t column, ByteView text) {
  const std::uint64_t missing = schema().columns().at(column).missing_category();
  return impl_->write_home([&](Transaction& txn, CollectionRoot& root) {
    if (const auto present = categories::find(txn.part(), root, column, text)) return *present;
    const std::uint32_t code = categories::code(txn, root, column, schema().columns().size(), text, missing);
    logged::category(txn, root, static_cast<std::uint32_t>(column), code, text);
    txn.commit();
    return code;
  });
}

std::optional<std::uint32_t> RecordHash::find_category(std::size_t column, ByteView text) const {
  return impl_->write_home(
      [&](Transaction& txn, CollectionRoot& root) { return categories::find(txn.part(), root, column, text); });
}

std::vector<std::string> RecordHash::categories(std::size_t column) const {
  return impl_->write_home(
      [&](Transaction& txn, CollectionRoot& root) { return categories::texts(txn.part(), root, column); });
}

RecordHash RecordHash::fixed() const { return RecordHash(impl_->fixed()); }
std::uint32_t RecordHash::serial() const { return impl_->serial(); }

const std::string& RecordHash::name() const noexcept { return impl_->name(); }
std::shared_ptr<Store> RecordHash::store() const { return impl_->store(); }

}  // namespace kv
