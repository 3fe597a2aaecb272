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
#include "persist/threads.hpp"

namespace kv::persist {
namespace {

// A larger table is made before it is filled, by what the checkpoint says of its size.
constexpr std::size_t kMostWords = std::size_t{4} << 20;

[[nodiscard]] bool is_kind(std::uint8_t kind) noexcept { return is_durable(static_cast<CollectionKind>(kind)); }

[[nodiscard]] bool is_ordered(CollectionKind kind) noexcept {
  return kind == CollectionKind::kMap || kind == CollectionKind::kSet;
}

// What is to be copied soon was last touched by another processor, or comes from anywhere in a log.
void prefetch(std::span<const RestoredEntry> entries, std::size_t place) noexcept {
  constexpr std::size_t kAhead = 8;
  constexpr std::size_t kLine = 64;
  constexpr std::size_t kMostLines = 8;  // the processor goes on by itself
  if (place + kAhead >= entries.size()) return;
  const RestoredEntry& entry = entries[place + kAhead];
  const std::size_t lines = std::min((entry.key.size() + entry.value.size()) / kLine + 1, kMostLines);
  for (std::size_t line = 0; line < lines; ++line) __builtin_prefetch(entry.key.data() + line * kLine);
}

// A Map cannot have such a key, or not beside those that it has.
[[nodiscard]] bool is_senseless(const Error& error) noexcept {
  return error.code() == ErrorCode::kTypeMismatch || error.code() == ErrorCode::kInvalidArgument;
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

bool appendable(std::span<const RestoredEntry> entries) noexcept {
  const auto not_above = [](const RestoredEntry& a, const RestoredEntry& b) { return !(a.key < b.key); };
  return std::adjacent_find(entries.begin(), entries.end(), not_above) == entries.end() &&
         std::none_of(entries.begin(), entries.end(),
                      [](const RestoredEntry& entry) { return entry.due_ms != kNeverDue; });
}

bool Restorer::apply(LogKind kind, ByteView payload) {
  try {
    return read(kind, payload);
  } catch (const Error& error) {
    if (!is_senseless(error)) throw;
    return false;
  }
}

bool Restorer::read(LogKind kind, ByteView payload) {
  switch (kind) {
    case LogKind::kPut:
    case LogKind::kErase:
    case LogKind::kDue:
      return about_key(kind, payload);
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

// ---- Records about keys ----

Restorer::Verdict Restorer::judge(const KeyRecord& record) const noexcept {
  const RestoredCollection* const to = find(record.serial);
  if (to == nullptr) return Verdict::kPassOver;
  if (to->list) return Verdict::kSenseless;
  if (record.kind == LogKind::kPut && !is_valid(*to, record.entry.type, record.entry.value)) return Verdict::kSenseless;
  return Verdict::kApply;
}

bool Restorer::about_key(LogKind kind, ByteView payload) {
  auto record = decode_key_record(kind, payload);
  if (!record) return false;
  const Verdict verdict = judge(*record);
  if (verdict != Verdict::kApply) return verdict == Verdict::kPassOver;
  record->entry.hash = hash_of(record->entry.key);
  change(*find(record->serial), *record);
  return true;
}

void Restorer::change(const RestoredCollection& to, const KeyRecord& record) {
  const RestoredEntry& entry = record.entry;
  Part& part = arena_.part(part_of(to, entry.hash));
  if (record.kind == LogKind::kPut) return put_one(to, part, entry);
  settle();
  Transaction txn(part);
  CollectionRoot& root = *find_root(txn, to.record.binding);
  if (record.kind == LogKind::kDue)
    return static_cast<void>(expiry::set_due(txn, root, entry.hash, entry.key, entry.due_ms));
  if (to.record_bytes != 0) return static_cast<void>(records::erase(txn, root, entry.hash, entry.key));
  const Ref erased = keyed::unlink(txn, root, entry.hash, entry.key);
  if (erased != kNullRef) txn.free(erased);
  txn.commit();
}

void Restorer::put_one(const RestoredCollection& to, Part& part, const RestoredEntry& entry) {
  settle();
  Transaction txn(part);
  CollectionRoot& root = *find_root(txn, to.record.binding);
  ++entries_;
  if (to.record_bytes != 0) {
    records::put(txn, root, entry.hash, entry.key, entry.value.data(), entry.due_ms);
    return;
  }
  const Ref made = make_entry(txn, entry.key, {entry.type, entry.value}, entry.due_ms);
  const Ref replaced = keyed::link(txn, root, entry.hash, made);
  if (replaced != kNullRef) txn.free(replaced);
  txn.commit();
  keyed::remember(txn, root, entry.hash, made);
}

bool Restorer::apply(std::uint32_t serial, KeyChanges& changes) {
  constexpr std::size_t kAtATime = 1024;
  const RestoredCollection& to = *find(serial);
  for (auto& entries : targets_) entries.clear();
  const auto flush = [&](std::uint32_t part) {
    put_all(to, arena_.part(part), targets_[part], appendable(targets_[part]));
    targets_[part].clear();
  };
  try {
    for (; changes.front() != nullptr; changes.pop()) {
      KeyRecord record = *changes.front();
      record.entry.hash = hash_of(record.entry.key);
      if (record.kind != LogKind::kPut) {
        change(to, record);
        continue;
      }
      const std::uint32_t part = part_of(to, record.entry.hash);
      targets_[part].push_back(record.entry);
      if (targets_[part].size() == kAtATime) flush(part);
    }
    for (std::uint32_t part = 0; part < targets_.size(); ++part) flush(part);
  } catch (const Error& error) {
    if (!is_senseless(error)) throw;
    return false;
  }
  settle();
  return true;
}

bool Restorer::clear(ByteView payload) {
  settle();
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
  if (root.entries == 0 && about > kMostWords) resize_lookaside(txn, &root.lookaside, about);
  return true;
}

bool Restorer::page(ByteView payload) {
  PayloadReader reader(payload);
  const auto serial = reader.number<std::uint32_t>();
  const RestoredCollection* const to = find(serial);
  if (to == nullptr) return reader.ok();
  if (to->list) return false;
  std::vector<RestoredEntry> entries;
  if (!decode_page(payload, *to, entries)) return false;
  const bool done = put(*to, entries, appendable(entries));
  settle();
  return done;
}

bool Restorer::decode_page(ByteView payload, const RestoredCollection& to, std::vector<RestoredEntry>& entries) const {
  PayloadReader reader(payload);
  (void)reader.number<std::uint32_t>();
  const auto count = reader.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto front = reader.number<PageEntry>();
    RestoredEntry entry{};
    entry.type = static_cast<ValueType>(front.type & ~kLoggedDue);
    entry.due_ms = (front.type & kLoggedDue) != 0 ? reader.number<std::uint64_t>() : kNeverDue;
    entry.key = reader.take(front.key_bytes);
    entry.value = reader.take(front.value_bytes);
    if (!reader.ok() || !is_valid(to, entry.type, entry.value)) return false;
    entry.hash = hash_of(entry.key);
    entries.push_back(entry);
  }
  return reader.empty();
}

bool Restorer::put(const RestoredCollection& to, std::span<const RestoredEntry> entries, bool appendable) {
  try {
    if (entries.empty()) return true;
    if (arena_.part_count() == 1) {
      put_all(to, arena_.part(0), entries, appendable);
      return true;
    }
    const std::uint32_t first = part_of(to, entries[0].hash);
    if (std::all_of(entries.begin(), entries.end(), [&](const auto& e) { return part_of(to, e.hash) == first; })) {
      put_all(to, arena_.part(first), entries, appendable);
      return true;
    }
    for (auto& target : targets_) target.clear();
    for (const RestoredEntry& entry : entries) targets_[part_of(to, entry.hash)].push_back(entry);
    for (std::uint32_t part = 0; part < targets_.size(); ++part)
      put_all(to, arena_.part(part), targets_[part], appendable);
    return true;
  } catch (const Error& error) {
    if (!is_senseless(error)) throw;
    return false;
  }
}

void Restorer::put_all(const RestoredCollection& to, Part& part, std::span<const RestoredEntry> entries,
                       bool appendable) {
  appendable = appendable && !is_ordered(to.record.kind);
  while (appendable && !entries.empty()) {
    const std::size_t appended = append(to, part, entries);
    if (appended == 0) break;
    entries = entries.subspan(appended);
  }
  for (const RestoredEntry& entry : entries) put_one(to, part, entry);
}

// As many of the ascending entries as fit into one step, behind all keys that are there. 0 = they do not belong there.
std::size_t Restorer::append(const RestoredCollection& to, Part& part, std::span<const RestoredEntry> entries) {
  constexpr std::size_t kRecordsAtATime = 256;  // the journal has room for
  std::vector<Ref> made;
  {
    Transaction txn(part);
    CollectionRoot& root = *find_root(txn, to.record.binding);
    BlockSupply blocks(txn);
    SortedAppender appender(blocks, &root.index);
    if (!appender.fits(entries[0].key)) return 0;
    std::vector<RecordRef> records;
    if (to.record_bytes != 0) {  // a step of its own: together they would outgrow the journal
      entries = entries.first(std::min(entries.size(), kRecordsAtATime));
      for (const RestoredEntry& entry : entries) {
        records.push_back(slabs::allocate(txn, root));
        copy_in(txn.fresh(records.back().record), entry.value.data(), to.record_bytes);
      }
      txn.commit();
    }
    made.reserve(entries.size());
    for (const RestoredEntry& entry : entries) {
      if (txn.journal_room() < appender.journal_needed()) break;
      prefetch(entries, made.size());
      made.push_back(make_entry(blocks, entry.key,
                                records.empty() ? Value{entry.type, entry.value} : record_value(records[made.size()])));
      appender.add(made.back());
    }
    appender.finish();
    blocks.settle();
    txn.store64(&root.entries, root.entries + made.size());
    txn.commit();
    for (std::size_t i = made.size(); i < records.size(); ++i) slabs::free(txn, root, records[i]);
    txn.commit();
  }
  for (std::size_t i = 0; i < made.size(); ++i) remember(to, part, entries[i].hash, made[i]);
  entries_ += made.size();
  return made.size();
}

// ---- The look-aside table ----

void Restorer::remember(const RestoredCollection& to, Part& part, std::uint64_t hash, Ref entry) {
  const Binding binding = to.record.binding;
  if (words_part_ != &part || words_of_.serial != binding.serial || words_.size() == kMostWords) settle();
  words_part_ = &part;
  words_of_ = binding;
  words_.push_back(Lookaside::word_of(hash, entry));
}

void Restorer::settle() {
  if (words_.empty()) return;
  constexpr std::size_t kWordsAtATime = 64 * 1024;
  Transaction txn(*words_part_);
  CollectionRoot& root = *find_root(txn, words_of_);
  if (lookaside_wants_resize(Lookaside(*words_part_, root.lookaside).buckets(), root.entries)) {
    resize_lookaside(txn, &root.lookaside, root.entries);
  }
  const Lookaside table(*words_part_, root.lookaside);
  const std::span<const std::uint64_t> words(words_);
  for_each_on_threads((words.size() + kWordsAtATime - 1) / kWordsAtATime, [&](std::size_t i) {
    table.insert_words(words.subspan(i * kWordsAtATime, std::min(kWordsAtATime, words.size() - i * kWordsAtATime)));
  });
  words_.clear();
}

}  // namespace kv::persist
