// The sizes of small blocks: every multiple of 8 from 16 to 256 bytes, then eight steps per doubling up to 32 KiB
// (at most 12.5 % lost to rounding). A run of chunks holds equal blocks behind a bitmap of the blocks in use.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kv {

inline constexpr std::size_t kMinBlockBytes = 16;
inline constexpr std::size_t kFineBlockBytes = 256;  // up to here in steps of 8
inline constexpr std::size_t kMaxSmallBytes = 32 * 1024;
inline constexpr std::size_t kFineClasses = (kFineBlockBytes - kMinBlockBytes) / 8 + 1;
inline constexpr std::size_t kSizeClasses = kFineClasses + 7 * 8;

struct SizeClass {
  std::uint32_t block_bytes;
  std::uint32_t run_chunks;
  std::uint32_t blocks;        // per run
  std::uint32_t first_offset;  // of block 0 from the start of the run: the bitmap lies before it
  std::uint32_t reciprocal;    // of block_bytes / 8, as a 32-bit fraction rounded up

  [[nodiscard]] constexpr std::uint32_t bitmap_words() const noexcept { return (blocks + 63) / 64; }
  // Index of the block at `offset` (from block 0, a multiple of 8 below 256 KiB): exact, see the assertion below.
  [[nodiscard]] constexpr std::uint32_t index_of(std::uint32_t offset) const noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{offset / 8} * reciprocal) >> 32);
  }
};

[[nodiscard]] constexpr std::size_t size_class_of(std::size_t bytes) noexcept {
  if (bytes <= kMinBlockBytes) return 0;
  if (bytes <= kFineBlockBytes) return (bytes - kMinBlockBytes + 7) / 8;
  const auto doubling = static_cast<std::size_t>(std::bit_width(bytes - 1) - 1);  // 8 for (256, 512], ...
  const std::size_t step = std::size_t{1} << (doubling - 3);
  return kFineClasses + (doubling - 8) * 8 + (bytes - (std::size_t{1} << doubling) + step - 1) / step - 1;
}

[[nodiscard]] constexpr std::size_t size_class_bytes(std::size_t size_class) noexcept {
  if (size_class < kFineClasses) return kMinBlockBytes + size_class * 8;
  const std::size_t coarse = size_class - kFineClasses;
  const std::size_t base = std::size_t{256} << (coarse / 8);
  return base + (coarse % 8 + 1) * (base / 8);
}

// What a block of at least `bytes` bytes really takes: its class, or whole chunks.
inline constexpr std::size_t kLargeBlockStep = 16 * 1024;
[[nodiscard]] constexpr std::size_t block_bytes_of(std::size_t bytes) noexcept {
  return bytes <= kMaxSmallBytes ? size_class_bytes(size_class_of(bytes))
                                 : (bytes + kLargeBlockStep - 1) / kLargeBlockStep * kLargeBlockStep;
}

[[nodiscard]] constexpr SizeClass make_size_class(std::size_t size_class) noexcept {
  const std::size_t block = size_class_bytes(size_class);
  const std::size_t chunks = block <= 8 * 1024 ? 4 : 16;
  const std::size_t run = chunks * 16 * 1024;
  std::size_t blocks = run / block;
  std::size_t first = 0;
  for (;; --blocks) {
    first = ((blocks + 63) / 64 * 8 + 63) / 64 * 64;
    if (first + blocks * block <= run) break;
  }
  return {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(chunks), static_cast<std::uint32_t>(blocks),
          static_cast<std::uint32_t>(first),
          static_cast<std::uint32_t>(((std::uint64_t{1} << 32) + block / 8 - 1) / (block / 8))};
}

inline constexpr auto kSizeClassTable = [] {
  std::array<SizeClass, kSizeClasses> table{};
  for (std::size_t i = 0; i < kSizeClasses; ++i) table[i] = make_size_class(i);
  return table;
}();

// index_of is exact: with q = block_bytes / 8 <= 2^12 and n = offset / 8 < 2^15, the rounding error n * q is below
// 2^32.
static_assert(size_class_bytes(kSizeClasses - 1) == kMaxSmallBytes);
static_assert(size_class_of(kMaxSmallBytes) == kSizeClasses - 1);

}  // namespace kv
