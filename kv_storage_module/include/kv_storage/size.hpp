// Sizes as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kv {

// "4096", "256MB" (10^6), "1 GiB" (2^30), in any case; nullopt if it is none, or too large for 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text) noexcept;

}  // namespace kv
