// How much memory one collection takes in one part.
#pragma once

#include <cstdint>

#include "collections/roots.hpp"

namespace kv {

// Takes the part's lock, and walks everything that belongs to the collection; 0 if the part has nothing of it.
[[nodiscard]] std::uint64_t memory_of(const Part& part, Binding binding);

}  // namespace kv
