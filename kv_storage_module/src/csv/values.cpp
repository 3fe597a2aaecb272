#include "csv/values.hpp"

#include <fast_float/fast_float.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

namespace kv::csv {
namespace {

constexpr std::int64_t kExactInFloat = std::int64_t{1} << 53U;
constexpr std::int64_t kMicrosPerSecond = 1'000'000;

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool equal_ignoring_case(ByteView text, ByteView wanted) noexcept {
  return text.size() == wanted.size() &&
         std::equal(text.begin(), text.end(), wanted.begin(), [](char a, char b) { return lower(a) == b; });
}

enum class Digits { kNone, kFits, kTooLarge };

// The value of `text`, all digits.
Digits parse_digits(ByteView text, std::uint64_t& out) noexcept {
  if (text.empty()) return Digits::kNone;
  if (text.size() <= 8) return parse_up_to_8_digits(text.data(), text.size(), out) ? Digits::kFits : Digits::kNone;
  if (text.size() <= 16) {
    constexpr std::uint64_t kEightDigits = 100'000'000;
    const std::size_t front = text.size() - 8;
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    if (!parse_up_to_8_digits(text.data(), front, high)) return Digits::kNone;
    if (!parse_up_to_8_digits(text.data() + front, 8, low)) return Digits::kNone;
    out = high * kEightDigits + low;
    return Digits::kFits;
  }
  if (!std::all_of(text.begin(), text.end(), is_digit)) return Digits::kNone;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (__builtin_mul_overflow(value, std::uint64_t{10}, &value) ||
        __builtin_add_overflow(value, static_cast<std::uint64_t>(c - '0'), &value)) {
      return Digits::kTooLarge;
    }
  }
  out = value;
  return Digits::kFits;
}

struct SignedDigits {
  Digits digits;
  bool negative;
  std::uint64_t magnitude;
};

SignedDigits parse_signed(ByteView text) noexcept {
  SignedDigits result{Digits::kNone, false, 0};
  if (text.empty()) return result;
  if (is_blank(text.front()) || is_blank(text.back())) text = trim(text);
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    result.negative = text.front() == '-';
    text.remove_prefix(1);
  }
  result.digits = parse_digits(text, result.magnitude);
  return result;
}

bool to_int64(const SignedDigits& number, std::int64_t& out) noexcept {
  const std::uint64_t limit = std::uint64_t{1} << 63U;
  if (number.digits != Digits::kFits) return false;
  if (number.negative ? number.magnitude > limit : number.magnitude >= limit) return false;
  out = static_cast<std::int64_t>(number.negative ? 0 - number.magnitude : number.magnitude);
  return true;
}

template <class T>
bool parse_real(ByteView text, T& out) noexcept {
  if (text.empty()) return false;
  if (is_blank(text.front()) || is_blank(text.back())) text = trim(text);
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  T value = 0;
  const auto [end, error] = fast_float::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return false;
  out = value;
  return true;
}

// Two digits at `at`; -1 if they are not.
int two_digits(const char* at) noexcept {
  return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10 + (at[1] - '0') : -1;
}

bool date_at(const char* at, std::int64_t& days) noexcept {
  namespace chrono = std::chrono;
  const int century = two_digits(at);
  const int years = two_digits(at + 2);
  const int month = two_digits(at + 5);
  const int day = two_digits(at + 8);
  if (century < 0 || years < 0 || month < 0 || day < 0 || at[4] != '-' || at[7] != '-') return false;
  const chrono::year_month_day date{chrono::year(century * 100 + years), chrono::month(static_cast<unsigned>(month)),
                                    chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || date.year() < chrono::year(1)) return false;
  days = chrono::sys_days(date).time_since_epoch().count();
  return true;
}

// HH:MM[:SS[.f]][Z] -> microseconds since midnight.
bool time_of_day(ByteView text, std::int64_t& microseconds) noexcept {
  if (text.ends_with('Z')) text.remove_suffix(1);
  if (text.size() < 5 || text[2] != ':') return false;
  const int hours = two_digits(text.data());
  const int minutes = two_digits(text.data() + 3);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return false;
  std::int64_t seconds = hours * 3600 + minutes * 60;
  std::int64_t fraction = 0;
  if (text.size() > 5) {
    if (text.size() < 8 || text[5] != ':') return false;
    const int second = two_digits(text.data() + 6);
    if (second < 0 || second > 59) return false;
    seconds += second;
  }
  if (text.size() > 8) {
    if (text.size() < 10 || text.size() > 15 || text[8] != '.') return false;
    std::int64_t unit = kMicrosPerSecond;
    for (const char c : text.substr(9)) {
      if (!is_digit(c)) return false;
      unit /= 10;
      fraction += (c - '0') * unit;
    }
  }
  microseconds = seconds * kMicrosPerSecond + fraction;
  return true;
}

Kind kind_of_integer(const SignedDigits& number) noexcept {
  std::int64_t value = 0;
  if (!to_int64(number, value)) return kKindHugeInt;
  return value >= -kExactInFloat && value <= kExactInFloat ? kKindInt : kKindWideInt;
}

}  // namespace

ByteView trim(ByteView text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool parse_int(ByteView text, std::int64_t& out) noexcept {
  std::uint64_t magnitude = 0;
  if (text.size() - 1 < 8 && parse_up_to_8_digits(text.data(), text.size(), magnitude)) {
    out = static_cast<std::int64_t>(magnitude);
    return true;
  }
  return to_int64(parse_signed(text), out);
}

bool parse_uint(ByteView text, std::uint64_t& out) noexcept {
  const SignedDigits number = parse_signed(text);
  if (number.digits != Digits::kFits || (number.negative && number.magnitude != 0)) return false;
  out = number.magnitude;
  return true;
}

bool parse_magnitude(ByteView text, bool& negative, std::uint64_t& magnitude) noexcept {
  if (text.size() - 1 < 8 && parse_up_to_8_digits(text.data(), text.size(), magnitude)) {
    negative = false;
    return true;
  }
  const SignedDigits number = parse_signed(text);
  if (number.digits != Digits::kFits) return false;
  negative = number.negative;
  magnitude = number.magnitude;
  return true;
}

bool parse_float(ByteView text, double& out) noexcept { return parse_real(text, out); }
bool parse_float(ByteView text, float& out) noexcept { return parse_real(text, out); }

bool parse_bool(ByteView text, bool& out) noexcept {
  text = trim(text);
  if (equal_ignoring_case(text, "true")) {
    out = true;
  } else if (equal_ignoring_case(text, "false")) {
    out = false;
  } else {
    return false;
  }
  return true;
}

bool parse_date(ByteView text, std::int64_t& days) noexcept {
  text = trim(text);
  return text.size() == 10 && date_at(text.data(), days);
}

bool parse_datetime(ByteView text, std::int64_t& microseconds) noexcept {
  text = trim(text);
  std::int64_t days = 0;
  std::int64_t since_midnight = 0;
  if (text.size() < 10 || !date_at(text.data(), days)) return false;
  if (text.size() > 10) {
    if (text[10] != 'T' && text[10] != ' ') return false;
    if (!time_of_day(text.substr(11), since_midnight)) return false;
  }
  microseconds = days * kMicrosPerDay + since_midnight;
  return true;
}

Kind classify(ByteView text) noexcept {
  const SignedDigits number = parse_signed(text);
  if (number.digits != Digits::kNone) return kind_of_integer(number);
  if (looks_like_float(text)) return kKindFloat;
  std::int64_t time = 0;
  if (parse_date(text, time)) return kKindDate;
  if (parse_datetime(text, time)) return kKindDatetime;
  bool truth = false;
  return parse_bool(text, truth) ? kKindBool : kKindText;
}

bool looks_like_float(ByteView text) noexcept {
  text = trim(text);
  const char* p = text.data();
  const char* const end = p + text.size();
  if (p != end && (*p == '+' || *p == '-')) ++p;
  const char* const number = p;
  while (p != end && is_digit(*p)) ++p;
  auto digits = p - number;
  if (p != end && *p == '.') {
    const char* const fraction = ++p;
    while (p != end && is_digit(*p)) ++p;
    digits += p - fraction;
  }
  if (digits == 0) {
    const ByteView word(number, static_cast<std::size_t>(end - number));
    return equal_ignoring_case(word, "inf") || equal_ignoring_case(word, "infinity") ||
           equal_ignoring_case(word, "nan");
  }
  if (p == end) return true;
  if (*p != 'e' && *p != 'E') return false;
  if (++p != end && (*p == '+' || *p == '-')) ++p;
  return p != end && std::all_of(p, end, is_digit);
}

MissingTokens::MissingTokens(std::span<const std::string> tokens) {
  for (const std::string& token : tokens) {
    if (token.empty()) {
      empty_ = true;
      continue;
    }
    first_byte_[static_cast<unsigned char>(token[0])] = true;
    longest_ = std::max(longest_, token.size());
    tokens_.push_back(token);
  }
}

bool MissingTokens::find(ByteView text) const noexcept {
  return std::any_of(tokens_.begin(), tokens_.end(), [&](const std::string& token) { return text == token; });
}

}  // namespace kv::csv
