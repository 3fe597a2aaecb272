#include "index/glob.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "support/key_sets.hpp"

namespace kv::test {
namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  if (hex == "-") return bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

struct Case {
  std::string pattern, key;
  bool matches;
};

// What CPython says, see support/make_glob_cases.py.
const std::vector<Case>& cpython_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> read;
    std::ifstream file(KV_TEST_SUPPORT_DIR "/glob_cases.txt");
    std::string pattern, key;
    int matches;
    while (file >> pattern >> key >> matches) read.push_back({from_hex(pattern), from_hex(key), matches != 0});
    return read;
  }();
  return cases;
}

// What the descent does along one path: no subtree may be skipped that holds a match.
bool automaton_accepts(const GlobPattern& glob, ByteView key, bool& ascii) {
  ascii = true;
  if (!key.starts_with(glob.literal_prefix())) return false;
  GlobPattern::States states = glob.start();
  for (std::size_t i = glob.literal_prefix().size(); i < key.size(); ++i) {
    states = glob.viable(states, classes_of(key.substr(i)));
    if (glob.accepts_all(states)) return true;
    const auto byte = static_cast<std::uint8_t>(key[i]);
    ascii = ascii && byte < 0x80;
    states = glob.step(states, byte);
  }
  return glob.accepts(states);
}

}  // namespace

TEST_CASE("glob: equals fnmatch.fnmatchcase") {
  CHECK(cpython_cases().size() >= 6000);
  for (const Case& one : cpython_cases()) {
    CAPTURE(one.pattern);
    CAPTURE(one.key);
    CHECK(GlobPattern(one.pattern).matches(one.key) == one.matches);
  }
}

TEST_CASE("glob: the automaton skips no match, and is exact for ASCII keys and short patterns") {
  for (const Case& one : cpython_cases()) {
    CAPTURE(one.pattern);
    CAPTURE(one.key);
    const GlobPattern glob(one.pattern);
    bool ascii;
    const bool accepted = automaton_accepts(glob, one.key, ascii);
    if (one.matches) CHECK(accepted);
    if (ascii && glob.exact_for_ascii()) CHECK(accepted == one.matches);
  }
}

TEST_CASE("glob: the automaton agrees with the exact match on random keys") {
  Random random(11);
  for (int i = 0; i < 20'000; ++i) {
    const std::string pattern = random_string(random, below(random, 12), "aab*?[]-!");
    const std::string key = random_string(random, below(random, 12), "aab-");
    const GlobPattern glob(pattern);
    bool ascii;
    CAPTURE(pattern);
    CAPTURE(key);
    REQUIRE(automaton_accepts(glob, key, ascii) == glob.matches(key));
  }
}

TEST_CASE("glob: literal prefix and literal patterns") {
  CHECK(GlobPattern("hash-*-06").literal_prefix() == "hash-");
  CHECK(GlobPattern("h[a]sh").literal_prefix() == "h");
  CHECK(GlobPattern("h[ash").literal_prefix() == "h[ash");
  CHECK(GlobPattern("*").literal_prefix().empty());
  CHECK(GlobPattern("é?").literal_prefix() == "é");
  CHECK(GlobPattern("\xff\xc3*").literal_prefix() == "\xff\xc3");
  CHECK(GlobPattern("").is_literal());
  CHECK(GlobPattern("plain").is_literal());
  CHECK_FALSE(GlobPattern("plain*").is_literal());
}

TEST_CASE("glob: an escaped text matches itself alone") {
  for (const Case& one : cpython_cases()) {
    const GlobPattern glob(escape_glob(one.pattern));
    CAPTURE(one.pattern);
    CHECK(glob.matches(one.pattern));
    CHECK(glob.matches(one.key) == (one.key == one.pattern));
  }
}

TEST_CASE("glob: many stars on a long key need no exponential search") {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*a";
  CHECK_FALSE(GlobPattern(pattern + "b").matches(std::string(kMaxKeyBytes, 'a')));
  CHECK(GlobPattern(pattern + "*b").matches(std::string(kMaxKeyBytes - 1, 'a') + "b"));
}

}  // namespace kv::test
