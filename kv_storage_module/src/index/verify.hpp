// Checks a whole key index.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "memory/part.hpp"

namespace kv {

enum class IndexShape : std::uint8_t {
  kAny,         // nodes may be larger than needed, or lead to one key only: erasures that found no memory leave such
  kCompact,     // no such nodes
  kDismantled,  // left by dismantle_index: paths say nothing
};

// Under the part lock: walks the index, calls `node(ref)` and `entry(ref)` for each block it is made of (the two
// together never twice for one block), and describes in `violations` whatever breaks a rule of index/node.hpp.
void verify_index(const Part& part, Ref root, const std::function<void(Ref)>& node,
                  const std::function<void(Ref)>& entry, std::vector<std::string>& violations,
                  IndexShape shape = IndexShape::kAny);

}  // namespace kv
