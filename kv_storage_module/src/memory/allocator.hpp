// The allocator of a part. All its state lies in the arena and changes through the transaction, so it is undone with
// it.
//
// Blocks up to 32 KiB come from runs of equal blocks (memory/size_classes.hpp): a bitmap at the start of the run says
// which are in use, so freeing touches no block, and a check can count what is used. Larger blocks are runs of chunks
// of their own. Free runs are merged with free neighbours (boundary tags: Knuth, TAOCP vol. 1, 2.5) and kept in lists
// by length. Free memory beyond a slack is given back to the system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "memory/transaction.hpp"

namespace kv {

[[nodiscard]] Ref allocate_block(Transaction& txn, std::size_t bytes);
// Throws std::logic_error if `block` is not a block in use: a bug of ours, noticed before it does harm.
void free_block(Transaction& txn, Ref block);
// How many journal entries that takes at most, if `before` other blocks may be freed before it. Throws likewise.
[[nodiscard]] std::size_t journal_for_free(const Part& part, Ref block, std::size_t before);
[[nodiscard]] std::size_t allocated_bytes(const Part& part, Ref block) noexcept;

// The blocks that one bitmap word of a run stands for, taken out of the allocator's sight until they are closed. For
// memory/block_supply.hpp, which says how.
struct OpenBlocks {
  Ref first = kNullRef;           // the block of bit 0; null = nothing is open
  std::uint32_t granules = 0;     // from one to the next
  std::uint64_t free = 0;         // a bit for each block that may still be handed out
  std::uint64_t* word = nullptr;  // in the bitmap
  std::uint32_t run = 0;          // its first chunk
};
[[nodiscard]] OpenBlocks open_blocks(Transaction& txn, std::size_t size_class);
// Those no longer free count as allocated from here on.
void close_blocks(Transaction& txn, const OpenBlocks& blocks);

// Gives large free runs back to the system while free memory exceeds the slack. Commits steps of its own.
void trim_free_runs(Transaction& txn) noexcept;

// For verify(), under the lock: walks the chunk table and every bitmap, calls `block(ref, bytes)` for each block in use
// and reports contradictions between table, bitmaps, lists and counters.
void verify_allocator(const Part& part, const std::function<void(Ref, std::size_t)>& block,
                      std::vector<std::string>& violations);

}  // namespace kv
