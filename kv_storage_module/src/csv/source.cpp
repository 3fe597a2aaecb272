#include "csv/source.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace kv::csv {
namespace {

constexpr std::size_t kSampleBytes = 64 * 1024;
constexpr std::size_t kSampleRows = 50;

// Fields of each complete row at the beginning of `sample`, if `delimiter` separates them; blank lines are left out.
std::vector<std::size_t> fields_per_row(ByteView sample, bool complete, char delimiter, char quote) {
  std::vector<std::size_t> counts;
  bool in_quotes = false;
  bool blank = true;
  std::size_t fields = 1;
  const auto end_row = [&] {
    if (!blank) counts.push_back(fields);
    fields = 1;
    blank = true;
  };
  for (const char c : sample) {
    if (counts.size() == kSampleRows) return counts;
    if (!in_quotes && (c == '\n' || c == '\r')) {
      end_row();
      continue;
    }
    blank = false;
    if (quote != 0 && c == quote) in_quotes = !in_quotes;
    if (!in_quotes && c == delimiter) ++fields;
  }
  // A row that the sample cuts off says nothing, unless it is all there is.
  if (complete || counts.empty()) end_row();
  return counts;
}

}  // namespace

Location locate(const char* line_begin, std::uint64_t line, const char* at) noexcept {
  const char* begin = line_begin;
  for (const char* p = line_begin; p < at; ++p) {
    const bool line_end = *p == '\n' || (*p == '\r' && (p + 1 == at || p[1] != '\n'));
    if (!line_end) continue;
    ++line;
    begin = p + 1;
  }
  return {.line = line, .column = static_cast<std::uint64_t>(at - begin) + 1};
}

std::uint64_t count_lines(ByteView text) noexcept { return locate(text.data(), 0, text.data() + text.size()).line; }

std::string quoted(ByteView text) {
  constexpr std::size_t kShown = 40;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "'";
  std::size_t shown = std::min(text.size(), kShown);
  // Do not cut a UTF-8 character in two.
  while (shown < text.size() && shown > kShown - 4 && (static_cast<unsigned char>(text[shown]) & 0xC0U) == 0x80U) {
    --shown;
  }
  for (const char c : text.substr(0, shown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      out += c;
    } else {
      out += "\\x";
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  if (shown < text.size()) out += "...";
  return out + "'";
}

char detect_delimiter(ByteView text, char quote) {
  const ByteView sample = text.substr(0, kSampleBytes);
  char best = ',';
  std::size_t best_fields = 1;
  bool best_consistent = false;
  for (const char candidate : {',', '\t', ';', '|'}) {
    if (candidate == quote) continue;
    const std::vector<std::size_t> counts = fields_per_row(sample, sample.size() == text.size(), candidate, quote);
    if (counts.empty() || counts.front() == 1) continue;
    const bool consistent = std::all_of(counts.begin(), counts.end(), [&](std::size_t n) { return n == counts[0]; });
    if (best_consistent && !consistent) continue;
    if ((consistent && !best_consistent) || counts.front() > best_fields) {
      best = candidate;
      best_fields = counts.front();
      best_consistent = consistent;
    }
  }
  return best;
}

}  // namespace kv::csv
