// The keys of many rows on their way to the index: collected in ranges of keys, each of which is then sorted by itself,
// in the cache. One after the other, the ranges are all keys in order.
//
// The bounds of the ranges come from a sample of the keys (sample sort: W. D. Frazer, A. C. McKellar, JACM 1970), so
// whatever the keys are, the ranges are about equally long; if the sample misleads, they are only less so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "index/key_sort.hpp"
#include "kv_storage/bytes.hpp"

namespace kv {

// Sorted keys, end to end.
struct SortedKeys {
  struct Key {
    std::uint32_t size;
    std::uint32_t row;
  };
  std::unique_ptr<char[]> bytes;
  std::vector<Key> keys;
};

class KeyPartitions {
 public:
  static constexpr std::uint64_t kPartitionKeys = 16 * 1024;
  static constexpr std::size_t kMaxPartitions = 1024;
  static constexpr std::size_t kKeysAtATime = 8;

  // For about `rows` keys, collected by threads 0 ... threads - 1.
  KeyPartitions(std::vector<std::string> sample, std::uint64_t rows, unsigned threads);

  [[nodiscard]] std::size_t count() const noexcept { return bounds_.size() + 1; }
  // How many keys of a sample make good bounds for so many rows.
  [[nodiscard]] static std::size_t sample_for(std::uint64_t rows) noexcept;

  // Keys that lie end to end in `keys` and end at `ends`, of the rows from `first_row` on. Not by two threads with the
  // same number at a time.
  void add(unsigned thread, ByteView keys, std::span<const std::uint32_t> ends, std::uint32_t first_row);
  // Of one partition, once, when all have been added. Different partitions by several threads at a time.
  [[nodiscard]] SortedKeys take(std::size_t partition, KeySorter& sorter);

 private:
  // Memory of the system's for chunks, given back with the last of them.
  class Region {
   public:
    explicit Region(std::size_t bytes);
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    ~Region();
    [[nodiscard]] char* data() const noexcept { return data_; }

   private:
    std::size_t mapped_bytes_;
    char* mapped_;
    char* data_;
  };

  // A block of {row, size, bytes of the key behind what all keys of the partition begin with}.
  class Chunk {
   public:
    Chunk(std::shared_ptr<const Region> region, char* data, std::size_t bytes) noexcept
        : region_(std::move(region)), data_(data), bytes_(bytes) {}
    [[nodiscard]] bool append(ByteView key, std::uint32_t row) noexcept;  // false = no room
    void prefetch() const noexcept { __builtin_prefetch(data_ + used_, 1); }
    void read(std::vector<RowKey>& keys) const;

   private:
    std::shared_ptr<const Region> region_;
    char* data_;
    std::size_t bytes_;
    std::size_t used_ = 0;
  };
  using Chunks = std::vector<Chunk>;

  // Neighbouring partitions of one thread share regions of a huge page: it comes in one fault, and as they are taken
  // one after the other, it goes back whole, for the index to be taken next.
  static constexpr std::size_t kGroup = 16;
  struct Room {
    std::weak_ptr<const Region> region;  // the chunks in it own it
    std::size_t bytes = 0;
    std::size_t used = 0;
  };
  struct Thread {
    std::vector<Chunks> partitions;
    std::vector<Room> rooms;  // by group
  };
  Chunk& add_chunk(Thread& thread, std::size_t partition, std::size_t bytes) const;

  using Window = unsigned __int128;

  static constexpr std::size_t kStarts = std::size_t{1} << 16U;

  void note_starts();
  [[nodiscard]] static std::size_t start_of(Window window) noexcept { return static_cast<std::size_t>(window >> 112U); }
  [[nodiscard]] Window window_of(ByteView key) const noexcept;
  [[nodiscard]] std::size_t partition_of(ByteView key) const noexcept;
  // The same for several keys at a time: their searches, each a chain of compares that wait for each other, go side by
  // side.
  void partitions_of(std::span<const ByteView> keys, std::span<std::size_t> partitions) const noexcept;

  std::vector<std::string> bounds_;  // the least key of each partition but the first
  std::string prefix_;               // of all bounds
  std::vector<Window> windows_;      // the 16 bytes of each bound behind it
  // By the first two bytes of a window, where to search: from this one on, in most_alike_ windows.
  std::vector<std::uint16_t> first_alike_;
  std::size_t most_alike_ = 0;
  std::vector<std::size_t> common_;  // of each partition: how many bytes all its keys begin with, as both bounds do
  std::vector<Thread> by_thread_;
};

}  // namespace kv
