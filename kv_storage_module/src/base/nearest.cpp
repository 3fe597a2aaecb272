#include "kv_storage/nearest.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace kv {
namespace {

constexpr std::size_t kLongestWord = 64;
constexpr int kEdit = 2;  // in half edits
constexpr int kCaseOnly = 1;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

int replacement_cost(char a, char b) noexcept {
  if (a == b) return 0;
  return lower(a) == lower(b) ? kCaseOnly : kEdit;
}

// Optimal string alignment distance, row by row; both words are at most kLongestWord long.
int edit_distance(std::string_view a, std::string_view b) noexcept {
  using Row = std::array<int, kLongestWord + 1>;
  Row before{};
  Row above{};
  Row row{};
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = static_cast<int>(j) * kEdit;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i) * kEdit;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + kEdit, row[j - 1] + kEdit, above[j - 1] + replacement_cost(a[i - 1], b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + kEdit);
    }
    before = above;
    above = row;
  }
  return above[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > kLongestWord) return {};
  std::string_view best;
  int best_distance = std::max(2, static_cast<int>(word.size()) / 3) * kEdit + 1;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kLongestWord) continue;
    const int distance = edit_distance(word, candidate);
    // Replacing everything is no resemblance: "x" is not a misspelt "i8".
    const auto longer = static_cast<int>(std::max(word.size(), candidate.size()));
    if (distance < best_distance && distance < longer * kEdit) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggestion(std::string_view word, std::span<const std::string_view> candidates, std::string_view what) {
  constexpr std::size_t kListed = 20;
  if (const std::string_view near = nearest(word, candidates); !near.empty()) {
    return "; did you mean '" + std::string(near) + "'?";
  }
  std::string text = "; " + std::string(what) + " are ";
  for (std::size_t i = 0; i < std::min(candidates.size(), kListed); ++i) {
    if (i != 0) text += ", ";
    text += candidates[i];
  }
  if (candidates.size() > kListed) text += ", ...";
  return text;
}

}  // namespace kv
