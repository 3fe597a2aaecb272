#include "csv/format.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "csv/source.hpp"

namespace kv::csv {
namespace {

constexpr std::size_t kMaxWidth = 1'000;
constexpr int kMaxPrecision = 100;
constexpr std::size_t kFloatBuffer = 512;  // the longest double has 309 digits before the point

bool is_align(char c) noexcept { return c == '<' || c == '>' || c == '^' || c == '='; }
bool is_continuation(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

std::size_t character_bytes(std::string_view text) noexcept {
  std::size_t size = 1;
  while (size < text.size() && is_continuation(text[size])) ++size;
  return size;
}

std::size_t count_characters(std::string_view text) noexcept {
  return text.size() - static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_continuation));
}

// Takes digits off the front of `text`; false if their number exceeds `limit`.
bool take_number(std::string_view& text, std::size_t limit, std::size_t& out) noexcept {
  out = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    out = out * 10 + static_cast<std::size_t>(text.front() - '0');
    if (out > limit) return false;
    text.remove_prefix(1);
  }
  return true;
}

void append_fill(std::string& out, const std::string& fill, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out += fill;
}

// `sign` stands apart so that zeros can go between it and the digits.
void append_padded(std::string& out, std::string_view sign, ByteView text, const FormatSpec& spec, char align) {
  const std::size_t characters = sign.size() + count_characters(text);
  const std::size_t pad = spec.width > characters ? spec.width - characters : 0;
  const std::size_t left = align == '<' ? 0 : align == '^' ? pad / 2 : pad;
  if (align == '=') out += sign;
  append_fill(out, spec.fill, left);
  if (align != '=') out += sign;
  out += text;
  append_fill(out, spec.fill, pad - left);
}

void append_number(std::string& out, bool negative, ByteView digits, const FormatSpec& spec) {
  append_padded(out, negative ? "-" : "", digits, spec, spec.align == 0 ? '>' : spec.align);
}

int base_of(char type) noexcept {
  switch (type) {
    case 'x':
    case 'X':
      return 16;
    case 'o':
      return 8;
    case 'b':
      return 2;
    default:
      return 10;
  }
}

void append_fixed_digits(std::string& out, unsigned value, std::size_t digits) {
  char text[8];
  for (std::size_t i = digits; i-- > 0; value /= 10) text[i] = static_cast<char>('0' + value % 10);
  out.append(text, digits);
}

struct CivilTime {
  explicit CivilTime(std::int64_t microseconds) {
    namespace chrono = std::chrono;
    const chrono::sys_time<chrono::microseconds> time{chrono::microseconds(microseconds)};
    const auto days = chrono::floor<chrono::days>(time);
    const chrono::hh_mm_ss clock(time - days);
    date = chrono::year_month_day(days);
    hour = static_cast<unsigned>(clock.hours().count());
    minute = static_cast<unsigned>(clock.minutes().count());
    second = static_cast<unsigned>(clock.seconds().count());
    fraction = static_cast<unsigned>(clock.subseconds().count());
  }
  std::chrono::year_month_day date{};
  unsigned hour = 0, minute = 0, second = 0, fraction = 0;
};

void append_time_field(std::string& out, const CivilTime& time, char code) {
  switch (code) {
    case 'Y':
      return append_fixed_digits(out, static_cast<unsigned>(static_cast<int>(time.date.year())), 4);
    case 'm':
      return append_fixed_digits(out, static_cast<unsigned>(time.date.month()), 2);
    case 'd':
      return append_fixed_digits(out, static_cast<unsigned>(time.date.day()), 2);
    case 'H':
      return append_fixed_digits(out, time.hour, 2);
    case 'M':
      return append_fixed_digits(out, time.minute, 2);
    case 'S':
      return append_fixed_digits(out, time.second, 2);
    default:
      out += code;  // %%
  }
}

}  // namespace

std::optional<std::string> parse_spec(std::string_view text, FormatSpec& spec) {
  spec = {};
  if (const std::size_t fill = text.empty() ? 0 : character_bytes(text); fill < text.size() && is_align(text[fill])) {
    spec.fill = text.substr(0, fill);
    spec.align = text[fill];
    text.remove_prefix(fill + 1);
  } else if (!text.empty() && is_align(text.front())) {
    spec.align = text.front();
    text.remove_prefix(1);
  }
  if (text.starts_with('0')) {
    // Python: zeros go behind the sign, unless an alignment says otherwise.
    if (spec.align == 0) {
      spec.fill = '0';
      spec.align = '=';
    } else if (spec.fill == " ") {
      spec.fill = '0';
    }
    text.remove_prefix(1);
  }
  if (!take_number(text, kMaxWidth, spec.width)) return "the width is over 1,000";
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    std::size_t precision = 0;
    if (text.empty() || text.front() < '0' || text.front() > '9') return "digits must follow the point";
    if (!take_number(text, kMaxPrecision, precision)) return "the precision is over 100";
    spec.precision = static_cast<int>(precision);
  }
  if (!text.empty() && std::string_view("dxXbofs").find(text.front()) != std::string_view::npos) {
    spec.type = text.front();
    text.remove_prefix(1);
  }
  if (!text.empty()) {
    return "'" + std::string(text) +
           "' is not understood; accepted is [[fill]align][0][width][.precision][d x X b o f s]";
  }
  if (spec.precision && spec.type != 'f') return "a precision needs the type f, as in .2f";
  return std::nullopt;
}

void append_text(std::string& out, ByteView text, const FormatSpec& spec) {
  // Zeros in front of text have no sign to go behind.
  append_padded(out, "", text, spec, spec.align == 0 || spec.align == '=' ? '<' : spec.align);
}

void append_integer(std::string& out, bool negative, std::uint64_t magnitude) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof(text), magnitude).ptr;
  if (negative && magnitude != 0) out += '-';
  out.append(text, end);
}

void append_integer(std::string& out, bool negative, std::uint64_t magnitude, const FormatSpec& spec) {
  char text[64];
  char* const end = std::to_chars(text, text + sizeof(text), magnitude, base_of(spec.type)).ptr;
  if (spec.type == 'X') {
    std::transform(text, end, text, [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
  }
  append_number(out, negative && magnitude != 0, {text, static_cast<std::size_t>(end - text)}, spec);
}

void append_float(std::string& out, double value, const FormatSpec& spec) {
  constexpr int kDefaultPrecision = 6;
  std::array<char, kFloatBuffer> buffer{};
  char* const begin = buffer.data();
  const char* const end = std::to_chars(begin, begin + buffer.size(), value, std::chars_format::fixed,
                                        spec.precision.value_or(kDefaultPrecision))
                              .ptr;
  ByteView text(begin, static_cast<std::size_t>(end - begin));
  if (value != value) text = "nan";  // never "-nan"
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  append_number(out, negative, text, spec);
}

void append_number_text(std::string& out, ByteView text, const FormatSpec& spec) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  append_number(out, negative, text, spec);
}

void append_time(std::string& out, std::int64_t microseconds, std::string_view format) {
  const CivilTime time(microseconds);
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '%') {
      append_time_field(out, time, format[++i]);
    } else {
      out += format[i];
    }
  }
}

void append_iso_datetime(std::string& out, std::int64_t microseconds) {
  append_time(out, microseconds, "%Y-%m-%dT%H:%M:%S");
  const unsigned fraction = CivilTime(microseconds).fraction;
  if (fraction == 0) return;
  out += '.';
  append_fixed_digits(out, fraction, 6);
}

std::optional<std::string> check_time_format(std::string_view format) {
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    if (++i == format.size() || std::string_view("YmdHMS%").find(format[i]) == std::string_view::npos) {
      return quoted(format.substr(i - 1, 2)) + " is not understood; accepted are %Y %m %d %H %M %S %%";
    }
  }
  return std::nullopt;
}

}  // namespace kv::csv
