#include "persist/restore.hpp"

#include <algorithm>
#include <utility>

#include "collections/categories.hpp"
#include "collections/keyed.hpp"
#include "collections/records.hpp"
#include "index/append_sorted.hpp"
#include "index/cursor.hpp"
#include "index/key_index.hpp"
#include "index/lookaside.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/ordered.hpp"

namespace kv::persist {
namespace {

[[nodiscard]] bool is_kind(std::uint8_t kind) noexcept { return is_durable(static_cast<CollectionKind>(kind)); }

[[nodiscard]] bool is_ordered(CollectionKind kind) noexcept {
  return kind == CollectionKind::kMap || kind == CollectionKind::kSet;
}

}  // namespace

bool NameHistory::create(PayloadReader& reader) {
  const auto front = reader.number<NameFront>();
  Named named;
  named.name = reader.take(front.name_bytes);
  named.kind = static_cast<CollectionKind>(front.kind);
  named.schema = reader.take(front.schema_bytes);
  named.source = reader.take(front.source_bytes);
  if (!reader.ok() || !reader.empty() || !is_kind(front.kind) || front.serial == 0) return false;
  if ((named.kind == CollectionKind::kRecordHash) == named.schema.empty()) return false;
  reserve_serials(front.serial + 1);
  by_serial_[front.serial] = std::move(named);
  return true;
}

bool NameHistory::apply(LogKind kind, ByteView payload) {
  PayloadReader reader(payload);
  switch (kind) {
    case LogKind::kCreate:
      return create(reader);
    case LogKind::kDrop:
      drop(reader.number<std::uint32_t>());
      return reader.ok() && reader.empty();
    case LogKind::kRename: {
      const auto serial = reader.number<std::uint32_t>();
      drop(reader.number<std::uint32_t>());
      const auto named = by_serial_.find(serial);
      const ByteView name = reader.rest();
      if (named != by_serial_.end()) named->second.name = name;
      return reader.ok() && !name.empty();
    }
    case LogKind::kLoad: {
      (void)reader.number<std::uint64_t>();
      drop(reader.number<std::uint32_t>());
      (void)reader.number<std::uint32_t>();
      return create(reader);
    }
    default:
      return true;
  }
}

std::optional<LoadRecord> decode_load(ByteView payload) noexcept {
  PayloadReader reader(payload);
  LoadRecord load;
  load.file = reader.number<std::uint64_t>();
  (void)reader.number<std::uint64_t>();
  load.serial = reader.number<NameFront>().serial;
  return reader.ok() ? std::optional(load) : std::nullopt;
}

RestoredCollections make_collections(Arena& arena, const NameHistory& names) {
  RestoredCollections made;
  Catalog catalog(arena);
  for (const auto& [serial, named] : names.collections()) {
    RestoredCollection& restored = made[serial];
    restored.record.binding.serial = serial;
    restored.record.kind = named.kind;
    restored.record.schema = named.schema;
    restored.record.source = named.source;
    if (named.kind == CollectionKind::kList) restored.list = std::make_unique<ListProgress>();
    if (!named.schema.empty()) {
      const Schema schema = Schema::decode(named.schema);
      restored.record_bytes = schema.record_bytes();
      for (const Column& column : schema.columns()) restored.category_limits.push_back(column.missing_category());
    }
    restored.record = catalog.restore(named.name, restored.record);
  }
  {
    RestoredCollection& root = made[kRootBinding.serial];
    root.record.binding = kRootBinding;
  }
  Transaction txn(arena.part(0));
  txn.store32(&arena.header().next_serial, names.next_serial());
  txn.commit();
  return made;
}

// ---- Records ----

const RestoredCollection* Restorer::find(std::uint32_t serial) const noexcept {
  const auto found = collections_.find(serial);
  return found == collections_.end() ? nullptr : &found->second;
}

std::uint32_t Restorer::part_of(const RestoredCollection& to, std::uint64_t hash) const noexcept {
  return to.record.kind == CollectionKind::kHash ? part_of_hash(hash, arena_.part_count()) : to.record.home_part;
}

bool Restorer::is_valid(const RestoredCollection& to, ValueType type, ByteView value) const noexcept {
  if (to.record_bytes != 0) return type == ValueType::kRecord && value.size() == to.record_bytes;
  return type >= ValueType::kNone && type < ValueType::kRecord;
}

bool Restorer::apply(LogKind kind, ByteView payload) {
  try {
    return read(kind, payload);
  } catch (const Error& error) {  // a Map cannot have such a key, or not beside those that it has
    if (error.code() != ErrorCode::kTypeMismatch && error.code() != ErrorCode::kInvalidArgument) throw;
    return false;
  }
}

bool Restorer::read(LogKind kind, ByteView payload) {
  switch (kind) {
    case LogKind::kPut:
      return put(payload);
    case LogKind::kErase:
      return erase(payload);
    case LogKind::kDue:
      return due(payload);
    case LogKind::kClear:
      return clear(payload);
    case LogKind::kKeyType:
      return key_type(payload);
    case LogKind::kCategory:
      return category(payload);
    case LogKind::kBegin:
      return begin(payload);
    case LogKind::kPage:
      return page(payload);
    case LogKind::kListEdit:
    case LogKind::kListPage:
    case LogKind::kListEnd:
      return list_record(kind, payload);
    case LogKind::kCreate:
    case LogKind::kDrop:
    case LogKind::kRename:
    case LogKind::kLoad:
    case LogKind::kEnd:
      return true;
  }
  return false;
}

bool Restorer::list_record(LogKind kind, ByteView payload) {
  PayloadReader reader(payload);
  const auto serial = reader.number<std::uint32_t>();
  const RestoredCollection* const to = find(serial);
  if (to == nullptr) return reader.ok();
  if (!to->list) return false;
  // Whatever the parts are now, all of it was written by one.
  if (!writer_.damaged && home_of(serial, writer_.parts) != writer_.part) return false;
  ListRestorer list(arena_, to->record, *to->list, writer_.damaged);
  const std::uint64_t before = to->list->positions;
  const bool sensible = kind == LogKind::kListEdit   ? list.edit(payload)
                        : kind == LogKind::kListPage ? list.page(payload)
                                                     : list.end(payload);
  if (to->list->positions > before) entries_ += to->list->positions - before;
  return sensible;
}

bool Restorer::put(ByteView payload) {
  PayloadReader reader(payload);
  const auto front = reader.number<KeyFront>();
  Item item{};
  item.type = static_cast<ValueType>(front.type & ~kLoggedDue);
  item.due_ms = (front.type & kLoggedDue) != 0 ? reader.number<std::uint64_t>() : kNeverDue;
  item.key = reader.take(front.key_bytes);
  item.value = reader.rest();
  if (!reader.ok()) return false;
  const RestoredCollection* const to = find(front.serial);
  if (to == nullptr) return true;
  if (to->list) return false;
  if (!is_valid(*to, item.type, item.value)) return false;
  item.hash = hash_key(item.key, arena_.header().hash_seed);
  put_one(*to, arena_.part(part_of(*to, item.hash)), item);
  return true;
}

void Restorer::put_one(const RestoredCollection& to, Part& part, const Item& item) {
  Transaction txn(part);
  CollectionRoot& root = *find_root(txn, to.record.binding);
  ++entries_;
  if (to.record_bytes != 0) {
    records::put(txn, root, item.hash, item.key, item.value.data(), item.due_ms);
    return;
  }
  const Ref entry = make_entry(txn, item.key, {item.type, item.value}, item.due_ms);
  const Ref replaced = keyed::link(txn, root, item.hash, entry);
  if (replaced != kNullRef) txn.free(replaced);
  txn.commit();
  keyed::remember(txn, root, item.hash, entry);
}

bool Restorer::erase(ByteView payload) {
  PayloadReader reader(payload);
  const auto front = reader.number<KeyFront>();
  const ByteView key = reader.take(front.key_bytes);
  if (!reader.ok() || !reader.empty()) return false;
  const RestoredCollection* const to = find(front.serial);
  if (to == nullptr) return true;
  if (to->list) return false;
  const std::uint64_t hash = hash_key(key, arena_.header().hash_seed);
  Transaction txn(arena_.part(part_of(*to, hash)));
  CollectionRoot& root = *find_root(txn, to->record.binding);
  if (to->record_bytes != 0) {
    records::erase(txn, root, hash, key);
    return true;
  }
  const Ref entry = keyed::unlink(txn, root, hash, key);
  if (entry != kNullRef) txn.free(entry);
  txn.commit();
  return true;
}

bool Restorer::due(ByteView payload) {
  PayloadReader reader(payload);
  const auto front = reader.number<KeyFront>();
  const auto due_ms = reader.number<std::uint64_t>();
  const ByteView key = reader.take(front.key_bytes);
  if (!reader.ok() || !reader.empty()) return false;
  const RestoredCollection* const to = find(front.serial);
  if (to == nullptr) return true;
  if (to->list) return false;
  const std::uint64_t hash = hash_key(key, arena_.header().hash_seed);
  Transaction txn(arena_.part(part_of(*to, hash)));
  expiry::set_due(txn, *find_root(txn, to->record.binding), hash, key, due_ms);
  return true;
}

bool Restorer::clear(ByteView payload) {
  PayloadReader reader(payload);
  const auto serial = reader.number<std::uint32_t>();
  if (!reader.ok() || !reader.empty()) return false;
  const RestoredCollection* const to = find(serial);
  if (to == nullptr) return true;
  if (to->list) return false;
  if (to->record.kind != CollectionKind::kHash) {
    // Every part's log has the record, and what is whole lay in one.
    if (home_of(serial, writer_.parts) != writer_.part) return true;
  } else if (!same_parts()) {
    for (std::uint32_t i = 0; i < arena_.part_count(); ++i) erase_share(*to, arena_.part(i));
    return true;
  }
  Part& part = to->record.kind == CollectionKind::kHash ? arena_.part(writer_.part) : home(*to);
  {
    Transaction txn(part);
    discard_root(txn, to->record.binding, true);
    txn.commit();
  }
  empty_trash(part);
  return true;
}

// The writer's part was another share of the keys than any of today's: its keys are told by where they lay.
void Restorer::erase_share(const RestoredCollection& to, Part& part) {
  std::vector<std::string> keys;
  {
    const Part::Lock lock(part);
    const Ref index = find_root(std::as_const(part), to.record.binding)->index;
    Cursor cursor(std::nullopt, std::nullopt, nullptr, false);
    std::string last;
    for (bool more = true; more;) {
      const auto page = cursor.collect(part, index);
      for (const Ref entry : page) {
        last = key_of(part, entry);
        if (part_of_hash(hash_key(last, arena_.header().hash_seed), writer_.parts) == writer_.part)
          keys.push_back(last);
      }
      more = cursor.advance(page.size(), last);
    }
  }
  for (const std::string& key : keys) {
    const std::uint64_t hash = hash_key(key, arena_.header().hash_seed);
    Transaction txn(part);
    const Ref entry = keyed::unlink(txn, *find_root(txn, to.record.binding), hash, key);
    if (entry != kNullRef) txn.free(entry);
    txn.commit();
  }
}

bool Restorer::key_type(ByteView payload) {
  PayloadReader reader(payload);
  const auto serial = reader.number<std::uint32_t>();
  const auto type = reader.number<std::uint32_t>();
  if (!reader.ok() || !reader.empty() || type == 0 || type > static_cast<std::uint32_t>(KeyType::kDatetime))
    return false;
  const RestoredCollection* const to = find(serial);
  if (to == nullptr) return true;
  if (to->list) return false;
  if (!is_ordered(to->record.kind)) return false;
  Transaction txn(home(*to));
  CollectionRoot& root = *find_root(txn, to->record.binding);
  if (root.key_type == type) return true;
  if (root.key_type != 0) return false;  // it is fixed once
  txn.store32(&root.key_type, type);
  txn.commit();
  return true;
}

bool Restorer::category(ByteView payload) {
  PayloadReader reader(payload);
  const auto serial = reader.number<std::uint32_t>();
  const auto column = reader.number<std::uint32_t>();
  const auto code = reader.number<std::uint32_t>();
  const ByteView text = reader.rest();
  if (!reader.ok()) return false;
  const RestoredCollection* const to = find(serial);
  if (to == nullptr) return true;
  if (to->list) return false;
  if (column >= to->category_limits.size() || code >= to->category_limits[column]) return false;
  Transaction txn(home(*to));
  const std::uint32_t restored = categories::code(txn, *find_root(txn, to->record.binding), column,
                                                  to->category_limits.size(), text, to->category_limits[column]);
  txn.commit();
  return restored == code;
}

// ---- Pages ----

bool Restorer::begin(ByteView payload) {
  PayloadReader reader(payload);
  const auto serial = reader.number<std::uint32_t>();
  (void)reader.number<std::uint32_t>();
  const auto about = reader.number<std::uint64_t>();
  if (!reader.ok() || !reader.empty()) return false;
  const RestoredCollection* const to = find(serial);
  if (to == nullptr || (to->record.kind == CollectionKind::kHash && !same_parts())) return true;
  if (to->list) return false;
  const std::uint32_t part = to->record.kind == CollectionKind::kHash ? writer_.part : to->record.home_part;
  Transaction txn(arena_.part(part));
  CollectionRoot& root = *find_root(txn, to->record.binding);
  if (root.entries == 0) resize_lookaside(txn, &root.lookaside, about);
  return true;
}

bool Restorer::page(ByteView payload) {
  PayloadReader reader(payload);
  const auto serial = reader.number<std::uint32_t>();
  const auto count = reader.number<std::uint32_t>();
  const RestoredCollection* const to = find(serial);
  if (to == nullptr) return reader.ok();
  if (to->list) return false;
  for (auto& items : targets_) items.clear();  // of a page that made no sense half-way: its bytes are gone
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto front = reader.number<PageEntry>();
    Item item{};
    item.type = static_cast<ValueType>(front.type & ~kLoggedDue);
    item.due_ms = (front.type & kLoggedDue) != 0 ? reader.number<std::uint64_t>() : kNeverDue;
    item.key = reader.take(front.key_bytes);
    item.value = reader.take(front.value_bytes);
    if (!reader.ok() || !is_valid(*to, item.type, item.value)) return false;
    item.hash = hash_key(item.key, arena_.header().hash_seed);
    targets_[part_of(*to, item.hash)].push_back(item);
  }
  if (!reader.empty()) return false;
  for (std::uint32_t part = 0; part < targets_.size(); ++part) {
    put_page(*to, arena_.part(part), targets_[part]);
  }
  return true;
}

void Restorer::put_page(const RestoredCollection& to, Part& part, std::span<const Item> items) {
  const auto ascending = [](const Item& a, const Item& b) { return !(a.key < b.key); };
  const bool sorted = !is_ordered(to.record.kind) &&
                      std::adjacent_find(items.begin(), items.end(), ascending) == items.end() &&
                      std::none_of(items.begin(), items.end(), [](const Item& i) { return i.due_ms != kNeverDue; });
  while (sorted && !items.empty()) {
    const std::size_t appended = append(to, part, items);
    if (appended == 0) break;
    items = items.subspan(appended);
  }
  for (const Item& item : items) put_one(to, part, item);
}

// As many of the ascending items as fit into one step, behind all keys that are there. 0 = they do not belong there.
std::size_t Restorer::append(const RestoredCollection& to, Part& part, std::span<const Item> items) {
  constexpr std::size_t kRecordsAtATime = 256;  // the journal has room for
  Transaction txn(part);
  CollectionRoot& root = *find_root(txn, to.record.binding);
  BlockSupply blocks(txn);
  SortedAppender appender(blocks, &root.index);
  if (!appender.fits(items[0].key)) return 0;
  const Lookaside table(part, root.lookaside);
  std::vector<RecordRef> records;
  if (to.record_bytes != 0) {  // a step of its own: together they would outgrow the journal
    items = items.first(std::min(items.size(), kRecordsAtATime));
    for (const Item& item : items) {
      records.push_back(slabs::allocate(txn, root));
      copy_in(txn.fresh(records.back().record), item.value.data(), to.record_bytes);
    }
    txn.commit();
  }
  std::vector<Ref> entries;
  for (const Item& item : items) {
    if (txn.journal_room() < appender.journal_needed()) break;
    table.prefetch(item.hash);
    const std::size_t i = entries.size();
    entries.push_back(
        make_entry(blocks, item.key, records.empty() ? Value{item.type, item.value} : record_value(records[i])));
    appender.add(entries.back());
  }
  appender.finish();
  blocks.settle();
  txn.store64(&root.entries, root.entries + entries.size());
  txn.commit();
  for (std::size_t i = 0; i < entries.size(); ++i) keyed::remember(txn, root, items[i].hash, entries[i]);
  for (std::size_t i = entries.size(); i < records.size(); ++i) slabs::free(txn, root, records[i]);
  txn.commit();
  entries_ += entries.size();
  return entries.size();
}

}  // namespace kv::persist
