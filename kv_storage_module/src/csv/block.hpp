// 64 bytes of text compared at once: one bit per byte, the first byte in the least significant bit.
//
// Ways with the same result: AVX2 where the compiler may use it, SSE2, NEON, and plain 64-bit arithmetic.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

// A file may be compiled for a processor that others are not compiled for (scan.hpp): what is compiled differently has
// a different name, so that the linker does not take one for the other.
#if defined(__AVX2__)
#define KV_BLOCK_NAMESPACE avx2
#else
#define KV_BLOCK_NAMESPACE baseline
#endif

namespace kv::csv {

inline constexpr std::size_t kBlockBytes = 64;

inline namespace KV_BLOCK_NAMESPACE {

#if defined(__AVX2__)

class Block {
 public:
  explicit Block(const char* at) noexcept
      : low_(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))),
        high_(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32))) {}

  // Which bytes are `a`; which are one of `a`, `b`, `c`.
  [[nodiscard]] std::uint64_t equal(char a) const noexcept { return join(is(low_, a), is(high_, a)); }
  [[nodiscard]] std::uint64_t any_of(char a, char b, char c) const noexcept {
    return join(either(low_, a, b, c), either(high_, a, b, c));
  }
  [[nodiscard]] bool has_zero() const noexcept {
    return _mm256_movemask_epi8(is(_mm256_min_epu8(low_, high_), 0)) != 0;
  }

 private:
  static __m256i is(__m256i bytes, char a) noexcept { return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(a)); }
  static __m256i either(__m256i bytes, char a, char b, char c) noexcept {
    return _mm256_or_si256(_mm256_or_si256(is(bytes, a), is(bytes, b)), is(bytes, c));
  }
  static std::uint64_t join(__m256i low, __m256i high) noexcept {
    const auto bits = [](__m256i v) { return std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(v))}; };
    return bits(low) | bits(high) << 32U;
  }
  __m256i low_, high_;
};

#elif defined(__SSE2__)

class Block {
 public:
  explicit Block(const char* at) noexcept {
    for (int i = 0; i < 4; ++i) part_[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * i));
  }

  // Which bytes are `a`; which are one of `a`, `b`, `c`.
  [[nodiscard]] std::uint64_t equal(char a) const noexcept {
    return join([a](__m128i bytes) { return is(bytes, a); });
  }
  [[nodiscard]] std::uint64_t any_of(char a, char b, char c) const noexcept {
    return join([=](__m128i bytes) { return _mm_or_si128(_mm_or_si128(is(bytes, a), is(bytes, b)), is(bytes, c)); });
  }
  [[nodiscard]] bool has_zero() const noexcept {
    const __m128i least = _mm_min_epu8(_mm_min_epu8(part_[0], part_[1]), _mm_min_epu8(part_[2], part_[3]));
    return _mm_movemask_epi8(is(least, 0)) != 0;
  }

 private:
  static __m128i is(__m128i bytes, char a) noexcept { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(a)); }
  template <class Test>
  std::uint64_t join(Test test) const noexcept {
    const auto bits = [&](int i) {
      return std::uint64_t{static_cast<std::uint32_t>(_mm_movemask_epi8(test(part_[i])))};
    };
    return bits(0) | bits(1) << 16U | bits(2) << 32U | bits(3) << 48U;
  }
  __m128i part_[4];
};

#elif defined(__ARM_NEON)

class Block {
 public:
  explicit Block(const char* at) noexcept {
    for (int i = 0; i < 4; ++i) part_[i] = vld1q_u8(reinterpret_cast<const std::uint8_t*>(at) + 16 * i);
  }

  // Which bytes are `a`; which are one of `a`, `b`, `c`.
  [[nodiscard]] std::uint64_t equal(char a) const noexcept {
    return join([a](uint8x16_t bytes) { return is(bytes, a); });
  }
  [[nodiscard]] std::uint64_t any_of(char a, char b, char c) const noexcept {
    return join([=](uint8x16_t bytes) { return vorrq_u8(vorrq_u8(is(bytes, a), is(bytes, b)), is(bytes, c)); });
  }
  [[nodiscard]] bool has_zero() const noexcept {
    return vminvq_u8(vminq_u8(vminq_u8(part_[0], part_[1]), vminq_u8(part_[2], part_[3]))) == 0;
  }

 private:
  static uint8x16_t is(uint8x16_t bytes, char a) noexcept {
    return vceqq_u8(bytes, vdupq_n_u8(static_cast<std::uint8_t>(a)));
  }
  // NEON has no movemask: keep one distinct bit per byte, then add neighbours until eight bytes are one.
  template <class Test>
  std::uint64_t join(Test test) const noexcept {
    const uint8x16_t weight = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t low = vpaddq_u8(vandq_u8(test(part_[0]), weight), vandq_u8(test(part_[1]), weight));
    const uint8x16_t high = vpaddq_u8(vandq_u8(test(part_[2]), weight), vandq_u8(test(part_[3]), weight));
    const uint8x16_t pairs = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(pairs, pairs)), 0);
  }
  uint8x16_t part_[4];
};

#else

class Block {
 public:
  explicit Block(const char* at) noexcept { std::memcpy(word_, at, sizeof(word_)); }

  // Which bytes are `a`; which are one of `a`, `b`, `c`.
  [[nodiscard]] std::uint64_t equal(char a) const noexcept {
    std::uint64_t bits = 0;
    for (unsigned i = 0; i < 8; ++i) bits |= high_bits(zero_bytes(word_[i] ^ splat(a))) << (8 * i);
    return bits;
  }
  [[nodiscard]] std::uint64_t any_of(char a, char b, char c) const noexcept { return equal(a) | equal(b) | equal(c); }
  [[nodiscard]] bool has_zero() const noexcept { return equal(0) != 0; }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101U;
  static constexpr std::uint64_t kLow7 = 0x7F7F7F7F7F7F7F7FU;
  static std::uint64_t splat(char a) noexcept { return kOnes * static_cast<unsigned char>(a); }
  // 0x80 in each byte that is zero, exactly (no carry leaves a byte).
  static std::uint64_t zero_bytes(std::uint64_t x) noexcept { return ~(((x & kLow7) + kLow7) | x | kLow7); }
  static std::uint64_t high_bits(std::uint64_t x) noexcept { return ((x >> 7U) * 0x0102040810204080U) >> 56U; }
  std::uint64_t word_[8];
};

#endif

// Bit i of the result is the exclusive or of bits 0..i: with one bit per quote, the bytes inside quotes.
[[nodiscard]] inline std::uint64_t prefix_xor(std::uint64_t bits) noexcept {
  bits ^= bits << 1U;
  bits ^= bits << 2U;
  bits ^= bits << 4U;
  bits ^= bits << 8U;
  bits ^= bits << 16U;
  bits ^= bits << 32U;
  return bits;
}

// std::popcount, which is a library call where the compiler may not use the instruction.
[[nodiscard]] inline unsigned count_bits(std::uint64_t bits) noexcept {
#if defined(__x86_64__) && !defined(__POPCNT__)
  bits -= bits >> 1U & 0x5555555555555555U;
  bits = (bits & 0x3333333333333333U) + (bits >> 2U & 0x3333333333333333U);
  bits = (bits + (bits >> 4U)) & 0x0F0F0F0F0F0F0F0FU;
  return static_cast<unsigned>(bits * 0x0101010101010101U >> 56U);
#else
  return static_cast<unsigned>(std::popcount(bits));
#endif
}

// The `count` least significant bits.
[[nodiscard]] inline std::uint64_t low_bits(std::size_t count) noexcept {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

}  // namespace KV_BLOCK_NAMESPACE

}  // namespace kv::csv
