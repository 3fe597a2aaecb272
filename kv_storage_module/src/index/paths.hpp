// Small things that all writers of the index need.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "index/node.hpp"
#include "kv_storage/error.hpp"
#include "memory/transaction.hpp"

namespace kv {

// Nodes with this many nodes above them have their classes marked as unknown instead of kept up to date.
inline constexpr unsigned kClassDepth = 128;

[[nodiscard]] inline std::size_t common_bytes(ByteView a, ByteView b) noexcept {
  const std::size_t end = std::min(a.size(), b.size());
  std::size_t at = 0;
  for (std::uint64_t x = 0, y = 0; at + sizeof x <= end; at += sizeof x) {
    std::memcpy(&x, a.data() + at, sizeof x);
    std::memcpy(&y, b.data() + at, sizeof y);
    if (x != y) return at + static_cast<std::size_t>(std::countr_zero(x ^ y)) / 8;
  }
  while (at < end && a[at] == b[at]) ++at;
  return at;
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
