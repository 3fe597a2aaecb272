#include "kv_storage/list.hpp"

#include <algorithm>
#include <array>

#include "collections/collection.hpp"
#include "collections/list_reader.hpp"
#include "collections/list_writer.hpp"
#include "collections/value_reader.hpp"

namespace kv {
namespace {

using Outcome = ValueBufferWriter::Outcome;

// An index as Python has them; nullopt if there is no such position.
[[nodiscard]] std::optional<std::uint64_t> position_of(std::int64_t index, std::uint64_t length) noexcept {
  const std::int64_t position = index < 0 ? index + static_cast<std::int64_t>(length) : index;
  if (position < 0 || position >= static_cast<std::int64_t>(length)) return std::nullopt;
  return static_cast<std::uint64_t>(position);
}

// The same for a bound, which is moved inside.
[[nodiscard]] std::uint64_t bound_of(std::int64_t index, std::uint64_t length) noexcept {
  const auto size = static_cast<std::int64_t>(length);
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size));
}

[[nodiscard]] HashedValue hashed(const HashImpl& list, const Value& value) {
  return {value, list_dictionary::hash_of(value, list.arena()->header().hash_seed)};
}

[[nodiscard]] std::vector<HashedValue> hashed(const HashImpl& list, std::span<const Value> values) {
  std::vector<HashedValue> all;
  all.reserve(values.size());
  for (const Value& value : values) all.push_back(hashed(list, value));
  return all;
}

// The codes that some values have now.
struct WantedCodes {
  std::array<std::uint32_t, List::kMaxWanted> codes;
  std::size_t count;
};

[[nodiscard]] WantedCodes codes_of(const Part& part, const ListState& state,
                                   std::span<const HashedValue> wanted) noexcept {
  WantedCodes found{{}, 0};
  for (const HashedValue& value : wanted) {
    const Ref entry = list_dictionary::find(part, state, value);
    if (entry == kNullRef || found.count == found.codes.size()) continue;
    found.codes[found.count++] = load32(&list_state::record_of(part, entry).code);
  }
  return found;
}

// The first position in [first, last) with one of the codes. Safe in a section.
[[nodiscard]] std::optional<std::uint64_t> find_codes(const Part& part, const CollectionRoot& root,
                                                      const ListState& state, const WantedCodes& wanted,
                                                      std::uint64_t first, std::uint64_t last) noexcept {
  if (wanted.count == 0) return std::nullopt;
  std::uint32_t codes[kChunkCodes];
  const auto wanted_end = wanted.codes.begin() + static_cast<std::ptrdiff_t>(wanted.count);
  while (first < last) {
    const auto place = list_state::locate(part, root, state, first);
    if (!place.valid()) return std::nullopt;
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(place.length - place.offset, last - first));
    list_state::copy_codes(part, place.chunk, place.offset, count, codes);
    const std::uint32_t* const end = codes + count;
    const std::uint32_t* const at = wanted.count == 1
                                        ? std::find(codes, codes + count, wanted.codes[0])
                                        : std::find_first_of(codes, codes + count, wanted.codes.begin(), wanted_end);
    if (at != end) return first + static_cast<std::uint64_t>(at - codes);
    first += count;
  }
  return std::nullopt;
}

[[nodiscard]] Ref entry_at(const Part& part, const CollectionRoot& root, const ListState& state,
                           std::uint64_t position) noexcept {
  const auto place = list_state::locate(part, root, state, position);
  if (!place.valid()) return kNullRef;
  return list_dictionary::entry_of(part, state, list_state::code_at(part, place.chunk, place.offset));
}

}  // namespace

ListPositions ListPositions::of(const ListSlice& slice, std::uint64_t length) noexcept {
  // As PySlice_AdjustIndices().
  const auto size = static_cast<std::int64_t>(length);
  const bool backwards = slice.step < 0;
  const std::int64_t lowest = backwards ? -1 : 0, highest = backwards ? size - 1 : size;
  const auto adjusted = [&](std::optional<std::int64_t> bound, std::int64_t missing) {
    if (!bound) return missing;
    return std::clamp(*bound < 0 ? *bound + size : *bound, lowest, highest);
  };
  const std::int64_t start = adjusted(slice.start, backwards ? highest : lowest);
  const std::int64_t stop = adjusted(slice.stop, backwards ? lowest : highest);
  ListPositions positions;
  positions.step = slice.step;
  positions.first = static_cast<std::uint64_t>(std::max<std::int64_t>(start, 0));
  const std::int64_t distance = backwards ? start - stop : stop - start;
  if (distance <= 0) return positions;
  const std::uint64_t step =
      backwards ? 0 - static_cast<std::uint64_t>(slice.step) : static_cast<std::uint64_t>(slice.step);
  positions.count = (static_cast<std::uint64_t>(distance) - 1) / step + 1;
  return positions;
}

List::List(std::shared_ptr<HashImpl> impl) noexcept : impl_(std::move(impl)) {}

const std::string& List::name() const noexcept { return impl_->name(); }

std::uint64_t List::size() const {
  return impl_->read_home([](const Part&, const CollectionRoot& root) { return load64(&root.entries); });
}

// ---- Reading ----

bool List::get(std::int64_t index, ValueBuffer& out) const {
  ValueBufferWriter::release(out);
  const Outcome outcome = impl_->read_home([&](const Part& part, const CollectionRoot& root) {
    const ListState* const state = list_state::of(part, root);
    const auto position = position_of(index, load64(&root.entries));
    if (state == nullptr || !position) return Outcome::kAbsent;
    return ValueBufferWriter::copy(part, entry_at(part, root, *state, *position), out);
  });
  if (outcome != Outcome::kLarge) return outcome == Outcome::kCopied;
  return impl_->write_home([&](Transaction& txn, CollectionRoot& root) {
    const ListState* const state = list_state::of(txn.part(), root);
    const auto position = position_of(index, root.entries);
    if (state == nullptr || !position) return false;
    load_value(txn, impl_->arena(), entry_at(txn.part(), root, *state, *position), out);
    txn.commit();
    return true;
  });
}

std::uint64_t List::count(std::span<const Value> wanted) const {
  const std::vector<HashedValue> values = hashed(*impl_, wanted);
  return impl_->read_home([&](const Part& part, const CollectionRoot& root) {
    const ListState* const state = list_state::of(part, root);
    std::uint64_t sum = 0;
    for (const HashedValue& value : values) {
      const Ref entry = state == nullptr ? kNullRef : list_dictionary::find(part, *state, value);
      if (entry != kNullRef) sum += list_state::record_of(part, entry).count();
    }
    return sum;
  });
}

std::optional<std::uint64_t> List::find(std::span<const Value> wanted, std::int64_t start, std::int64_t stop) const {
  const std::vector<HashedValue> values = hashed(*impl_, wanted);
  return impl_->read_home([&](const Part& part, const CollectionRoot& root) -> std::optional<std::uint64_t> {
    const ListState* const state = list_state::of(part, root);
    if (state == nullptr) return std::nullopt;
    const std::uint64_t length = load64(&root.entries);
    return find_codes(part, root, *state, codes_of(part, *state, values), bound_of(start, length),
                      bound_of(stop, length));
  });
}

bool List::has_opaque_values() const {
  return impl_->read_home([](const Part& part, const CollectionRoot& root) {
    const ListState* const state = list_state::of(part, root);
    return state != nullptr && load64(&state->opaque) != 0;
  });
}

void List::read(const ListSlice& slice, ListItems& out, std::uint64_t max_bytes) const {
  ListReader(*impl_, out).read(slice, max_bytes);
}

void List::read_stored(ListItems& out) const { ListReader(*impl_, out).read_stored(true); }

void List::read_values(ListValues& out) const {
  ListItems items;
  ListReader(*impl_, items).read_stored(false);
  out = std::move(items.values);
}

bool List::unchanged_since(const ListItems& items) const noexcept {
  return impl_->part(items.part).sequence() == items.sequence;
}

// ---- Changing ----

// Calls step(writer, &progress) -> whether all is done, with a progress that is kept once the step is committed.
template <class Step>
void List::change(Step&& step) {
  auto progress = step.begin();
  for (bool done = false; !done;) {
    Part* emptied = nullptr;
    done = impl_->write_home([&](Transaction& txn, CollectionRoot& root, Binding binding) {
      emptied = nullptr;
      auto next = progress;
      ListWriter writer(txn, root, binding);
      const bool finished = step(writer, next);
      if (writer.commit()) emptied = &txn.part();
      progress = next;
      return finished;
    });
    if (emptied != nullptr) empty_trash(*emptied);
  }
}

namespace {

// A change of one step, which says whether it did something.
template <class Body>
struct OneStep {
  Body body;
  [[nodiscard]] int begin() const noexcept { return 0; }
  bool operator()(ListWriter& writer, int&) {
    body(writer);
    return true;
  }
};
template <class Body>
OneStep(Body) -> OneStep<Body>;

// A change of several: Progress says how far it has come.
template <class Progress, class Body>
struct Steps {
  Progress start;
  Body body;
  [[nodiscard]] Progress begin() const { return start; }
  bool operator()(ListWriter& writer, Progress& progress) { return body(writer, progress); }
};
template <class Progress, class Body>
Steps(Progress, Body) -> Steps<Progress, Body>;

}  // namespace

void List::append(const Value& value) {
  const HashedValue one = hashed(*impl_, value);
  change(OneStep{[&](ListWriter& writer) { writer.insert(writer.size(), {&one, 1}); }});
}

void List::extend(std::span<const Value> values) {
  if (values.empty()) return;
  const std::vector<HashedValue> all = hashed(*impl_, values);
  change(Steps{std::size_t{0}, [&](ListWriter& writer, std::size_t& done) {
                 done += writer.insert(writer.size(), std::span(all).subspan(done));
                 return done == all.size();
               }});
}

void List::insert(std::int64_t index, const Value& value) {
  const HashedValue one = hashed(*impl_, value);
  change(OneStep{[&](ListWriter& writer) { writer.insert(bound_of(index, writer.size()), {&one, 1}); }});
}

bool List::set(std::int64_t index, const Value& value) {
  if (size() == 0) return false;
  const HashedValue one = hashed(*impl_, value);
  bool found = false;
  change(OneStep{[&](ListWriter& writer) {
    const auto position = position_of(index, writer.size());
    found = position.has_value();
    if (position) writer.set(*position, one);
  }});
  return found;
}

bool List::erase(std::int64_t index) {
  if (size() == 0) return false;
  bool found = false;
  change(OneStep{[&](ListWriter& writer) {
    const auto position = position_of(index, writer.size());
    found = position.has_value();
    if (position) writer.erase(*position, 1);
  }});
  return found;
}

bool List::take(std::int64_t index, ValueBuffer& out) {
  ValueBufferWriter::release(out);
  if (size() == 0) return false;
  bool found = false;
  change(OneStep{[&](ListWriter& writer) {
    const auto position = position_of(index, writer.size());
    found = position.has_value();
    if (!position) return;
    writer.take(*position, [&](Transaction& txn, Ref entry) { load_value(txn, impl_->arena(), entry, out); });
  }});
  return found;
}

bool List::remove(std::span<const Value> wanted) {
  if (size() == 0) return false;
  const std::vector<HashedValue> values = hashed(*impl_, wanted);
  bool found = false;
  change(OneStep{[&](ListWriter& writer) {
    const WantedCodes codes = codes_of(writer.part(), writer.state(), values);
    const auto position = find_codes(writer.part(), writer.root(), writer.state(), codes, 0, writer.size());
    found = position.has_value();
    if (position) writer.erase(*position, 1);
  }});
  return found;
}

void List::erase(const ListSlice& slice) {
  if (size() == 0) return;
  struct Progress {
    ListPositions positions;
    bool begun = false;
  };
  change(Steps{Progress{}, [&](ListWriter& writer, Progress& progress) {
                 if (!progress.begun) progress = {ListPositions::of(slice, writer.size()), true};
                 ListPositions& left = progress.positions;
                 const std::int64_t step = left.step;
                 if (step == 1) {  // all at one place
                   if (left.first >= writer.size() || left.count == 0) return true;
                   left.count -= writer.erase(left.first, std::min(left.count, writer.size() - left.first));
                   return left.count == 0;
                 }
                 for (bool first = true; left.count > 0 && (first || writer.room()); first = false) {
                   // The last position goes first: those that are left stay where they are.
                   const std::uint64_t position = step > 0 ? left.at(left.count - 1) : left.first;
                   if (position < writer.size()) writer.erase(position, 1);
                   if (step < 0) left.first = left.at(1);
                   --left.count;
                 }
                 return left.count == 0;
               }});
}

namespace {

struct AssignProgress {
  ListPositions positions;
  std::size_t inserted = 0;
  bool begun = false;
};

// Erases what is there, then inserts.
bool assign_at_one_place(ListWriter& writer, AssignProgress& progress, std::span<const HashedValue> values) {
  ListPositions& left = progress.positions;
  if (left.count > 0 && left.first < writer.size()) {
    left.count -= writer.erase(left.first, std::min(left.count, writer.size() - left.first));
    if (left.count > 0 && left.first < writer.size()) return false;
  }
  left.count = 0;
  if (progress.inserted == values.size()) return true;
  if (progress.inserted != 0 || writer.room()) {
    const std::uint64_t at = std::min(left.first + progress.inserted, writer.size());
    progress.inserted += writer.insert(at, values.subspan(progress.inserted));
  }
  return progress.inserted == values.size();
}

bool assign_extended(ListWriter& writer, AssignProgress& progress, std::span<const HashedValue> values) {
  for (bool first = true; progress.inserted < values.size() && (first || writer.room()); first = false) {
    const std::uint64_t position = progress.positions.at(progress.inserted);
    if (position < writer.size()) writer.set(position, values[progress.inserted]);
    ++progress.inserted;
  }
  return progress.inserted == values.size();
}

}  // namespace

void List::assign(const ListSlice& slice, std::span<const Value> values) {
  const std::vector<HashedValue> all = hashed(*impl_, values);
  change(Steps{AssignProgress{}, [&](ListWriter& writer, AssignProgress& progress) {
                 if (!progress.begun) {
                   progress.positions = ListPositions::of(slice, writer.size());
                   progress.begun = true;
                   if (slice.step != 1 && progress.positions.count != all.size()) {
                     throw Error(ErrorCode::kInvalidArgument,
                                 "attempt to assign sequence of size " + std::to_string(all.size()) +
                                     " to extended slice of size " + std::to_string(progress.positions.count));
                   }
                 }
                 return slice.step == 1 ? assign_at_one_place(writer, progress, all)
                                        : assign_extended(writer, progress, all);
               }});
}

void List::reverse() {
  if (size() == 0) return;
  change(Steps{std::uint64_t{0}, [&](ListWriter& writer, std::uint64_t& done) {
                 const std::uint64_t half = writer.size() / 2;  // others may have changed it between two steps
                 if (done < half) done += writer.exchange(done, writer.size() - 1 - done, half - done);
                 return done >= half;
               }});
}

void List::clear() {
  Part* home = nullptr;
  static_cast<void>(impl_->write_home([&](Transaction& txn, CollectionRoot& root, Binding binding) {
    LogSink* const log = impl_->arena()->log();
    if (log != nullptr) txn.store64(&root.list_version, root.list_version + 1);
    discard_root(txn, binding, true);
    if (log != nullptr) {
      ListEdits edits;
      edits.clear();
      edits.append(*log, txn, root);
    }
    txn.commit();
    home = &txn.part();
    return true;
  }));
  if (home != nullptr) empty_trash(*home);
}

}  // namespace kv
