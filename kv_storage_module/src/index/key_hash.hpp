// The hash of a key: XXH3 with the arena's random seed, as keys come from requests and must not choose their bucket.
#pragma once

#include <cstdint>

#include "kv_storage/bytes.hpp"
#include "memory/layout.hpp"

namespace kv {

[[nodiscard]] std::uint64_t hash_key(ByteView key, std::uint64_t seed) noexcept;

// [0, 2^32) onto [0, count), evenly (D. Lemire: "Fast Random Integer Generation in an Interval", 2019).
[[nodiscard]] constexpr std::uint32_t fast_range(std::uint32_t value, std::uint32_t count) noexcept {
  return static_cast<std::uint32_t>((std::uint64_t{value} * count) >> 32);
}

// Part and look-aside use different halves, or each part would use only some of its buckets.
[[nodiscard]] constexpr std::uint32_t part_of_hash(std::uint64_t hash, std::uint32_t parts) noexcept {
  return fast_range(static_cast<std::uint32_t>(hash >> 32), parts);
}
[[nodiscard]] constexpr std::uint32_t tag_of_hash(std::uint64_t hash) noexcept {
  return static_cast<std::uint32_t>(hash);
}
// By the tag: whatever a slot of the look-aside with a key's tag leads to is of the key's stripe.
[[nodiscard]] constexpr std::uint32_t stripe_of_hash(std::uint64_t hash) noexcept {
  return tag_of_hash(hash) % kStripes;
}

}  // namespace kv
