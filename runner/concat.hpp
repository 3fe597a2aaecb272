// Joins strings, string views and C strings; unlike operator+ it takes all three and makes one string.
#pragma once

#include <string>

namespace runner {

template <class... Parts>
[[nodiscard]] std::string concat(const Parts&... parts) {
  std::string text;
  (text.append(parts), ...);
  return text;
}

}  // namespace runner
