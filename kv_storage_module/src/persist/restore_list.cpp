#include "persist/restore_list.hpp"

#include <algorithm>
#include <utility>

#include "collections/roots.hpp"
#include "index/entry.hpp"

namespace kv::persist {
namespace {

// More positions or values cannot have been lost: what says so is no page.
constexpr std::uint64_t kMostLost = std::uint64_t{1} << 32;
constexpr std::size_t kFillPositions = 4096;

}  // namespace

std::vector<std::string> ListProgress::losses(const std::string& name) const {
  std::vector<std::string> notes;
  if (lost_positions != 0) {
    notes.push_back(std::to_string(lost_positions) + " values of '" + name + "' are lost: None is in their places");
  }
  const std::uint64_t steps = lost_steps + (complete() ? 0 : image_version - version);
  if (steps != 0) {
    notes.push_back(std::to_string(steps) + " changes of '" + name +
                    "' are lost: values may be at other positions than they were");
  }
  return notes;
}

HashedValue ListRestorer::hashed(const Value& value) const {
  return {value, list_dictionary::hash_of(value, arena_.header().hash_seed)};
}

bool ListRestorer::read_values(PayloadReader& reader, std::uint32_t count) {
  values_.clear();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const auto front = reader.number<ListedValue>();
    const auto type = static_cast<ValueType>(front.type);
    const ByteView bytes = reader.take(front.bytes);
    if (type < ValueType::kNone || type >= ValueType::kRecord) return false;
    values_.push_back(hashed({type, bytes}));
  }
  return reader.ok();
}

// ---- Changes ----

bool ListRestorer::edit(ByteView payload) {
  PayloadReader reader(payload);
  const auto front = reader.number<ListEditFront>();
  if (!reader.ok()) return false;
  at_.imaged = true;
  at_.values = {};
  if (front.version <= at_.version) return true;  // the checkpoint has it
  if (front.version != at_.version + 1) {
    if (!damaged_) return false;
    at_.lost_steps += front.version - at_.version - 1;
  }
  while (at_.opened < at_.stretches.size() && at_.stretches[at_.opened].version < front.version) {
    at_.open_positions += at_.stretches[at_.opened++].positions;
  }
  if (!read_values(reader, front.values)) return false;
  while (!reader.empty()) {
    const auto edit = reader.number<ListEdit>();
    if (!reader.ok() || !apply(reader, edit, front.version > at_.image_version)) return false;
  }
  at_.version = front.version;
  return true;
}

// `whole`: no page has it; else it concerns the positions before those of pages that have it.
bool ListRestorer::apply(PayloadReader& reader, const ListEdit& edit, bool whole) {
  const auto kind = static_cast<ListEditKind>(edit.kind);
  const bool inserts = kind == ListEditKind::kInsert;
  const std::uint64_t before = at_.positions;
  const std::uint64_t limit = whole ? before : std::min(at_.open_positions, before);
  const bool fits = edit.position <= limit && (inserts || edit.count <= limit - edit.position);
  if (whole && !fits && !damaged_) return false;
  const std::uint64_t position = std::min(edit.position, limit);
  const std::uint64_t count = std::min<std::uint64_t>(edit.count, limit - position);
  switch (kind) {
    case ListEditKind::kInsert:
      if (!read_numbers(reader, edit.count)) return false;
      if (whole || edit.position < limit) insert(position, sequence_);
      break;
    case ListEditKind::kErase:
      erase(position, count);
      break;
    case ListEditKind::kSet:
      if (!read_numbers(reader, edit.count)) return false;
      set(position, std::span(sequence_).first(count));
      break;
    case ListEditKind::kClear:
      if (limit == before) {
        clear();
      } else {
        erase(0, limit);
      }
      break;
    default:
      return false;
  }
  if (!whole) at_.open_positions = limit + at_.positions - before;
  return true;
}

bool ListRestorer::read_numbers(PayloadReader& reader, std::uint32_t count) {
  sequence_.clear();
  const std::uint32_t width = number_bytes(values_.size());
  const ByteView numbers = reader.take(std::uint64_t{count} * width);
  if (!reader.ok()) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t number = number_at(numbers, i, width);
    if (number >= values_.size()) return false;
    sequence_.push_back(values_[number]);
  }
  return true;
}

// In steps, as its journal allows. `at_` follows each, for there may be no memory for the next.
void ListRestorer::insert(std::uint64_t position, std::span<const HashedValue> values) {
  for (std::size_t done = 0; done < values.size();) {
    Transaction txn(part_);
    ListWriter writer(txn, *find_root(txn, list_), list_);
    const std::size_t put = writer.insert(position + done, values.subspan(done));
    (void)writer.commit();
    done += put;
    at_.positions += put;
  }
}

void ListRestorer::erase(std::uint64_t position, std::uint64_t count) {
  bool emptied = false;
  while (count > 0) {
    Transaction txn(part_);
    ListWriter writer(txn, *find_root(txn, list_), list_);
    const std::uint64_t erased = writer.erase(position, count);
    emptied = writer.commit();
    count -= erased;
    at_.positions -= erased;
  }
  if (emptied) empty_trash(part_);
}

void ListRestorer::set(std::uint64_t position, std::span<const HashedValue> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Transaction txn(part_);
    ListWriter writer(txn, *find_root(txn, list_), list_);
    writer.set(position + i, values[i]);
    (void)writer.commit();
  }
}

void ListRestorer::clear() {
  {
    Transaction txn(part_);
    discard_root(txn, list_, true);
    txn.commit();
  }
  at_.positions = 0;
  empty_trash(part_);
}

// ---- Pages ----

bool ListRestorer::page(ByteView payload) {
  PayloadReader reader(payload);
  const auto front = reader.number<ListPageFront>();
  if (!reader.ok() || at_.imaged || front.version < at_.image_version) return false;
  if (!skip_to(front.first, front.version)) return false;
  if (front.first_value != at_.values.size()) {
    if (!damaged_ || front.first_value < at_.values.size()) return false;
    at_.values.resize(front.first_value, kNullRef);
  }
  if (!read_values(reader, front.values) || !read_page(reader, front)) return false;
  insert(at_.positions, sequence_);
  add_stretch(front.version, front.positions);
  return remember_values() || damaged_;
}

// What the positions hold, into `sequence_`.
bool ListRestorer::read_page(PayloadReader& reader, const ListPageFront& front) {
  sequence_.clear();
  const std::uint64_t known = std::uint64_t{front.first_value} + front.values;
  const std::uint32_t width = number_bytes(known);
  const ByteView numbers = reader.take(std::uint64_t{front.positions} * width);
  if (!reader.ok() || !reader.empty()) return false;
  for (std::uint32_t i = 0; i < front.positions; ++i) {
    const std::uint32_t number = number_at(numbers, i, width);
    if (number >= known) return false;
    if (number >= front.first_value) {
      sequence_.push_back(values_[number - front.first_value]);
      continue;
    }
    const Ref entry = at_.values[number];
    if (entry == kNullRef) {
      if (!damaged_) return false;
      ++at_.lost_positions;
      sequence_.push_back(hashed({ValueType::kNone, {}}));
      continue;
    }
    // It lies in the list itself, from which nothing is taken before all pages are there.
    const EntryHeader header = EntryHeader::load(part_.at(entry, kEntryHeaderBytes));
    const ByteView bytes(reinterpret_cast<const char*>(entry_value(part_, entry)), header.value_bytes);
    sequence_.push_back({{header.type, bytes}, list_state::record_of(part_, entry).hash});
  }
  return true;
}

// Pages before are lost: their positions are kept, so that those behind mean the same.
bool ListRestorer::skip_to(std::uint64_t positions, std::uint64_t version) {
  if (positions == at_.positions) return true;
  if (!damaged_ || positions < at_.positions || positions - at_.positions > kMostLost) return false;
  const std::uint64_t lost = positions - at_.positions;
  const std::vector<HashedValue> none(kFillPositions, hashed({ValueType::kNone, {}}));
  while (at_.positions < positions) {
    insert(at_.positions, std::span(none).first(std::min<std::uint64_t>(positions - at_.positions, none.size())));
  }
  at_.lost_positions += lost;
  add_stretch(version, lost);
  return true;
}

void ListRestorer::add_stretch(std::uint64_t version, std::uint64_t positions) {
  if (at_.stretches.empty()) at_.version = version;
  at_.image_version = version;
  if (at_.stretches.empty() || at_.stretches.back().version != version) at_.stretches.push_back({version, 0});
  at_.stretches.back().positions += positions;
}

// The values of the page are in the list now. False = it does not hold one of them.
bool ListRestorer::remember_values() {
  const Part::Lock lock(part_);
  const ListState* const state = list_state::of(part_, *find_root(std::as_const(part_), list_));
  bool all = true;
  for (const HashedValue& value : values_) {
    const Ref entry = state == nullptr ? kNullRef : list_dictionary::find(part_, *state, value);
    all = all && entry != kNullRef;
    at_.values.push_back(entry);
  }
  return all;
}

bool ListRestorer::end(ByteView payload) {
  PayloadReader reader(payload);
  const auto end = reader.number<ListEnd>();
  if (!reader.ok() || !reader.empty() || at_.imaged || end.version < at_.image_version) return false;
  if (!skip_to(end.positions, end.version)) return false;
  if (at_.stretches.empty()) at_.version = end.version;
  at_.image_version = end.version;
  at_.imaged = true;
  at_.values = {};
  return true;
}

void ListRestorer::finish() {
  at_.values = {};
  const std::uint64_t version = std::max(at_.version, at_.image_version);
  if (version == 0) return;
  Transaction txn(part_);
  txn.store64(&find_root(txn, list_)->list_version, version);
  txn.commit();
}

}  // namespace kv::persist
