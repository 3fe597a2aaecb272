#include "memory/block_supply.hpp"

namespace kv {

void BlockSupply::settle() {
  for (OpenBlocks& blocks : open_) {
    if (blocks.first == kNullRef) continue;
    close_blocks(txn_, blocks);
    blocks = {};
  }
}

void BlockSupply::refill(std::size_t size_class) {
  OpenBlocks& blocks = open_[size_class];
  if (blocks.first != kNullRef) close_blocks(txn_, blocks);
  blocks = {};  // also if there is no memory for more
  blocks = open_blocks(txn_, size_class);
}

}  // namespace kv
