#include "index/key_sort.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace kv {
namespace {

constexpr std::size_t kWindowBytes = sizeof(std::uint64_t);
constexpr unsigned kWordBits = 64;
constexpr std::size_t kFew = 32;        // below: compare whole keys
constexpr std::size_t kFewItems = 300;  // below: compare words
constexpr unsigned kDigitBits = 11;

void sort_whole(std::span<RowKey> keys) {
  std::sort(keys.begin(), keys.end(), [](const RowKey& a, const RowKey& b) { return a.view() < b.view(); });
}

}  // namespace

void KeySorter::sort(std::span<RowKey> keys) { sort_from(keys, 0); }

KeySorter::Windows KeySorter::windows_of(const RowKey& key, std::size_t depth) noexcept {
  Windows windows{};
  for (std::size_t i = 0; i < kWindows; ++i) windows[i] = key_window(key.view(), depth + i * kWindowBytes);
  return windows;
}

// Keys that agree in the bytes before `depth`.
void KeySorter::sort_from(std::span<RowKey> keys, std::size_t depth) {
  if (keys.size() < kFew) return sort_whole(keys);
  Windows differing{};
  std::size_t longest = 0;
  for (;; depth += kWindows * kWindowBytes) {
    const Windows first = windows_of(keys[0], depth);
    for (const RowKey& key : keys) {
      const Windows windows = windows_of(key, depth);
      for (std::size_t i = 0; i < kWindows; ++i) differing[i] |= windows[i] ^ first[i];
      longest = std::max<std::size_t>(longest, key.size);
    }
    if (differing != Windows{}) break;
    // A key that ends and one that goes on with NULs look alike.
    if (depth + kWindows * kWindowBytes >= longest) return sort_whole(keys);
  }
  choose_fields(differing);
  unsigned bits = 0;
  for (const Field& field : fields_) bits += field.bits;
  make_items(keys, depth);
  sort_items(bits);

  keys_.assign(keys.begin(), keys.end());
  std::vector<std::span<RowKey>> undecided;
  for (std::size_t begin = 0; begin < keys.size();) {
    std::size_t end = begin;
    do {
      keys[end] = keys_[items_[end].index];
    } while (++end < keys.size() && items_[end].word == items_[begin].word);
    if (end - begin > 1) undecided.push_back(keys.subspan(begin, end - begin));
    begin = end;
  }
  for (const std::span<RowKey> equal : undecided) sort_from(equal, depth);
}

// The first bits in which keys differ, as many as fit into the word.
void KeySorter::choose_fields(const Windows& differing) {
  fields_.clear();
  unsigned used = 0;
  for (std::uint8_t window = 0; window < kWindows; ++window) {
    for (unsigned byte_shift = kWordBits; byte_shift != 0 && used < kWordBits;) {
      byte_shift -= 8;
      const auto byte = static_cast<std::uint8_t>(differing[window] >> byte_shift);
      if (byte == 0) continue;
      const auto width = static_cast<unsigned>(std::bit_width(byte));
      const unsigned low = std::max<unsigned>(static_cast<unsigned>(std::countr_zero(byte)),
                                              used + width > kWordBits ? used + width - kWordBits : 0);
      if (low >= width) continue;
      fields_.push_back({window, static_cast<std::uint8_t>(byte_shift + low), static_cast<std::uint8_t>(width - low)});
      used += width - low;
      used_windows_ = std::size_t{window} + 1;
    }
  }
}

// For some keys at a time, field by field: what is shifted and masked by the same number in all of them, the compiler
// does for several keys in one instruction.
void KeySorter::make_items(std::span<const RowKey> keys, std::size_t depth) {
  std::array<std::array<std::uint64_t, kKeysAtATime>, kWindows> windows{};
  items_.clear();
  for (std::size_t first = 0; first < keys.size(); first += kKeysAtATime) {
    const std::span<const RowKey> some = keys.subspan(first, std::min(kKeysAtATime, keys.size() - first));
    for (std::size_t window = 0; window < used_windows_; ++window) {
      for (std::size_t i = 0; i < some.size(); ++i) {
        windows[window][i] = key_window(some[i].view(), depth + window * kWindowBytes);
      }
    }
    std::array<std::uint64_t, kKeysAtATime> words{};
    for (const Field& field : fields_) {
      const std::uint64_t mask = (std::uint64_t{1} << field.bits) - 1;
      const std::array<std::uint64_t, kKeysAtATime>& window = windows[field.window];
      for (std::size_t i = 0; i < kKeysAtATime; ++i) {
        words[i] = words[i] << field.bits | (window[i] >> field.shift & mask);
      }
    }
    for (std::size_t i = 0; i < some.size(); ++i) {
      items_.push_back({words[i], static_cast<std::uint32_t>(first + i)});
    }
  }
}

// Radix sort from the lowest digit (D. E. Knuth, TAOCP vol. 3, 5.2.5) of words that use `bits` bits.
void KeySorter::sort_items(unsigned bits) {
  const auto by_word = [](const Item& a, const Item& b) { return a.word < b.word; };
  if (items_.size() < kFewItems) return std::sort(items_.begin(), items_.end(), by_word);
  other_items_.resize(items_.size());
  for (unsigned shift = 0; shift < bits; shift += kDigitBits) {
    constexpr std::uint64_t kMask = (1U << kDigitBits) - 1;
    std::array<std::uint32_t, 1U << kDigitBits> place{};
    for (const Item& item : items_) ++place[item.word >> shift & kMask];
    std::uint32_t sum = 0;
    for (std::uint32_t& count : place) count = std::exchange(sum, sum + count);
    for (const Item& item : items_) other_items_[place[item.word >> shift & kMask]++] = item;
    items_.swap(other_items_);
  }
}

}  // namespace kv
