#include "collections/list_reader.hpp"

#include <algorithm>
#include <bit>

#include "collections/entries.hpp"
#include "index/entry.hpp"

namespace kv {
namespace {

constexpr std::uint64_t kFirstItems = 256;
constexpr std::uint64_t kFirstBytes = 4096;

}  // namespace

template <class Section>
void ListReader::run(Section&& section) {
  for (std::uint64_t items = kFirstItems, values = kFirstItems, bytes = kFirstBytes;;) {
    out_.codes.resize(std::max<std::uint64_t>(items, out_.codes.size()));
    out_.values.items.resize(std::max<std::uint64_t>(values, out_.values.items.size()));
    out_.values.bytes.resize(std::max<std::uint64_t>(bytes, out_.values.bytes.size()));
    const std::size_t room = std::bit_ceil(2 * out_.values.items.size());
    if (numbered_.size() < room) numbered_.assign(room, {});
    const auto seen = list_.read_home([&](const Part& part, const CollectionRoot& root) {
      if (++generation_ == 0) generation_ = 1;
      codes_ = values_ = bytes_ = 0;
      out_.length = load64(&root.entries);
      section(part, root);
      return std::pair(part.sequence(), part.index());
    });
    out_.sequence = seen.first;
    out_.part = seen.second;
    const bool fits =
        codes_ <= out_.codes.size() && values_ <= out_.values.items.size() && bytes_ <= out_.values.bytes.size();
    if (fits) break;
    // By the time of the next run there may be more.
    items = codes_ + codes_ / 8, values = values_ + values_ / 8, bytes = bytes_ + bytes_ / 8;
  }
  out_.codes.resize(codes_);
  out_.values.items.resize(values_);
  out_.values.bytes.resize(bytes_);
}

void ListReader::read(const ListSlice& slice, std::uint64_t max_bytes) {
  run([&](const Part& part, const CollectionRoot& root) { gather(part, root, slice, max_bytes); });
}

void ListReader::read_stored(bool with_codes) {
  run([&](const Part& part, const CollectionRoot& root) { gather_stored(part, root, with_codes); });
}

std::uint32_t ListReader::number_of(std::uint32_t code) noexcept {
  const std::size_t mask = numbered_.size() - 1;
  const std::uint64_t wanted = std::uint64_t{code} + 1;
  std::size_t at = (code * 0x9e3779b1U) & mask;
  for (; numbered_[at].generation == generation_; at = (at + 1) & mask) {
    if (numbered_[at].code_and_one == wanted) return numbered_[at].number;
  }
  if (values_ >= out_.values.items.size()) return kNone;
  numbered_[at] = {wanted, static_cast<std::uint32_t>(values_), generation_};
  return static_cast<std::uint32_t>(values_++);
}

void ListReader::copy_value(const Part& part, Ref entry, std::uint64_t number) noexcept {
  const EntryHeader header = EntryHeader::load(part.at(entry, kEntryHeaderBytes));
  if (!part.contains(entry, header.total_bytes())) return;  // garbage: the section will run again
  if (number >= out_.values.items.size()) return;
  const std::uint64_t count = list_state::record_of(part, entry).count();
  out_.values.items[number] = {bytes_, header.value_bytes, count, header.type, true};
  bytes_ += header.value_bytes;
  if (bytes_ > out_.values.bytes.size()) return;
  copy_out(out_.values.bytes.data() + bytes_ - header.value_bytes, entry_value(part, entry), header.value_bytes);
}

void ListReader::gather(const Part& part, const CollectionRoot& root, const ListSlice& slice,
                        std::uint64_t max_bytes) noexcept {
  const ListState* const state = list_state::of(part, root);
  if (state == nullptr) return;
  const ListPositions positions = ListPositions::of(slice, out_.length);
  if (positions.count > out_.codes.size() && max_bytes == ~std::uint64_t{0}) {
    codes_ = positions.count;
    // Then at most as many values, or all that there are.
    values_ = std::min(positions.count, load64(&state->distinct));
    return;
  }
  std::uint32_t chunk[kChunkCodes];
  list_state::Place place;
  std::uint64_t chunk_first = 0;  // position of the chunk that was copied last
  for (std::uint64_t i = 0; i < positions.count && i < out_.codes.size(); ++i) {
    const std::uint64_t position = positions.at(i);
    if (place.chunk == kNullRef || position < chunk_first || position - chunk_first >= place.length) {
      place = list_state::locate(part, root, *state, position);
      if (!place.valid()) return;
      chunk_first = position - place.offset;
      list_state::copy_codes(part, place.chunk, 0, place.length, chunk);
    }
    const std::uint32_t code = chunk[position - chunk_first];
    const std::uint64_t known = values_;
    const std::uint32_t number = number_of(code);
    if (number == kNone) {
      values_ = std::min(2 * known, load64(&state->distinct)) + 1;
      return;
    }
    if (number == known) {
      const std::uint64_t bytes = bytes_;
      copy_value(part, list_dictionary::entry_of(part, *state, code), number);
      if (bytes_ > max_bytes && i != 0) {  // without this one
        values_ = known;
        bytes_ = bytes;
        return;
      }
    }
    out_.codes[codes_++] = number;
  }
}

void ListReader::gather_stored(const Part& part, const CollectionRoot& root, bool with_codes) noexcept {
  const ListState* const state = list_state::of(part, root);
  if (state == nullptr) return;
  const std::uint64_t pages = load32(&state->codes.page_count);
  const std::uint64_t slots = pages > 1 ? pages * kPageSlots : load32(&state->codes.first_slots);
  if (slots > out_.values.items.size() || (with_codes && out_.length > out_.codes.size())) {
    values_ = slots;
    codes_ = with_codes ? out_.length : 0;
    return;
  }
  std::uint64_t last = 0;  // behind the last code in use
  for (std::uint64_t code = 0; code < slots; ++code) {
    out_.values.items[code] = {};
    const Ref entry = list_dictionary::entry_of(part, *state, static_cast<std::uint32_t>(code));
    if (entry == kNullRef) continue;
    copy_value(part, entry, code);
    last = code + 1;
  }
  values_ = last;
  if (!with_codes) return;
  for (std::uint64_t position = 0; position < out_.length;) {
    const auto place = list_state::locate(part, root, *state, position);
    if (!place.valid() || place.length > out_.length - position) return;
    list_state::copy_codes(part, place.chunk, 0, place.length, out_.codes.data() + position);
    position += place.length;
  }
  codes_ = out_.length;
}

}  // namespace kv
