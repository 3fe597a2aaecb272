// fnmatch.fnmatchcase of CPython, written down a second time as plainly as possible: backtracking over characters.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace kv::test {

class GlobOracle {
 public:
  explicit GlobOracle(std::string_view pattern) : pattern_(decode(pattern)) {}

  [[nodiscard]] bool matches(std::string_view key) const { return match(0, decode(key), 0); }

 private:
  // UTF-8, a byte that belongs to no valid sequence standing for itself (Python's surrogateescape).
  static std::u32string decode(std::string_view text) {
    std::u32string characters;
    for (std::size_t at = 0; at < text.size();) {
      const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
      const std::size_t bytes = byte(0) < 0x80 ? 1 : byte(0) < 0xe0 ? 2 : byte(0) < 0xf0 ? 3 : 4;
      char32_t character = bytes == 1 ? byte(0) : byte(0) & (0x7fU >> bytes);
      bool valid = at + bytes <= text.size() && (byte(0) < 0x80 || byte(0) >= 0xc2);
      for (std::size_t i = 1; valid && i < bytes; ++i) {
        valid = (byte(i) & 0xc0U) == 0x80;
        character = character << 6 | (byte(i) & 0x3fU);
      }
      constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
      valid = valid && character >= kLeast[bytes] && character <= 0x10ffff;
      valid = valid && !(character >= 0xd800 && character <= 0xdfff);
      characters += valid ? character : 0xdc00 + byte(0);
      at += valid ? bytes : 1;
    }
    return characters;
  }

  // Where the set opened at `open` ends (the index of its "]"), or npos if it is no set.
  [[nodiscard]] std::size_t set_end(std::size_t open) const {
    std::size_t at = open + 1;
    if (at < pattern_.size() && pattern_[at] == U'!') ++at;
    if (at < pattern_.size() && pattern_[at] == U']') ++at;
    return pattern_.find(U']', at);
  }

  // The set's text cut at the hyphens that make ranges; a range leads from the end of one piece to the start of the
  // next.
  static std::vector<std::u32string> range_pieces(const std::u32string& set, bool negated) {
    std::vector<std::u32string> pieces;
    std::size_t from = 0;
    std::size_t search = negated ? 2 : 1;
    for (;;) {
      const std::size_t hyphen = set.find(U'-', search);
      if (hyphen == std::u32string::npos) break;
      pieces.push_back(set.substr(from, hyphen - from));
      from = hyphen + 1;
      search = hyphen + 3;
    }
    if (from < set.size()) {
      pieces.push_back(set.substr(from));
    } else if (!pieces.empty()) {
      pieces.back() += U'-';
    }
    for (std::size_t k = pieces.size(); k-- > 1;) {
      if (pieces[k - 1].back() <= pieces[k].front()) continue;
      pieces[k - 1].pop_back();
      pieces[k - 1] += pieces[k].substr(1);
      pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(k));
    }
    return pieces;
  }

  static bool in_set(const std::u32string& set, char32_t character) {
    bool negated = set.starts_with(U'!');
    std::vector<std::u32string> pieces = range_pieces(set, negated);
    // Removing an empty range can remove the "!" too or uncover one: what is in front afterwards decides.
    negated = !pieces.empty() && pieces.front().starts_with(U'!');
    if (negated) pieces.front().erase(0, 1);
    bool found = false;
    for (std::size_t k = 0; k < pieces.size(); ++k) {
      found = found || pieces[k].find(character) != std::u32string::npos;
      if (k + 1 == pieces.size()) continue;
      // Nothing is left before the hyphen but the "!": CPython's "[^-d]", where the hyphen stands for itself.
      found = found || (pieces[k].empty() && character == U'-');
      if (pieces[k].empty() || pieces[k + 1].empty()) continue;
      found = found || (pieces[k].back() <= character && character <= pieces[k + 1].front());
    }
    return found != negated;
  }

  [[nodiscard]] bool match(std::size_t at, const std::u32string& key, std::size_t from) const {
    if (at == pattern_.size()) return from == key.size();
    if (pattern_[at] == U'*') {
      for (std::size_t skip = from; skip <= key.size(); ++skip) {
        if (match(at + 1, key, skip)) return true;
      }
      return false;
    }
    if (from == key.size()) return false;
    if (pattern_[at] == U'?') return match(at + 1, key, from + 1);
    if (pattern_[at] == U'[') {
      const std::size_t end = set_end(at);
      if (end != std::u32string::npos) {
        return in_set(pattern_.substr(at + 1, end - at - 1), key[from]) && match(end + 1, key, from + 1);
      }
    }
    return pattern_[at] == key[from] && match(at + 1, key, from + 1);
  }

  std::u32string pattern_;
};

}  // namespace kv::test
