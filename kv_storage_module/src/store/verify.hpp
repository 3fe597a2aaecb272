// verify(): walks every structure of every part and compares what it reaches with what the allocator handed out.
#pragma once

#include <string>
#include <vector>

#include "memory/arena.hpp"

namespace kv {

[[nodiscard]] std::vector<std::string> verify_arena(Arena& arena);

}  // namespace kv
