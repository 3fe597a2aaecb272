// Reading one value from the text of a field. Blanks around numbers, dates and booleans are ignored; around text not.
//
// All functions return false, and leave `out` alone, if the whole text is not such a value.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "kv_storage/bytes.hpp"

namespace kv::csv {

// The missing value of dates and datetimes.
inline constexpr std::int64_t kMissingTime = INT64_MIN;
inline constexpr std::int64_t kMicrosPerDay = 86'400'000'000;

[[nodiscard]] ByteView trim(ByteView text) noexcept;  // without blanks and tabs at both ends

// 1 to 8 digits at once: `size` bytes at the end of a word filled up with '0' in front, checked and added up in pairs.
// Reads 8 bytes.
[[nodiscard]] inline bool parse_up_to_8_digits(const char* data, std::size_t size, std::uint64_t& out) noexcept {
  constexpr std::uint64_t kZeros = 0x3030303030303030U;
  std::uint64_t word = 0;
  std::memcpy(&word, data, sizeof(word));
  if (size < 8) {
    const auto bits = static_cast<unsigned>(8 * (8 - size));
    word = word << bits | kZeros >> (64 - bits);
  }
  const std::uint64_t above = word + 0x0606060606060606U;  // carries into the high half of a byte above '9'
  if (((word | above) & 0xF0F0F0F0F0F0F0F0U) != kZeros || (word & 0xF0F0F0F0F0F0F0F0U) != kZeros) return false;
  word = (word & 0x0F0F0F0F0F0F0F0FU) * 2561U >> 8U;
  word = (word & 0x00FF00FF00FF00FFU) * 6553601U >> 16U;
  out = (word & 0x0000FFFF0000FFFFU) * 42949672960001U >> 32U;
  return true;
}

// One to seven digits, a point, one to eight digits: what most files write. Exact: both the digits as an integer and
// the power of ten are below 2^53, so their quotient is rounded once (W. D. Clinger, "How to read floating point
// numbers accurately", 1990). 8 bytes past the end of the text must be readable. False = another form, perhaps a
// number, too.
[[nodiscard]] inline bool parse_short_decimal(ByteView text, double& out) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kPowers[] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};
  std::uint64_t word = 0;
  std::memcpy(&word, text.data(), sizeof(word));
  const std::uint64_t differs = word ^ kOnes * '.';
  const std::uint64_t points = (differs - kOnes) & ~differs & kOnes << 7U;  // the first is one
  if (points == 0) return false;
  const auto whole_digits = static_cast<std::size_t>(__builtin_ctzll(points) / 8);
  const std::size_t digits = text.size() - whole_digits - 1;  // wraps around if the point lies behind the text
  if (whole_digits == 0 || digits - 1 >= 8) return false;
  std::uint64_t whole = 0;
  std::uint64_t fraction = 0;
  if (!parse_up_to_8_digits(text.data(), whole_digits, whole)) return false;
  if (!parse_up_to_8_digits(text.data() + whole_digits + 1, digits, fraction)) return false;
  out = static_cast<double>(whole * kPowers[digits] + fraction) / static_cast<double>(kPowers[digits]);
  return true;
}

// [+-]digits, within int64 / uint64. 8 bytes past the end of the text must be readable.
[[nodiscard]] bool parse_int(ByteView text, std::int64_t& out) noexcept;
[[nodiscard]] bool parse_uint(ByteView text, std::uint64_t& out) noexcept;
// Any integer of at most 64 bits and a sign.
[[nodiscard]] bool parse_magnitude(ByteView text, bool& negative, std::uint64_t& magnitude) noexcept;

// Decimal, with or without exponent; inf, infinity, nan in any case. Correctly rounded to the type asked for.
[[nodiscard]] bool parse_float(ByteView text, double& out) noexcept;
[[nodiscard]] bool parse_float(ByteView text, float& out) noexcept;

[[nodiscard]] bool parse_bool(ByteView text, bool& out) noexcept;  // true, false in any case

// YYYY-MM-DD, a date of the Gregorian calendar from year 1 on -> days since 1970-01-01.
[[nodiscard]] bool parse_date(ByteView text, std::int64_t& days) noexcept;

// A date, or YYYY-MM-DD[T ]HH:MM[:SS[.f]][Z] with 1 to 6 digits f -> microseconds since 1970-01-01T00:00.
[[nodiscard]] bool parse_datetime(ByteView text, std::int64_t& microseconds) noexcept;

// What the text of a field can be, for type inference. The kinds exclude each other: the first that fits, in this
// order.
enum Kind : std::uint8_t {
  kKindInt = 1,      // an integer that a float64 holds exactly
  kKindWideInt = 2,  // an int64 that it may not hold exactly
  kKindHugeInt = 4,  // an integer outside int64
  kKindFloat = 8,
  kKindDate = 16,
  kKindDatetime = 32,  // with a time of day
  kKindBool = 64,
  kKindText = 128,
};
[[nodiscard]] Kind classify(ByteView text) noexcept;  // 8 bytes past the end of the text must be readable
// Whether parse_float would accept it, for less.
[[nodiscard]] bool looks_like_float(ByteView text) noexcept;

// The texts that stand for a missing value. They are compared exactly.
class MissingTokens {
 public:
  explicit MissingTokens(std::span<const std::string> tokens);

  [[nodiscard]] bool contains(ByteView text) const noexcept {
    if (text.empty()) return empty_;
    return may_begin(text[0]) && text.size() <= longest_ && find(text);
  }
  // Whether a token begins with `first`.
  [[nodiscard]] bool may_begin(char first) const noexcept { return first_byte_[static_cast<unsigned char>(first)]; }

 private:
  [[nodiscard]] bool find(ByteView text) const noexcept;

  bool empty_ = false;
  bool first_byte_[256] = {};
  std::size_t longest_ = 0;
  std::vector<std::string> tokens_;
};

}  // namespace kv::csv
