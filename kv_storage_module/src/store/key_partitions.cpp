#include "store/key_partitions.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "index/paths.hpp"
#include "memory/system.hpp"

namespace kv {
namespace {

constexpr std::size_t kKeyChunkBytes = 32 * 1024;

constexpr std::size_t kSamplesPerPartition = 16;

// In front of the bytes of a key in a chunk: its row, and how many bytes follow.
struct Front {
  static constexpr std::size_t kBytes = sizeof(std::uint32_t) + sizeof(std::uint16_t);

  std::uint32_t row;
  std::uint16_t size;

  void write(char* at) const noexcept {
    std::memcpy(at, &row, sizeof row);
    std::memcpy(at + sizeof row, &size, sizeof size);
  }
  [[nodiscard]] static Front read(const char* at) noexcept {
    Front front{};
    std::memcpy(&front.row, at, sizeof front.row);
    std::memcpy(&front.size, at + sizeof front.row, sizeof front.size);
    return front;
  }
};
static_assert(kMaxKeyBytes <= std::numeric_limits<std::uint16_t>::max());

[[nodiscard]] std::size_t partitions_for(std::uint64_t rows) noexcept {
  return static_cast<std::size_t>(
      std::clamp<std::uint64_t>(rows / KeyPartitions::kPartitionKeys, 1, KeyPartitions::kMaxPartitions));
}

}  // namespace

// ---- Chunks ----

// Large ones begin at a multiple of a huge page, somewhere in a mapping that is longer by one.
KeyPartitions::Region::Region(std::size_t bytes)
    : mapped_bytes_(bytes < system::kHugePageBytes ? bytes : bytes + system::kHugePageBytes) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const at = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  mapped_ = data_ = static_cast<char*>(at);
  if (bytes < system::kHugePageBytes) return;
  data_ += -reinterpret_cast<std::uintptr_t>(mapped_) % system::kHugePageBytes;
  static_cast<void>(::madvise(data_, bytes, MADV_HUGEPAGE));
}

KeyPartitions::Region::~Region() { ::munmap(mapped_, mapped_bytes_); }

bool KeyPartitions::Chunk::append(ByteView key, std::uint32_t row) noexcept {
  if (used_ + Front::kBytes + key.size() > bytes_) return false;
  Front{row, static_cast<std::uint16_t>(key.size())}.write(data_ + used_);
  if (!key.empty()) std::memcpy(data_ + used_ + Front::kBytes, key.data(), key.size());
  used_ += Front::kBytes + key.size();
  return true;
}

void KeyPartitions::Chunk::read(std::vector<RowKey>& keys) const {
  for (std::size_t at = 0; at < used_;) {
    const Front front = Front::read(data_ + at);
    at += Front::kBytes;
    keys.push_back({data_ + at, front.size, front.row});
    at += front.size;
  }
}

// ---- Partitions ----

std::size_t KeyPartitions::sample_for(std::uint64_t rows) noexcept {
  return (partitions_for(rows) - 1) * kSamplesPerPartition;
}

KeyPartitions::KeyPartitions(std::vector<std::string> sample, std::uint64_t rows, unsigned threads) {
  std::sort(sample.begin(), sample.end());
  const std::size_t wanted = partitions_for(rows);
  for (std::size_t i = 1; i < wanted && !sample.empty(); ++i) {
    std::string& bound = sample[i * sample.size() / wanted];
    if (bounds_.empty() || bounds_.back() < bound) bounds_.push_back(bound);
  }
  if (!bounds_.empty()) prefix_ = bounds_.front().substr(0, common_bytes(bounds_.front(), bounds_.back()));
  for (const std::string& bound : bounds_) windows_.push_back(window_of(bound));
  note_starts();
  common_.assign(count(), 0);
  for (std::size_t i = 1; i < bounds_.size(); ++i) common_[i] = common_bytes(bounds_[i - 1], bounds_[i]);
  const std::size_t groups = (count() + kGroup - 1) / kGroup;
  for (unsigned i = 0; i < threads; ++i)
    by_thread_.push_back({std::vector<Chunks>(count()), std::vector<Room>(groups)});
}

void KeyPartitions::note_starts() {
  if (windows_.empty()) return;
  std::vector<std::uint16_t> below(kStarts + 1);  // how many windows have a start less than this
  for (const Window window : windows_) ++below[start_of(window) + 1];
  for (std::size_t start = 0; start < kStarts; ++start) {
    most_alike_ = std::max<std::size_t>(most_alike_, below[start + 1]);
    below[start + 1] = static_cast<std::uint16_t>(below[start + 1] + below[start]);
  }
  // So many windows are there from each of these on. Those before the ones with the right start are less than a key,
  // those behind are greater, so they do no harm.
  const auto last = static_cast<std::uint16_t>(windows_.size() - most_alike_);
  for (std::size_t start = 0; start < kStarts; ++start) below[start] = std::min(below[start], last);
  first_alike_ = std::move(below);
}

KeyPartitions::Window KeyPartitions::window_of(ByteView key) const noexcept {
  const std::size_t depth = prefix_.size();
  return Window{key_window(key, depth)} << 64 | key_window(key, depth + sizeof(std::uint64_t));
}

// How many bounds are not greater than the key.
std::size_t KeyPartitions::partition_of(ByteView key) const noexcept {
  auto first = bounds_.begin();
  auto last = bounds_.end();
  if (common_bytes(key, prefix_) == prefix_.size()) {
    const Window window = window_of(key);
    const Window* const end = windows_.data() + windows_.size();
    const Window* at = windows_.data();
    for (std::size_t left = windows_.size(); left > 0;) {  // without branches to guess
      const std::size_t half = (left + 1) / 2;
      at += half & (std::size_t{0} - static_cast<std::size_t>(at[half - 1] < window));
      left -= half;
    }
    const auto place = at - windows_.data();
    if (at == end || *at != window) return static_cast<std::size_t>(place);
    first += place;
    last = bounds_.begin() + (std::upper_bound(at, end, window) - windows_.data());
  }
  return static_cast<std::size_t>(std::upper_bound(first, last, key) - bounds_.begin());
}

void KeyPartitions::partitions_of(std::span<const ByteView> keys, std::span<std::size_t> partitions) const noexcept {
  std::array<Window, kKeysAtATime> windows{};
  std::array<const Window*, kKeysAtATime> at{};
  at.fill(windows_.data());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    windows[i] = window_of(keys[i]);
    if (!windows_.empty()) at[i] += first_alike_[start_of(windows[i])];
  }
  for (std::size_t left = most_alike_; left > 0;) {
    const std::size_t half = (left + 1) / 2;
    for (std::size_t i = 0; i < kKeysAtATime; ++i) {
      at[i] += half & (std::size_t{0} - static_cast<std::size_t>(at[i][half - 1] < windows[i]));
    }
    left -= half;
  }
  const Window* const end = windows_.data() + windows_.size();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const bool decided = common_bytes(keys[i], prefix_) == prefix_.size() && (at[i] == end || *at[i] != windows[i]);
    partitions[i] = decided ? static_cast<std::size_t>(at[i] - windows_.data()) : partition_of(keys[i]);
  }
}

KeyPartitions::Chunk& KeyPartitions::add_chunk(Thread& thread, std::size_t partition, std::size_t bytes) const {
  Room& room = thread.rooms[partition / kGroup];
  const std::size_t wanted = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  std::shared_ptr<const Region> region = room.region.lock();
  if (region == nullptr || room.used + wanted > room.bytes) {
    room.bytes = count() < kGroup ? wanted : std::max<std::size_t>(wanted, system::kHugePageBytes);
    room.used = 0;
    region = std::make_shared<const Region>(room.bytes);
    room.region = region;
  }
  Chunks& chunks = thread.partitions[partition];
  char* const data = region->data() + room.used;
  system::populate(reinterpret_cast<std::byte*>(data), wanted);  // where there are no huge pages
  chunks.emplace_back(std::move(region), data, wanted);
  room.used += wanted;
  return chunks.back();
}

void KeyPartitions::add(unsigned thread, ByteView keys, std::span<const std::uint32_t> ends, std::uint32_t first_row) {
  std::vector<Chunks>& partitions = by_thread_[thread].partitions;
  std::size_t begin = 0;
  while (!ends.empty()) {
    const std::size_t count = std::min(ends.size(), kKeysAtATime);
    std::array<ByteView, kKeysAtATime> group{};
    std::array<std::size_t, kKeysAtATime> places{};
    for (std::size_t i = 0; i < count; ++i) {
      group[i] = keys.substr(begin, ends[i] - begin);
      begin = ends[i];
    }
    partitions_of(std::span(group).first(count), places);
    for (std::size_t i = 0; i < count; ++i) {
      if (const Chunks& chunks = partitions[places[i]]; !chunks.empty()) chunks.back().prefetch();
    }
    for (std::size_t i = 0; i < count; ++i) {
      Chunks& chunks = partitions[places[i]];
      const ByteView rest = group[i].substr(common_[places[i]]);
      if (chunks.empty() || !chunks.back().append(rest, first_row)) {
        const std::size_t bytes = std::max(kKeyChunkBytes, Front::kBytes + rest.size());
        static_cast<void>(add_chunk(by_thread_[thread], places[i], bytes).append(rest, first_row));
      }
      ++first_row;
    }
    ends = ends.subspan(count);
  }
}

SortedKeys KeyPartitions::take(std::size_t partition, KeySorter& sorter) {
  std::vector<RowKey> keys;
  for (const Thread& thread : by_thread_) {
    for (const Chunk& chunk : thread.partitions[partition]) chunk.read(keys);
  }
  sorter.sort(keys);
  const ByteView common = partition == 0 ? ByteView() : ByteView(bounds_[partition - 1]).substr(0, common_[partition]);
  SortedKeys sorted;
  std::size_t bytes = keys.size() * common.size();
  for (const RowKey& key : keys) bytes += key.size;
  sorted.bytes = std::make_unique_for_overwrite<char[]>(bytes);
  sorted.keys.reserve(keys.size());
  char* to = sorted.bytes.get();
  for (const RowKey& key : keys) {
    to = std::copy(common.begin(), common.end(), to);
    to = std::copy_n(key.bytes, key.size, to);
    sorted.keys.push_back({static_cast<std::uint32_t>(common.size()) + key.size, key.row});
  }
  for (Thread& thread : by_thread_) thread.partitions[partition].clear();
  return sorted;
}

}  // namespace kv
