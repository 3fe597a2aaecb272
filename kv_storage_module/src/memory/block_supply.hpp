// Blocks for a step that allocates many: taken from private copies of bitmap words of 64 blocks, so that the journal
// and the counters of the allocator hear of them once a word and not once a block.
//
//   BlockSupply blocks(txn);
//   Ref block = blocks.allocate(40);  // fill, publish
//   blocks.settle();                  // before the commit; without it, nothing was allocated
#pragma once

#include <array>
#include <bit>
#include <cstddef>

#include "memory/allocator.hpp"
#include "memory/size_classes.hpp"

namespace kv {

// While one holds blocks, the step must not allocate otherwise: the allocator does not know of them yet.
class BlockSupply {
 public:
  // Journal entries that one `allocate` and one `settle` need at most.
  static constexpr std::size_t kJournalToAllocate = 64;
  static constexpr std::size_t kJournalToSettle = 5 * kSizeClasses;

  explicit BlockSupply(Transaction& txn) noexcept : txn_(txn) {}

  // As Transaction::allocate.
  [[nodiscard]] Ref allocate(std::size_t bytes) {
    if (bytes > kMaxSmallBytes) return txn_.allocate(bytes);
    OpenBlocks& blocks = open_[size_class_of(bytes)];
    if (blocks.free == 0) refill(size_class_of(bytes));
    const auto bit = static_cast<std::uint32_t>(std::countr_zero(blocks.free));
    blocks.free &= blocks.free - 1;
    return blocks.first + bit * blocks.granules;
  }
  void settle();

  [[nodiscard]] Transaction& txn() const noexcept { return txn_; }

 private:
  void refill(std::size_t size_class);

  Transaction& txn_;
  std::array<OpenBlocks, kSizeClasses> open_{};
};

}  // namespace kv
