// How much memory there is for this process: what shares and bounds are taken of.
#pragma once

#include <cstdint>

namespace kv::system {

// RAM or the cgroup's limit, whichever is smaller, in bytes.
[[nodiscard]] std::uint64_t memory_limit() noexcept;

}  // namespace kv::system
