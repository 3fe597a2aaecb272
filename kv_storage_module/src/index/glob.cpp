#include "index/glob.hpp"

#include <algorithm>
#include <string_view>

namespace kv {
namespace {

constexpr std::u32string_view::size_type kNotFound = std::u32string_view::npos;

constexpr bool is_continuation(std::uint8_t byte) noexcept { return (byte & 0xc0) == 0x80; }

// What Python's "surrogateescape" makes of a byte that is not part of valid UTF-8.
constexpr char32_t kEscapeBase = 0xdc00;
constexpr bool is_escaped_byte(char32_t character) noexcept {
  return character >= kEscapeBase + 0x80 && character <= kEscapeBase + 0xff;
}

std::string encode(char32_t character) {
  std::string bytes;
  const auto add = [&](char32_t byte) { bytes += static_cast<char>(byte); };
  if (character < 0x80) {
    add(character);
  } else if (is_escaped_byte(character)) {
    add(character - kEscapeBase);
  } else if (character < 0x800) {
    add(0xc0 | character >> 6), add(0x80 | (character & 0x3f));
  } else if (character < 0x10000) {
    add(0xe0 | character >> 12), add(0x80 | (character >> 6 & 0x3f)), add(0x80 | (character & 0x3f));
  } else {
    add(0xf0 | character >> 18), add(0x80 | (character >> 12 & 0x3f)), add(0x80 | (character >> 6 & 0x3f));
    add(0x80 | (character & 0x3f));
  }
  return bytes;
}

}  // namespace

GlobPattern::Decoded GlobPattern::decode(const std::byte* at, std::size_t bytes) noexcept {
  const std::uint8_t first = load8(at);
  if (first < 0x80) return {first, 1};
  const std::uint32_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const Decoded escaped{kEscapeBase + first, 1};
  if (first < 0xc2 || first > 0xf4 || length > bytes) return escaped;
  Character character = first & (0x7fU >> length);
  for (std::uint32_t i = 1; i < length; ++i) {
    const std::uint8_t byte = load8(at + i);
    if (!is_continuation(byte)) return escaped;
    character = character << 6 | (byte & 0x3fU);
  }
  const bool overlong = (length == 3 && character < 0x800) || (length == 4 && character < 0x10000);
  const bool surrogate = character >= 0xd800 && character <= 0xdfff;
  if (overlong || surrogate || character > 0x10ffff) return escaped;
  return {character, length};
}

GlobPattern::GlobPattern(ByteView pattern) {
  std::u32string text;
  for (std::size_t i = 0; i < pattern.size();) {
    const Decoded decoded = decode(reinterpret_cast<const std::byte*>(pattern.data()) + i, pattern.size() - i);
    text += decoded.character;
    i += decoded.bytes;
  }
  parse(text);
  std::size_t first = 0;
  for (; first < elements_.size() && elements_[first].kind == Element::Kind::kLiteral; ++first) {
    prefix_ += encode(elements_[first].literal);
  }
  literal_ = first == elements_.size();
  build_automaton(first);
}

void GlobPattern::parse(const std::u32string& pattern) {
  for (std::size_t i = 0; i < pattern.size();) {
    const Character character = pattern[i++];
    if (character == '*') {
      if (elements_.empty() || elements_.back().kind != Element::Kind::kStar)
        elements_.push_back({Element::Kind::kStar});
    } else if (character == '?') {
      elements_.push_back({Element::Kind::kAny});
    } else if (character == '[') {
      i = parse_set(pattern, i);
    } else {
      elements_.push_back({Element::Kind::kLiteral, false, character});
    }
  }
}

// `open` is the place after '['. Returns the place after the set; where it is not closed, '[' is a literal.
std::size_t GlobPattern::parse_set(const std::u32string& pattern, std::size_t open) {
  std::size_t close = open;
  if (close < pattern.size() && pattern[close] == '!') ++close;
  if (close < pattern.size() && pattern[close] == ']') ++close;
  close = pattern.find(U']', close);
  if (close == kNotFound) {
    elements_.push_back({Element::Kind::kLiteral, false, U'['});
    return open;
  }
  add_set(pattern.substr(open, close - open));
  return close + 1;
}

// The rules of CPython's fnmatch.translate, step by step, as its corner cases follow from them: hyphens cut the text
// into chunks, each pair of neighbouring chunks means a range from the last character of one to the first of the next;
// empty ranges are dropped, and only then does a leading '!' negate.
void GlobPattern::add_set(const std::u32string& stuff) {
  std::vector<std::u32string> chunks;
  std::size_t start = 0;
  for (std::size_t from = stuff[0] == '!' ? 2 : 1;;) {
    const std::size_t hyphen = stuff.find(U'-', from);
    if (hyphen == kNotFound) break;
    chunks.push_back(stuff.substr(start, hyphen - start));
    start = hyphen + 1;
    from = hyphen + 3;
  }
  if (start < stuff.size() || chunks.empty()) {
    chunks.push_back(stuff.substr(start));
  } else {
    chunks.back() += U'-';
  }
  for (std::size_t i = chunks.size() - 1; i > 0; --i) {
    if (chunks[i - 1].back() <= chunks[i].front()) continue;
    chunks[i - 1].pop_back();
    chunks[i - 1] += chunks[i].substr(1);
    chunks.erase(chunks.begin() + static_cast<std::ptrdiff_t>(i));
  }

  Element set{Element::Kind::kSet};
  set.first_range = static_cast<std::uint32_t>(ranges_.size());
  if (!chunks[0].empty() && chunks[0].front() == '!') {
    set.negated = true;
    chunks[0].erase(0, 1);
  }
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    for (const Character character : chunks[i]) ranges_.push_back({character, character});
    if (i + 1 == chunks.size()) break;
    const Character first = chunks[i].empty() ? U'-' : chunks[i].back();  // "[^-x]": the hyphen joins nothing
    const Character last = chunks[i].empty() ? U'-' : chunks[i + 1].front();
    ranges_.push_back({first, last});
  }
  set.ranges = static_cast<std::uint32_t>(ranges_.size()) - set.first_range;
  elements_.push_back(set);
}

bool GlobPattern::fits(const Element& element, Character character) const noexcept {
  switch (element.kind) {
    case Element::Kind::kLiteral:
      return element.literal == character;
    case Element::Kind::kAny:
      return true;
    case Element::Kind::kSet: {
      const auto first = ranges_.begin() + element.first_range;
      return element.negated != std::any_of(first, first + element.ranges, [=](const Range& range) {
               return range.first <= character && character <= range.last;
             });
    }
    case Element::Kind::kStar:
      break;
  }
  return false;
}

bool GlobPattern::matches(const std::byte* key, std::size_t bytes) const noexcept {
  std::size_t element = 0;
  std::size_t at = 0;
  std::size_t after_star = kNotFound;  // the element after the last star met, and what that star has not taken
  std::size_t rest = 0;
  while (at < bytes) {
    if (element < elements_.size() && elements_[element].kind == Element::Kind::kStar) {
      after_star = ++element;
      rest = at;
      if (element == elements_.size()) return true;
      continue;
    }
    const Decoded decoded = decode(key + at, bytes - at);
    if (element < elements_.size() && fits(elements_[element], decoded.character)) {
      ++element;
      at += decoded.bytes;
    } else if (after_star != kNotFound) {
      // The last star takes one character more. Earlier ones need no second try: what follows them matched leftmost.
      element = after_star;
      rest += decode(key + rest, bytes - rest).bytes;
      at = rest;
    } else {
      return false;
    }
  }
  if (element < elements_.size() && elements_[element].kind == Element::Kind::kStar) ++element;
  return element == elements_.size();
}

bool GlobPattern::may_fit_wide(const Element& element) const noexcept {
  if (element.kind == Element::Kind::kAny || element.negated) return true;
  const auto first = ranges_.begin() + element.first_range;
  return std::any_of(first, first + element.ranges, [](const Range& range) { return range.last >= 0x80; });
}

void GlobPattern::build_automaton(std::size_t first_element) {
  unsigned position = 0;
  std::vector<ByteClasses> classes;  // of each position, and of what lies behind the last state
  ByteClasses behind = 0;
  bool star = false;
  for (std::size_t i = first_element; i < elements_.size(); ++i) {
    const Element& element = elements_[i];
    const std::string bytes = element.kind == Element::Kind::kLiteral ? encode(element.literal) : std::string();
    if (element.kind == Element::Kind::kStar) {
      wait_[0] |= States{1} << position;
      star = true;
      continue;
    }
    star = false;
    if (truncated_ || position + std::max<std::size_t>(bytes.size(), 1) > kPositions) {
      truncated_ = true;
      behind |= classes_of(bytes);
      continue;
    }
    if (element.kind != Element::Kind::kLiteral) {
      add_position(position++, element);
      classes.push_back(0);
    }
    for (const char byte : bytes) {
      advance_[static_cast<std::uint8_t>(byte)] |= States{1} << position++;
      classes.push_back(kByteClass[static_cast<std::uint8_t>(byte)]);
    }
  }
  accept_ = States{1} << position;
  if (truncated_) wait_[0] |= accept_;
  if (star && !truncated_) accept_all_ = accept_;
  wait_[1] |= wait_[0];

  // The last state itself needs nothing: of a truncated pattern it may have seen any part of the rest.
  ByteClasses needed = behind;
  for (unsigned i = position; i-- > 0;) needed_[i] = needed |= classes[i];
}

void GlobPattern::add_position(unsigned position, const Element& element) {
  const States bit = States{1} << position;
  for (unsigned byte = 0; byte < 0x80; ++byte) {
    if (fits(element, byte)) advance_[byte] |= bit;
  }
  if (!may_fit_wide(element)) return;
  for (unsigned byte = 0x80; byte < 0x100; ++byte) advance_[byte] |= bit;
  wait_[1] |= bit;
}

std::string escape_glob(ByteView text) {
  std::string pattern;
  for (const char byte : text) {
    if (byte == '*' || byte == '?' || byte == '[') {
      pattern += '[';
      pattern += byte;
      pattern += ']';
    } else {
      pattern += byte;
    }
  }
  return pattern;
}

}  // namespace kv
