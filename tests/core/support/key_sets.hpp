// Kinds of keys that make different trees: dense, long common prefixes, prefixes of each other, wide fan-out.
#pragma once

#include <array>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace kv::test {

using Random = std::mt19937;

[[nodiscard]] inline unsigned below(Random& random, unsigned limit) { return static_cast<unsigned>(random() % limit); }

struct KeySet {
  const char* name;
  std::function<std::string(std::mt19937&)> draw;
};

inline std::string random_string(Random& random, std::size_t bytes, const std::string& alphabet) {
  std::string text(bytes, '\0');
  for (char& byte : text) byte = alphabet[random() % alphabet.size()];
  return text;
}

inline std::string random_bytes(Random& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  for (char& byte : text) byte = static_cast<char>(below(random, 256));
  return text;
}

inline std::string dated_key(unsigned day, unsigned month, unsigned year, unsigned number) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "hash-%02u-%02u-%04u-%07u", day, month, year, number);
  return text.data();
}

inline const std::vector<KeySet>& key_sets() {
  static const std::vector<KeySet> sets = {
      {"dense integers",
       [](Random& random) {
         const unsigned n = below(random, 5000);
         return std::string{static_cast<char>(n >> 8), static_cast<char>(n)};
       }},
      {"dated keys",
       [](Random& random) { return dated_key(below(random, 3) + 1, below(random, 3) + 1, 2018, below(random, 3000)); }},
      {"long common prefixes",
       [](Random& random) {
         return std::string(below(random, 3) * 700, 'p') + random_string(random, below(random, 6), "pq") +
                std::string(below(random, 2) * 100, 'r') + random_string(random, below(random, 3), "rst");
       }},
      {"prefixes of each other", [](Random& random) { return std::string(below(random, 300), 'a'); }},
      {"few letters, NUL among them",
       [](Random& random) { return random_string(random, below(random, 10), std::string("\0a\xff", 3)); }},
      {"letters and digits",
       [](Random& random) {
         return random_string(random, 2, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
       }},
      {"short random bytes", [](Random& random) { return random_bytes(random, below(random, 4)); }},
      {"long random bytes", [](Random& random) { return random_bytes(random, below(random, 40)); }},
      {"64 KiB keys",
       [](Random& random) { return std::string(65'533, 'x') + random_string(random, below(random, 3), "xyz"); }},
  };
  return sets;
}

}  // namespace kv::test
