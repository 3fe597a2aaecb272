#include "nearest.hpp"

#include <algorithm>
#include <cstddef>

#include "concat.hpp"

namespace runner {
namespace {

// Edits between two words, a swap of neighbours counted as one ("optimal string alignment").
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string join(const std::vector<std::string_view>& words) {
  std::string text;
  for (std::string_view word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

}  // namespace

std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates) {
  const auto nearest = std::min_element(candidates.begin(), candidates.end(),
                                        [&](auto a, auto b) { return distance(word, a) < distance(word, b); });
  if (nearest != candidates.end() && distance(word, *nearest) <= 1 + nearest->size() / 4) {
    return concat("; did you mean '", *nearest, "'?");
  }
  return concat("; known: ", join(candidates));
}

}  // namespace runner
