// Compares glob matching, and the automaton that guides it through the index, with a plain backtracking matcher.
// Input: the pattern, a zero byte, the key.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "fuzz/glob_oracle.hpp"
#include "index/glob.hpp"

namespace {

// Backtracking takes exponential time in the number of stars; these sizes keep it short.
constexpr std::size_t kMostPatternBytes = 24;
constexpr std::size_t kMostKeyBytes = 24;

// Whether a descent along the key's bytes would reach the key.
bool automaton_reaches(const kv::GlobPattern& glob, std::string_view key) {
  if (!key.starts_with(glob.literal_prefix())) return false;
  kv::GlobPattern::States states = glob.start();
  for (const char byte : key.substr(glob.literal_prefix().size())) {
    if (glob.accepts_all(states)) return true;
    states = glob.step(states, static_cast<std::uint8_t>(byte));
  }
  return glob.accepts(states);
}

void fail(const char* what) {
  std::fprintf(stderr, "glob: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  if (zero == std::string_view::npos || zero > kMostPatternBytes || size - zero > kMostKeyBytes) return 0;
  const std::string_view pattern = input.substr(0, zero);
  const std::string_view key = input.substr(zero + 1);

  const kv::GlobPattern glob(pattern);
  const bool expected = kv::test::GlobOracle(pattern).matches(key);
  if (glob.matches(key) != expected) fail(expected ? "does not match, but should" : "matches, but should not");
  if (expected && !automaton_reaches(glob, key)) fail("the automaton skips a key that matches");
  if (!kv::GlobPattern(kv::escape_glob(key)).matches(key)) fail("the escaped key does not match itself");
  return 0;
}
