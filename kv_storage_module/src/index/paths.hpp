// Small things that all writers of the index need.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "index/node.hpp"
#include "kv_storage/error.hpp"
#include "memory/transaction.hpp"

namespace kv {

// Nodes with this many nodes above them have their classes marked as unknown instead of kept up to date.
inline constexpr unsigned kClassDepth = 128;

[[nodiscard]] inline std::size_t common_bytes(ByteView a, ByteView b) noexcept {
  const auto end = a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
  return static_cast<std::size_t>(std::mismatch(a.begin(), end, b.begin()).first - a.begin());
}

[[nodiscard]] inline std::uint8_t byte_at(ByteView bytes, std::size_t place) noexcept {
  return static_cast<std::uint8_t>(bytes[place]);
}

// A node met by the holder of the lock.
[[nodiscard]] inline NodeView node_at(const Transaction& txn, Ref ref) {
  const NodeView node(txn.part(), ref);
  if (!node) throw Error(ErrorCode::kCorrupt, "the key index refers to a block that is not a node");
  return node;
}

}  // namespace kv
