// "Did you mean ...?": the accepted spelling nearest to a misspelt one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kv {

// The candidate with the fewest single-character edits (insert, delete, replace, swap of neighbours; a difference of
// case only counts as half an edit) from `word`; empty if none is near enough to be meant. Ties go to the first.
// O(candidates * length^2); words over 64 bytes have no neighbours.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// "; did you mean 'x'?" or, if nothing is near, "; " + `what` + " are a, b, c, ..." with at most 20 candidates.
[[nodiscard]] std::string suggestion(std::string_view word, std::span<const std::string_view> candidates,
                                     std::string_view what);

}  // namespace kv
