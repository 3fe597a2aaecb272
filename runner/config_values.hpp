// The kinds of values in a configuration file, text to C++. Each throws BadValue saying what would be accepted.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "concat.hpp"
#include "kv_storage/nearest.hpp"

namespace runner {

class BadValue : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[nodiscard]] std::uint64_t parse_count(const std::string& text, std::uint64_t max);

// "0", "4096", "256MB" (10^6), "1GiB" (2^30), "10%" of `whole`.
[[nodiscard]] std::uint64_t parse_size(const std::string& text, std::uint64_t whole);

// "500ms", "10s", "2min", "1h".
[[nodiscard]] std::chrono::milliseconds parse_duration(const std::string& text);

// "a, b, c"; an empty text is an empty list, an empty item is an error.
[[nodiscard]] std::vector<std::string> parse_list(const std::string& text);

// One character, or one of the names that stand for characters an INI file cannot hold by themselves.
[[nodiscard]] char parse_character(const std::string& text,
                                   std::initializer_list<std::pair<std::string_view, char>> names);

template <class T>
[[nodiscard]] T parse_choice(const std::string& text, std::initializer_list<std::pair<std::string_view, T>> choices) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
    names.push_back(name);
  }
  throw BadValue(concat("'", text, "' is not accepted", kv::suggestion(text, names, "accepted")));
}

}  // namespace runner
