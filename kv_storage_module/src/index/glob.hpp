// Glob patterns over keys, equal to Python's fnmatch.fnmatchcase on the text of pattern and key (docs/glob.md).
//
// Two views of one pattern:
//   - `matches` decides exactly, by character: a character is a UTF-8 sequence or, as Python's "surrogateescape" has
//   it, a
//     byte that belongs to none.
//   - an automaton by byte guides the descent in the key index: a set of states, one bit each, advanced by all states
//   at
//     once (bit-parallel simulation: Baeza-Yates and Gonnet, CACM 1992). For keys with bytes from 0x80 it accepts too
//     much (a wildcard then takes one byte or more), and so it does after its last state if the pattern is longer; such
//     keys are checked by `matches` when they are reached.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "index/node.hpp"
#include "kv_storage/bytes.hpp"

namespace kv {

class GlobPattern {
 public:
  // Every pattern is valid: what cannot be a set is taken literally.
  explicit GlobPattern(ByteView pattern);

  // What every matching key begins with: the pattern up to its first wildcard.
  [[nodiscard]] ByteView literal_prefix() const noexcept { return prefix_; }
  // Whether the pattern has no wildcard, so that only `literal_prefix()` matches.
  [[nodiscard]] bool is_literal() const noexcept { return literal_; }

  [[nodiscard]] bool matches(ByteView key) const noexcept {
    return matches(reinterpret_cast<const std::byte*>(key.data()), key.size());
  }
  // The same for bytes in shared memory, which may change meanwhile. No more than key times pattern length steps.
  [[nodiscard]] bool matches(const std::byte* key, std::size_t bytes) const noexcept;

  // The automaton, for the bytes after the literal prefix. Bit i: the next byte has to fit position i; stars are not
  // positions but let the one they precede wait.
  using States = std::uint64_t;
  [[nodiscard]] States start() const noexcept { return 1; }
  [[nodiscard]] States step(States states, std::uint8_t byte) const noexcept {
    return (states & advance_[byte]) << 1 | (states & wait_[byte >> 7]);
  }
  // Whether a key may end here.
  [[nodiscard]] bool accepts(States states) const noexcept { return (states & accept_) != 0; }
  // Whether a lone star remains, so that every continuation matches.
  [[nodiscard]] bool accepts_all(States states) const noexcept { return (states & accept_all_) != 0; }
  // Whether `accepts` is the truth for keys that have no byte from 0x80 after the literal prefix.
  [[nodiscard]] bool exact_for_ascii() const noexcept { return !truncated_; }
  // The states that can still come to an end if only bytes of `available` classes follow.
  [[nodiscard]] States viable(States states, ByteClasses available) const noexcept {
    while (states != 0 && (needed_[static_cast<unsigned>(std::countr_zero(states))] & ~available) != 0) {
      states &= states - 1;
    }
    return states;
  }

 private:
  using Character = char32_t;
  struct Range {
    Character first, last;
  };
  struct Element {
    enum class Kind : std::uint8_t { kLiteral, kAny, kSet, kStar } kind = Kind::kLiteral;
    bool negated = false;
    Character literal = 0;
    std::uint32_t first_range = 0, ranges = 0;
  };
  struct Decoded {
    Character character;
    std::uint32_t bytes;
  };

  [[nodiscard]] static Decoded decode(const std::byte* at, std::size_t bytes) noexcept;
  [[nodiscard]] bool fits(const Element& element, Character character) const noexcept;
  [[nodiscard]] bool may_fit_wide(const Element& element) const noexcept;
  void parse(const std::u32string& pattern);
  std::size_t parse_set(const std::u32string& pattern, std::size_t open);
  void add_set(const std::u32string& stuff);
  void build_automaton(std::size_t first_element);
  void add_position(unsigned position, const Element& element);

  static constexpr unsigned kPositions = 63;

  std::vector<Element> elements_;
  std::vector<Range> ranges_;
  std::string prefix_;
  bool literal_ = false;
  bool truncated_ = false;

  std::array<States, 256> advance_{};
  std::array<States, 2> wait_{};  // for bytes below 0x80, and others
  States accept_ = 0;
  States accept_all_ = 0;
  std::array<ByteClasses, kPositions + 1> needed_{};  // by the rest of the pattern; shrinks from state to state
};

// The pattern that matches exactly `text`.
[[nodiscard]] std::string escape_glob(ByteView text);

}  // namespace kv
