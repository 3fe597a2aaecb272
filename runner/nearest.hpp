// "did you mean ...?": the known word that a mistyped one was probably meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runner {

// "; did you mean 'parts'?" if a candidate is near enough, else "; known: parts, csv".
[[nodiscard]] std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace runner
