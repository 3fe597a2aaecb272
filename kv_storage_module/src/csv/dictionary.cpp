#include "csv/dictionary.hpp"

#include <xxhash.h>

#include <cstring>
#include <limits>

#include "kv_storage/error.hpp"

namespace kv::csv {
namespace {

constexpr std::size_t kFirstSlots = 64;

std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32U); }

}  // namespace

Dictionary::Dictionary() : slots_(kFirstSlots), mask_(kFirstSlots - 1) {}

std::uint64_t Dictionary::hash(ByteView text) noexcept { return XXH3_64bits(text.data(), text.size()); }

void Dictionary::prefetch_text(std::uint64_t hash) const noexcept {
  const Slot& slot = slots_[hash & mask_];
  if (slot.entry == 0) return;
  const std::uint64_t* entry = &words_[slot.entry - 1];
  __builtin_prefetch(entry);
  __builtin_prefetch(entry + 8);
}

ByteView Dictionary::text_at(std::uint32_t word) const noexcept {
  Entry entry{};
  std::memcpy(&entry, &words_[word], sizeof(entry));
  return {reinterpret_cast<const char*>(&words_[word] + 1), entry.size};
}

// The slot that holds `text`, or the free one where it belongs.
std::size_t Dictionary::slot_of(ByteView text, std::uint64_t hash) const noexcept {
  for (std::size_t at = hash & mask_;; at = (at + 1) & mask_) {
    const Slot& slot = slots_[at];
    if (slot.entry == 0 || (slot.tag == tag_of(hash) && text_at(slot.entry - 1) == text)) return at;
  }
}

std::size_t Dictionary::free_slot(std::uint64_t hash) const noexcept {
  std::size_t at = hash & mask_;
  while (slots_[at].entry != 0) at = (at + 1) & mask_;
  return at;
}

bool Dictionary::add(ByteView text, std::uint64_t hash) {
  std::size_t at = slot_of(text, hash);
  if (slots_[at].entry != 0) return false;
  if (entries_.size() * 2 >= slots_.size()) {
    grow();
    at = free_slot(hash);
  }
  slots_[at] = {.tag = tag_of(hash), .entry = append(text) + 1};
  return true;
}

std::optional<std::uint32_t> Dictionary::find(ByteView text, std::uint64_t hash) const noexcept {
  const Slot& slot = slots_[slot_of(text, hash)];
  if (slot.entry == 0) return std::nullopt;
  return static_cast<std::uint32_t>(words_[slot.entry - 1]);
}

// Returns the place of the new entry.
std::uint32_t Dictionary::append(ByteView text) {
  const std::size_t place = words_.size();
  const std::size_t words = 1 + (text.size() + 7) / 8;
  if (place + words >= std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorCode::kOverCapacity, "csv: the different texts of one category exceed 32 GiB");
  }
  const Entry entry{.code = size(), .size = static_cast<std::uint32_t>(text.size())};
  words_.resize(place + words);
  std::memcpy(&words_[place], &entry, sizeof(entry));
  std::memcpy(&words_[place] + 1, text.data(), text.size());
  entries_.push_back(static_cast<std::uint32_t>(place));
  text_bytes_ += text.size();
  return static_cast<std::uint32_t>(place);
}

ByteView Dictionary::text(std::uint32_t code) const noexcept { return text_at(entries_[code]); }

std::vector<ByteView> Dictionary::texts() const {
  std::vector<ByteView> all;
  all.reserve(entries_.size());
  for (const std::uint32_t place : entries_) all.push_back(text_at(place));
  return all;
}

void Dictionary::grow() {
  slots_.assign(slots_.size() * 2, Slot{});
  mask_ = slots_.size() - 1;
  for (const std::uint32_t place : entries_) {
    const std::uint64_t hash_of_text = hash(text_at(place));
    slots_[free_slot(hash_of_text)] = {.tag = tag_of(hash_of_text), .entry = place + 1};
  }
}

}  // namespace kv::csv
