// Keys and values are byte strings. std::string_view is the view type because it compares, hashes and searches by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kv {

using ByteView = std::string_view;

inline constexpr std::size_t kMaxKeyBytes = 65'535;

}  // namespace kv
