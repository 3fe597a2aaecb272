// A transaction over one part: all of its stores to reachable memory happen, or none, whatever kills the process.
//
// Every store to a word that was reachable before the transaction first records {word, old value} in the part's
// journal. Setting the journal's count to 0 is the commit point. An exception, or the next locker of a dead owner,
// applies the journal backwards. Blocks allocated inside the transaction are private until a journaled store publishes
// them, so they are filled without journaling. This protects against death of a process, not of the machine: a kill is
// precise, what was executed is visible, so the order of stores needs compiler fences only.
//
//   Transaction txn(part);                         // takes the lock
//   Ref block = txn.allocate(64);
//   fill(txn.fresh(block));
//   txn.store32(root, 0, block);                   // publish
//   txn.commit();                                  // without it the destructor rolls back
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/part.hpp"

namespace kv {

class Transaction {
 public:
  explicit Transaction(Part& part) : part_(part), control_(part.control()) { part.lock(); }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();  // rolls back what was not committed, then unlocks

  // The step that begins changes, of what `Part::read_stripe` lets readers look at, nothing but entries of this stripe,
  // and frees no others. Call it before the first allocation; within a step that has begun it does nothing. It holds
  // until the commit or rollback, and who does not call it is right, too: the step is a wide one.
  void confine(std::uint32_t stripe) noexcept;

  // A block of at least `bytes` bytes, aligned to 8 (64 if bytes >= 4096), contents undefined.
  // Throws Error{kOverCapacity}; the transaction may then be rolled back or go on. O(1) for blocks up to 32 KiB.
  [[nodiscard]] Ref allocate(std::size_t bytes);
  // Gives a block back. If it is pinned it stays readable until its last pin goes. Its contents are not touched, and
  // nobody gets its memory before the commit: a rollback must find it as it was.
  void free(Ref block);
  // Size of a live block: at least what was asked for.
  [[nodiscard]] std::size_t block_bytes(Ref block) const noexcept;

  // Address of a block allocated in this transaction and not yet published. Stores through memory/words.hpp.
  [[nodiscard]] std::byte* fresh(Ref block) const noexcept { return part_.slice() + std::uint64_t{block} * kGranule; }
  [[nodiscard]] const std::byte* at(Ref block) const noexcept { return fresh(block); }

  // Journaled stores into reachable memory.
  void store32(Ref block, std::size_t offset, std::uint32_t value) { store32(fresh(block) + offset, value); }
  void store64(Ref block, std::size_t offset, std::uint64_t value) { store64(fresh(block) + offset, value); }
  void store32(void* address, std::uint32_t value);  // 4-aligned, anywhere in the arena
  void store64(void* address, std::uint64_t value);  // 8-aligned
  // Any bytes; journals only the words that differ.
  void write(void* address, const void* from, std::size_t bytes);
  void write(Ref block, std::size_t offset, const void* from, std::size_t bytes) {
    write(fresh(block) + offset, from, bytes);
  }

  // Makes everything so far permanent. The lock stays held, and a further store begins the next step: an operation that
  // needs more than the journal holds is cut into steps that each leave a valid state.
  void commit() noexcept;
  void rollback() noexcept;

  // Journal entries still free, not counting those that the frees of this step will need: a step should end while some
  // hundred are.
  [[nodiscard]] std::size_t journal_room() const noexcept;

  [[nodiscard]] Part& part() const noexcept { return part_; }
  [[nodiscard]] PartControl& control() const noexcept { return control_; }

 private:
  static constexpr std::size_t kFewBlocks = 8;

  void record(const void* word);
  void leave_stripe() noexcept;
  [[nodiscard]] bool freed(Ref block) const noexcept;
  void give_back();
  void forget_freed() noexcept;

  Part& part_;
  PartControl& control_;
  std::uint64_t* stripe_ = nullptr;  // that the step is confined to, whose number is odd; null: a wide one
  // Blocks freed in this step, of which the allocator learns with the commit; most steps free few.
  std::size_t freed_count_ = 0;
  std::size_t reserved_ = 0;  // journal entries for that
  Ref few_freed_[kFewBlocks] = {};
  std::vector<Ref> more_freed_;
};

}  // namespace kv
