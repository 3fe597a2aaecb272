#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <string>

#include "csv/values.hpp"

using kv::ByteView;

namespace {

// The functions may read 8 bytes past the end: what is there must not matter.
class Padded {
 public:
  explicit Padded(std::string_view text) : bytes_(text), size_(text.size()) { bytes_ += "12345678"; }
  [[nodiscard]] ByteView view() const { return ByteView(bytes_).substr(0, size_); }

 private:
  std::string bytes_;
  std::size_t size_;
};

template <class T>
std::optional<T> parsed(bool (*parse)(ByteView, T&) noexcept, std::string_view text) {
  T value{};
  if (!parse(Padded(text).view(), value)) return std::nullopt;
  return value;
}

std::optional<std::int64_t> integer(std::string_view text) { return parsed<std::int64_t>(kv::csv::parse_int, text); }
std::optional<double> real(std::string_view text) { return parsed<double>(kv::csv::parse_float, text); }
std::optional<std::int64_t> date(std::string_view text) { return parsed<std::int64_t>(kv::csv::parse_date, text); }
std::optional<std::int64_t> datetime(std::string_view text) {
  return parsed<std::int64_t>(kv::csv::parse_datetime, text);
}
kv::csv::Kind kind(std::string_view text) { return kv::csv::classify(Padded(text).view()); }

}  // namespace

TEST_CASE("csv values: integers") {
  CHECK(integer("0") == 0);
  CHECK(integer("-0") == 0);
  CHECK(integer("+7") == 7);
  CHECK(integer("007") == 7);
  CHECK(integer(" 42\t") == 42);
  CHECK(integer("12345678") == 12345678);
  CHECK(integer("123456789") == 123456789);
  CHECK(integer("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(integer("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(integer("00000000000000000000000000005") == 5);
  for (const char* text : {"", " ", "-", "+", "+-1", "--1", "1.0", "1e3", "9223372036854775808", "-9223372036854775809",
                           "1 2", "0x1", "1_000", "12a", "a12", "123456789a", "\xB1", "1/", ":1"}) {
    CAPTURE(text);
    CHECK_FALSE(integer(text).has_value());
  }
  std::uint64_t large = 0;
  CHECK(kv::csv::parse_uint(Padded("18446744073709551615").view(), large));
  CHECK(large == std::numeric_limits<std::uint64_t>::max());
  CHECK_FALSE(kv::csv::parse_uint(Padded("18446744073709551616").view(), large));
  CHECK_FALSE(kv::csv::parse_uint(Padded("-1").view(), large));
}

TEST_CASE("csv values: an integer exactly where every byte is a digit") {
  for (std::size_t size = 1; size <= 12; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, '7');
        text[at] = static_cast<char>(byte);
        const bool digit = byte >= '0' && byte <= '9';
        const bool sign = (byte == '-' || byte == '+') && at == 0 && size > 1;
        const bool blank = (byte == ' ' || byte == '\t') && (at == 0 || at == size - 1) && size > 1;
        if (integer(text).has_value() != (digit || sign || blank)) FAIL_CHECK(text);
        if (digit && integer(text) != std::strtoll(text.c_str(), nullptr, 10)) FAIL_CHECK(text);
      }
    }
  }
}

TEST_CASE("csv values: floats are those of strtod") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    double value = 0;
    const std::uint64_t bits = random();
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    char text[64];
    (void)std::snprintf(text, sizeof(text), i % 2 == 0 ? "%.17g" : "%.6g", value);
    if (real(text) != std::strtod(text, nullptr)) FAIL_CHECK(text);
    if (!kv::csv::looks_like_float(text)) FAIL_CHECK(text);
  }
  CHECK(real("1.") == 1.0);
  CHECK(real(".5") == 0.5);
  CHECK(real("+1.5e3") == 1500.0);
  CHECK(real(" 2 ") == 2.0);
  CHECK(real("-Inf") == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(real("NaN").value_or(0)));
  CHECK(parsed<float>(kv::csv::parse_float, "0.1") == 0.1F);
}

TEST_CASE("csv values: short decimals are those of strtod, and nothing else is one") {
  std::mt19937 random(7);
  const std::string bytes = "0123456789012345678901234567890123456789..-+e x";
  const auto is_digits = [](std::string_view digits, std::size_t most) {
    return !digits.empty() && digits.size() <= most && digits.find_first_not_of("0123456789") == std::string_view::npos;
  };
  std::size_t parsed = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    if (i % 2 == 0) {
      text = std::to_string(random() % (i % 3 == 0 ? 10'000'000 : 1000)) + "." + std::to_string(random() % 100'000'000);
    } else {
      for (std::size_t left = random() % 18; left > 0; --left) text += bytes[random() % bytes.size()];
    }
    const std::size_t point = text.find('.');
    const bool wanted = point != std::string::npos && is_digits(std::string_view(text).substr(0, point), 7) &&
                        is_digits(std::string_view(text).substr(point + 1), 8);
    const std::size_t size = text.size();
    text += i % 4 == 0 ? ".1234567" : "12345678";
    double value = -1;
    CAPTURE(text);
    CHECK(kv::csv::parse_short_decimal(std::string_view(text).substr(0, size), value) == wanted);
    if (!wanted) continue;
    ++parsed;
    CHECK(value == std::strtod(text.substr(0, size).c_str(), nullptr));
  }
  CHECK(parsed > 50'000);
}

TEST_CASE("csv values: what is no float, in parser and grammar alike") {
  for (const char* text :
       {"", " ", ".", "-", "+-1", "1e", "1e+", "1,5", "1.2.3", "0x10", "e5", "1 2", "abc", "in", "1f", "--1"}) {
    CAPTURE(text);
    CHECK_FALSE(real(text).has_value());
    CHECK_FALSE(kv::csv::looks_like_float(text));
  }
}

TEST_CASE("csv values: every day of 1,200 years, and no other") {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  std::int64_t expected = -135'140;  // 1600-01-01
  for (int year = 1600; year < 2800; ++year) {
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    for (int month = 0; month <= 13; ++month) {
      const bool exists = month >= 1 && month <= 12;
      const int days = exists ? kDays[month - 1] + (leap && month == 2 ? 1 : 0) : 0;
      for (int day = 0; day <= 32; ++day) {
        char text[32];
        (void)std::snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
        const auto found = date(text);
        if (day >= 1 && day <= days) {
          if (found != expected) FAIL_CHECK(text);
          ++expected;
        } else if (found.has_value()) {
          FAIL_CHECK(text);
        }
      }
    }
  }
  CHECK(date("1970-01-01") == 0);
  CHECK(date(" 1970-01-02 ") == 1);
  CHECK(date("0001-01-01") == -719'162);
  for (const char* text : {"", "0000-01-01", "1970-1-1", "1970/01/01", "1970-01-01T00:00", "70-01-01", "1970-01-0a"}) {
    CAPTURE(text);
    CHECK_FALSE(date(text).has_value());
  }
}

TEST_CASE("csv values: datetimes") {
  constexpr std::int64_t kSecond = 1'000'000;
  CHECK(datetime("1970-01-01") == 0);
  CHECK(datetime("1970-01-01 00:01") == 60 * kSecond);
  CHECK(datetime("1970-01-01T01:00:01") == 3601 * kSecond);
  CHECK(datetime("1970-01-01T00:00:00.5") == kSecond / 2);
  CHECK(datetime("1970-01-01 00:00:00.000001Z") == 1);
  CHECK(datetime("1970-01-02T00:00Z") == kv::csv::kMicrosPerDay);
  CHECK(datetime("1969-12-31 23:59:59.999999") == -1);
  CHECK(datetime("2013-06-06 17:30:00") == 1'370'539'800 * kSecond);
  for (const char* text : {"", "1970-01-01T24:00", "1970-01-01T00:60", "1970-01-01T00:00:60", "1970-01-01T0:00",
                           "1970-01-01T00:00:00.", "1970-01-01T00:00:00.1234567", "1970-01-01T00:00+01:00",
                           "1970-01-01x00:00", "1970-01-01T00:00:0", "1970-02-30 00:00"}) {
    CAPTURE(text);
    CHECK_FALSE(datetime(text).has_value());
  }
}

TEST_CASE("csv values: kinds") {
  using namespace kv::csv;
  CHECK(kind("5") == kKindInt);
  CHECK(kind("-9007199254740992") == kKindInt);
  CHECK(kind("9007199254740993") == kKindWideInt);
  CHECK(kind("9223372036854775808") == kKindHugeInt);
  CHECK(kind("99999999999999999999999") == kKindHugeInt);
  CHECK(kind("5.0") == kKindFloat);
  CHECK(kind("inf") == kKindFloat);
  CHECK(kind("2013-06-06") == kKindDate);
  CHECK(kind("2013-06-06 10:00") == kKindDatetime);
  CHECK(kind("TRUE") == kKindBool);
  CHECK(kind(" false") == kKindBool);
  CHECK(kind("yes") == kKindText);
  CHECK(kind("") == kKindText);
}

TEST_CASE("csv values: missing tokens are compared exactly") {
  const std::vector<std::string> tokens = {"", "NA", "-999", "null"};
  const kv::csv::MissingTokens missing(tokens);
  for (const char* text : {"", "NA", "-999", "null"}) CHECK(missing.contains(text));
  for (const char* text : {" ", "na", "N", "NAN", "-99", "-9999", "nulls", " NA"}) CHECK_FALSE(missing.contains(text));
  CHECK_FALSE(kv::csv::MissingTokens({}).contains(""));
}
