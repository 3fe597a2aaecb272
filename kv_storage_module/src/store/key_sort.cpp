#include "store/key_sort.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace kv {
namespace {

constexpr std::size_t kStep = sizeof(std::uint64_t);
constexpr std::size_t kSmall = 32;  // below: compare whole keys
constexpr std::size_t kAhead = 16;  // keys fetched before they are needed

struct Cached {
  std::uint64_t window;  // eight bytes of the key, big endian, zeros past its end
  RowKey key;
};

[[nodiscard]] std::uint64_t window_of(const RowKey& key, std::size_t depth) noexcept {
  std::uint64_t word = 0;
  if (depth + kStep <= key.size) {
    std::memcpy(&word, key.bytes + depth, kStep);
  } else if (depth < key.size) {
    std::memcpy(&word, key.bytes + depth, key.size - depth);
  }
  return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word;
}

void sort_whole(std::span<Cached> keys) {
  std::sort(keys.begin(), keys.end(), [](const Cached& a, const Cached& b) { return a.key.view() < b.key.view(); });
}

// Keys that agree in the bytes before `depth`.
void sort_from(std::span<Cached> keys, std::size_t depth) {
  if (keys.size() < kSmall) return sort_whole(keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (i + kAhead < keys.size()) __builtin_prefetch(keys[i + kAhead].key.bytes + depth);
    keys[i].window = window_of(keys[i].key, depth);
  }
  std::sort(keys.begin(), keys.end(), [](const Cached& a, const Cached& b) { return a.window < b.window; });
  for (std::size_t begin = 0; begin < keys.size();) {
    std::size_t end = begin;
    bool all_go_on = true;
    for (; end < keys.size() && keys[end].window == keys[begin].window; ++end) {
      all_go_on = all_go_on && keys[end].key.size > depth + kStep;
    }
    // A key that ends inside the window and one that goes on with NULs look alike in it: then compare them whole.
    const std::span<Cached> equal = keys.subspan(begin, end - begin);
    if (equal.size() > 1) all_go_on ? sort_from(equal, depth + kStep) : sort_whole(equal);
    begin = end;
  }
}

[[nodiscard]] std::size_t common_prefix(std::span<const RowKey> keys) noexcept {
  ByteView prefix = keys.front().view();
  for (const RowKey& key : keys) {
    const ByteView other = key.view().substr(0, prefix.size());
    const auto mismatch = std::mismatch(other.begin(), other.end(), prefix.begin());
    prefix = prefix.substr(0, static_cast<std::size_t>(mismatch.first - other.begin()));
  }
  return prefix.size();
}

}  // namespace

void sort_keys(std::span<RowKey> keys) {
  if (keys.size() < 2) return;
  std::vector<Cached> cached(keys.size());
  std::transform(keys.begin(), keys.end(), cached.begin(), [](const RowKey& key) { return Cached{0, key}; });
  sort_from(cached, common_prefix(keys));
  std::transform(cached.begin(), cached.end(), keys.begin(), [](const Cached& entry) { return entry.key; });
}

RunMerger::RunMerger(std::vector<std::span<const RowKey>> runs) : runs_(std::move(runs)) {
  std::erase_if(runs_, [](const auto& run) { return run.empty(); });
}

const RowKey* RunMerger::next() noexcept {
  if (runs_.empty()) return nullptr;
  auto smallest = runs_.begin();
  for (auto run = smallest + 1; run != runs_.end(); ++run) {
    if (run->front().view() < smallest->front().view()) smallest = run;
  }
  const RowKey* const key = &smallest->front();
  if (smallest->size() > kAhead) __builtin_prefetch((*smallest)[kAhead].bytes);
  *smallest = smallest->subspan(1);
  if (smallest->empty()) runs_.erase(smallest);
  return key;
}

}  // namespace kv
