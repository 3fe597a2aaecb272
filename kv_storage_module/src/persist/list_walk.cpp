#include "persist/list_walk.hpp"

#include <algorithm>
#include <array>

#include "collections/list_dictionary.hpp"
#include "collections/value_reader.hpp"
#include "index/entry.hpp"
#include "memory/arena.hpp"

namespace kv::persist {
namespace {

constexpr std::uint64_t kPagePositions = 4096;
constexpr std::size_t kPageBytesAtMost = 64 * 1024;  // of values, but for the last one
constexpr std::size_t kLargeValueBytes = 1 << 20;    // pinned instead of copied under the lock

}  // namespace

bool ListWalk::write_some() {
  switch (take_page()) {
    case Taken::kPage:
      write_page();
      return true;
    case Taken::kEnd:
      write_end();
      return false;
    case Taken::kGone:
      return false;
  }
  return false;
}

ListWalk::Taken ListWalk::take_page() {
  numbers_.clear();
  numbers_.reserve(kPagePositions);
  page_values_ = 0;
  page_bytes_.clear();
  large_.reset();
  Transaction txn(part_);
  CollectionRoot* const root = find_root(txn, list_);
  if (root == nullptr) return Taken::kGone;
  const std::uint64_t first = begun_ ? root->list_walk : 0;  // what a walk before was left at, means nothing
  version_ = root->list_version;
  ++pages_;
  if (!begun_) walk_ = root->list_walks + 1;
  std::uint64_t walked = first;
  const ListState* const state = list_state::of(part_, *root);
  bool full = false;
  while (state != nullptr && !full && walked < root->entries && walked - first < kPagePositions) {
    std::uint32_t codes[kChunkCodes];
    const auto place = list_state::locate(part_, *root, *state, walked);
    const auto count = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(place.length - place.offset, kPagePositions - (walked - first)));
    list_state::copy_codes(part_, place.chunk, place.offset, count, codes);
    for (std::uint32_t i = 0; i < count && !full; ++i) {
      full = !take(txn, *state, codes[i]);
      walked += full ? 0 : 1;
    }
  }
  const bool is_end = walked == first;
  const std::uint64_t walk = is_end ? 0 : walked;  // from the end on nothing has to be moved
  if (!begun_) txn.store32(&root->list_walks, walk_);
  if (root->list_walk != walk) txn.store64(&root->list_walk, walk);
  txn.commit();
  begun_ = true;
  return is_end ? Taken::kEnd : Taken::kPage;
}

bool ListWalk::take(Transaction& txn, const ListState& state, std::uint32_t code) {
  if (large_) return false;
  if (code >= seen_.size()) seen_.resize(std::max<std::size_t>(code + std::size_t{1}, seen_.size() * 3 / 2));
  Seen& seen = seen_[code];
  if (seen.number_and_one == 0 || seen.page != pages_) {
    const Ref entry = list_dictionary::entry_of(part_, state, code);
    if (seen.number_and_one == 0 || list_state::record_of(part_, entry).came_in_walk(walk_)) {
      const EntryHeader header = EntryHeader::load(txn.at(entry));
      const bool is_large = header.value_bytes >= kLargeValueBytes;
      if (!numbers_.empty() && (is_large || page_bytes_.size() >= kPageBytesAtMost)) return false;
      const ListedValue front{header.value_bytes, static_cast<std::uint8_t>(header.type), {}};
      page_bytes_ += bytes_of(front);
      if (is_large) {
        large_ = pin_entry(txn, part_.arena().shared_from_this(), entry);
      } else {
        const std::size_t at = page_bytes_.size();
        page_bytes_.resize(at + header.value_bytes);
        copy_out(page_bytes_.data() + at, entry_value(part_, entry), header.value_bytes);
      }
      ++page_values_;
      seen.number_and_one = ++values_;
    }
    seen.page = pages_;
  }
  numbers_.push_back(seen.number_and_one - 1);
  return true;
}

void ListWalk::write_page() {
  const ListPageFront front{
      list_.serial, static_cast<std::uint32_t>(numbers_.size()), version_, positions_, values_ - page_values_,
      page_values_};
  std::string numbers;
  append_numbers(numbers, numbers_, number_bytes(values_));
  out_.write(LogKind::kListPage,
             std::array<ByteView, 4>{bytes_of(front), page_bytes_, large_ ? large_->bytes() : ByteView(), numbers});
  positions_ += numbers_.size();
}

void ListWalk::write_end() {
  const ListEnd end{list_.serial, 0, version_, positions_};
  if (version_ != 0 || positions_ != 0) out_.write(LogKind::kListEnd, std::array{bytes_of(end)});
}

}  // namespace kv::persist
