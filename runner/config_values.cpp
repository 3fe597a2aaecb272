#include "config_values.hpp"

#include <charconv>

#include "kv_storage/size.hpp"

namespace runner {
namespace {

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

BadValue bad_size(const std::string& text) {
  return BadValue(
      concat("'", text, "' is not a size; accepted: bytes such as 0 or 4096, 256MB (10^6), 1GiB (2^30), 10%"));
}

}  // namespace

std::uint64_t parse_count(const std::string& text, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) {
    throw BadValue(concat("'", text, "' is not a whole number from 0 to ", std::to_string(max)));
  }
  return value;
}

std::uint64_t parse_size(const std::string& text, std::uint64_t whole) {
  if (const auto bytes = kv::parse_bytes(text)) return *bytes;
  std::uint64_t percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || trimmed({end, static_cast<std::size_t>(text.data() + text.size() - end)}) != "%") {
    throw bad_size(text);
  }
  if (percent == 0 || percent > 100) throw BadValue(concat("'", text, "' is not a share from 1% to 100%"));
  return whole / 100 * percent;
}

std::chrono::milliseconds parse_duration(const std::string& text) {
  constexpr std::pair<std::string_view, std::uint64_t> kDurations[] = {
      {"ms", 1}, {"s", 1'000}, {"min", 60'000}, {"h", 3'600'000}};
  constexpr std::uint64_t kLongest = 366ULL * 24 * 3'600'000;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit = trimmed({end, static_cast<std::size_t>(text.data() + text.size() - end)});
  for (const auto& [name, milliseconds] : kDurations) {
    if (error == std::errc() && unit == name && value <= kLongest / milliseconds) {
      return std::chrono::milliseconds(value * milliseconds);
    }
  }
  throw BadValue(concat("'", text, "' is not a duration; accepted: 500ms, 10s, 2min, 1h"));
}

std::vector<std::string> parse_list(const std::string& text) {
  std::vector<std::string> items;
  if (trimmed(text).empty()) return items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    items.push_back(trimmed(std::string_view(text).substr(begin, end - begin)));
    if (items.back().empty()) throw BadValue(concat("an empty item in the list '", text, "'"));
    begin = end + 1;
  }
  return items;
}

char parse_character(const std::string& text, std::initializer_list<std::pair<std::string_view, char>> names) {
  std::string known;
  for (const auto& [name, value] : names) {
    if (text == name) return value;
    known.append(", ").append(name);
  }
  if (text.size() == 1) return text[0];
  throw BadValue(concat("'", text, "' is not a character; accepted: any one character of ASCII", known));
}

}  // namespace runner
