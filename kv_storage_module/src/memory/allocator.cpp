#include "memory/allocator.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <stdexcept>

#include "kv_storage/error.hpp"
#include "memory/arena.hpp"
#include "memory/system.hpp"

namespace kv {
namespace {

constexpr std::uint32_t kGrowChunks = 64;     // taken from the system at a time: 1 MiB,
constexpr std::uint32_t kGrowHuge = 256;      // or 4 MiB, in huge pages,
constexpr std::uint32_t kHugeFrom = 2048;     // by a part that holds 32 MiB, so that a small store stays small
constexpr std::uint32_t kTrimChunks = 64;     // shorter free runs are not worth a system call
constexpr std::uint64_t kSlackChunks = 4096;  // free memory kept for reuse (64 MiB), besides a quarter of what is used
constexpr std::size_t kTableStepBytes = 64 * 1024;
constexpr int kBinSearch = 32;  // runs looked at in a list of mixed lengths before a longer list is tried
constexpr int kTrimsPerTransaction = 4;
constexpr std::size_t kGranulesPerChunk = kChunkBytes / kGranule;
constexpr std::uint32_t kHugePageChunks = system::kHugePageBytes / kChunkBytes;

[[nodiscard]] std::size_t bin_of(std::uint32_t length) noexcept {
  if (length < 32) return length - 1;
  return std::min<std::size_t>(31 + static_cast<std::size_t>(std::bit_width(length)) - 6, kRunBins - 1);
}

[[nodiscard]] std::byte* chunk_address(const Part& part, std::uint32_t chunk) noexcept {
  return part.slice() + std::uint64_t{chunk} * kChunkBytes;
}

[[nodiscard]] std::uint64_t chunk_file_offset(const Part& part, std::uint32_t chunk) noexcept {
  return static_cast<std::uint64_t>(chunk_address(part, chunk) - part.arena().base());
}

[[nodiscard]] ChunkEntry* entry_of(const Part& part, std::uint32_t chunk) noexcept {
  return reinterpret_cast<ChunkEntry*>(part.slice()) + chunk;
}

[[nodiscard]] constexpr std::uint8_t code(ChunkState state) noexcept { return static_cast<std::uint8_t>(state); }

// Chunks and runs of chunks: the lower half of the allocator.
class Runs {
 public:
  explicit Runs(Transaction& txn) noexcept : txn_(txn), part_(txn.part()), state_(txn.control().allocator) {}

  // A committed run of exactly `length` chunks, in no list; the caller writes its entries.
  [[nodiscard]] std::uint32_t take(std::uint32_t length) {
    if (const std::uint32_t head = find(state_.free_runs, length); head != kNoChunk) {
      return split(head, length, ChunkState::kFree);
    }
    if (const std::uint32_t head = find(state_.punched_runs, length); head != kNoChunk) {
      check_limit(length);
      commit_pages(head, length);
      count(&state_.committed_chunks, length);
      return split(head, length, ChunkState::kPunched);
    }
    return grow(length);
  }

  // Gives back a committed run; merges it with committed free neighbours.
  void give(std::uint32_t head, std::uint32_t length) {
    count(&state_.free_chunks, length);
    insert_merged(head, length, ChunkState::kFree);
  }

  // Moves one long free run to the punched ones; false = there is none. Ends with a commit and the system call.
  bool punch_one() {
    for (std::size_t bin = kRunBins - 1; bin >= bin_of(kTrimChunks); --bin) {
      const std::uint32_t head = state_.free_runs[bin];
      if (head == kNoChunk) continue;
      const std::uint32_t length = entry_of(part_, head)->length;
      unlink(head, ChunkState::kFree);
      count(&state_.free_chunks, -std::int64_t{length});
      count(&state_.committed_chunks, -std::int64_t{length});
      insert_merged(head, length, ChunkState::kPunched);
      // Counted as given back first: killed in between, the pages are merely still there when the run is used again.
      txn_.commit();
      return system::punch(part_.arena().fd(), chunk_file_offset(part_, head), std::uint64_t{length} * kChunkBytes) ==
             0;
    }
    return false;
  }

  void write_entry(std::uint32_t chunk, const ChunkEntry& entry) {
    txn_.write(entry_of(part_, chunk), &entry, sizeof entry);
  }

  void count(std::uint64_t* counter, std::int64_t by) {
    txn_.store64(counter, *counter + static_cast<std::uint64_t>(by));
  }

 private:
  [[nodiscard]] std::uint32_t* bins(ChunkState state) noexcept {
    return state == ChunkState::kFree ? state_.free_runs : state_.punched_runs;
  }

  [[nodiscard]] std::uint32_t find(const std::uint32_t* bin_heads, std::uint32_t length) const noexcept {
    std::size_t bin = bin_of(length);
    std::uint32_t run = bin_heads[bin];
    for (int looked = 0; run != kNoChunk && looked < kBinSearch; ++looked, run = entry_of(part_, run)->next) {
      if (entry_of(part_, run)->length >= length) return run;
    }
    while (++bin < kRunBins) {
      if (bin_heads[bin] != kNoChunk) return bin_heads[bin];
    }
    return kNoChunk;
  }

  [[nodiscard]] std::uint32_t split(std::uint32_t head, std::uint32_t length, ChunkState state) {
    const std::uint32_t whole = entry_of(part_, head)->length;
    unlink(head, state);
    if (state == ChunkState::kFree) count(&state_.free_chunks, -std::int64_t{length});
    if (whole > length) link(head + length, whole - length, state);
    return head;
  }

  void link(std::uint32_t head, std::uint32_t length, ChunkState state) {
    std::uint32_t& first = bins(state)[bin_of(length)];
    ChunkEntry entry{};
    entry.state = code(state);
    entry.head = head;
    entry.length = length;
    entry.next = first;
    write_entry(head, entry);
    if (length > 1) {
      ChunkEntry tail{};
      tail.state = code(state);
      tail.head = head;
      write_entry(head + length - 1, tail);
    }
    if (first != kNoChunk) txn_.store32(&entry_of(part_, first)->prev, head);
    txn_.store32(&first, head);
  }

  void unlink(std::uint32_t head, ChunkState state) {
    const ChunkEntry entry = *entry_of(part_, head);
    if (entry.prev != kNoChunk) {
      txn_.store32(&entry_of(part_, entry.prev)->next, entry.next);
    } else {
      txn_.store32(&bins(state)[bin_of(entry.length)], entry.next);
    }
    if (entry.next != kNoChunk) txn_.store32(&entry_of(part_, entry.next)->prev, entry.prev);
  }

  void insert_merged(std::uint32_t head, std::uint32_t length, ChunkState state) {
    if (head > first_chunk()) {
      const ChunkEntry& left = *entry_of(part_, head - 1);
      if (left.state == code(state)) {
        const std::uint32_t left_head = left.head;
        length += entry_of(part_, left_head)->length;
        unlink(left_head, state);
        head = left_head;
      }
    }
    if (const std::uint32_t right = head + length; right < state_.frontier) {
      const ChunkEntry& next = *entry_of(part_, right);
      if (next.state == code(state)) {
        length += next.length;
        unlink(right, state);
      }
    }
    link(head, length, state);
  }

  // The first chunks of a slice hold the chunk table itself.
  [[nodiscard]] std::uint32_t first_chunk() const noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{state_.chunk_count} * sizeof(ChunkEntry) + kChunkBytes - 1) /
                                      kChunkBytes);
  }

  [[nodiscard]] std::uint64_t allowed_chunks() const noexcept {
    const std::uint64_t limit = part_.arena().header().max_memory;
    const std::uint64_t committed = part_.arena().committed_bytes();
    return committed >= limit ? 0 : (limit - committed) / kChunkBytes;
  }

  void check_limit(std::uint64_t chunks) const {
    if (chunks > allowed_chunks()) throw over_capacity(chunks);
  }

  [[nodiscard]] Error over_capacity(std::uint64_t chunks) const {
    part_.arena().reap_soon();  // pins of dead processes may be what fills the store
    return {ErrorCode::kOverCapacity,
            "the store is full: " + std::to_string(chunks * kChunkBytes) +
                " more bytes would exceed max_memory = " + std::to_string(part_.arena().header().max_memory)};
  }

  // Takes pages from the system and maps them. Whole huge pages first; whatever of that fails, small ones make good.
  void commit_pages(std::uint32_t head, std::uint64_t chunks) const {
    const std::uint64_t offset = chunk_file_offset(part_, head);
    const std::uint64_t end = offset + chunks * kChunkBytes;
    const std::uint64_t huge = (offset + system::kHugePageBytes - 1) / system::kHugePageBytes * system::kHugePageBytes;
    const std::uint64_t huge_end = end / system::kHugePageBytes * system::kHugePageBytes;
    if (huge < huge_end && state_.committed_chunks >= kHugeFrom) {
      static_cast<void>(system::populate_huge(part_.arena().fd(), part_.arena().base(), huge, huge_end - huge));
    }
    commit_range(offset, chunks * kChunkBytes);
    system::populate(chunk_address(part_, head), chunks * kChunkBytes);
  }

  void commit_range(std::uint64_t offset, std::uint64_t bytes) const {
    if (system::allocate(part_.arena().fd(), offset, bytes) == 0) return;
    const int error = errno;
    static_cast<void>(system::punch(part_.arena().fd(), offset, bytes));  // nobody's yet: not even a huge page stays
    if (error == ENOSPC || error == ENOMEM) {
      throw Error(ErrorCode::kOverCapacity,
                  "the system has no memory for " + std::to_string(bytes) + " more bytes of the store");
    }
    throw Error::from_errno(error, "cannot take memory for the store (fallocate)");
  }

  // How many chunks to take for `length`: in a part of some size up to the end of a huge page.
  [[nodiscard]] std::uint32_t growth(std::uint32_t head, std::uint32_t length) const noexcept {
    if (state_.committed_chunks < kHugeFrom) return std::max(length, kGrowChunks);
    const std::uint32_t end = head + std::max(length, kGrowHuge);
    return (end + kHugePageChunks - 1) / kHugePageChunks * kHugePageChunks - head;
  }

  [[nodiscard]] std::uint32_t grow(std::uint32_t length) {
    const std::uint64_t left = state_.chunk_count - state_.frontier;
    if (length > left) throw Error(ErrorCode::kOverCapacity, "a part of the store has no address space left");
    check_limit(length);
    const std::uint32_t head = state_.frontier;
    const auto batch = static_cast<std::uint32_t>(
        std::min({std::uint64_t{growth(head, length)}, left, std::max(allowed_chunks(), std::uint64_t{length})}));
    const std::uint64_t table_needed = (std::uint64_t{head} + batch) * sizeof(ChunkEntry);
    if (table_needed > state_.table_bytes) {
      const std::uint64_t rounded = (table_needed + kTableStepBytes - 1) / kTableStepBytes * kTableStepBytes;
      commit_range(chunk_file_offset(part_, 0) + state_.table_bytes, rounded - state_.table_bytes);
      txn_.store64(&state_.table_bytes, rounded);
    }
    commit_pages(head, batch);
    count(&state_.committed_chunks, batch);
    txn_.store32(&state_.frontier, head + batch);
    if (batch > length) give(head + length, batch - length);
    return head;
  }

  Transaction& txn_;
  Part& part_;
  AllocatorState& state_;
};

// Where a small block stands in its run.
struct SmallBlock {
  ChunkEntry* run;
  std::uint64_t* bitmap_word;
  std::uint32_t word;
  std::uint64_t mask;
};

// Throws std::logic_error if `block` is not a block in use of the run `head`.
[[nodiscard]] SmallBlock find_small_block(const Part& part, Ref block, std::uint32_t head) {
  ChunkEntry* const run = entry_of(part, head);
  const SizeClass& shape = kSizeClassTable[run->size_class];
  const auto offset =
      static_cast<std::uint32_t>((std::uint64_t{block} - std::uint64_t{head} * kGranulesPerChunk) * kGranule);
  if (offset < shape.first_offset) throw std::logic_error("free of an address inside a bitmap");
  const std::uint32_t index = shape.index_of(offset - shape.first_offset);
  auto* const bitmap = reinterpret_cast<std::uint64_t*>(chunk_address(part, head));
  const SmallBlock found{run, bitmap + index / 64, index / 64, std::uint64_t{1} << index % 64};
  if (shape.first_offset + index * shape.block_bytes != offset || (load64(found.bitmap_word) & found.mask) == 0) {
    throw std::logic_error("free of something that is no block in use");
  }
  return found;
}

// Equal blocks in runs: the upper half.
class SmallBlocks {
 public:
  explicit SmallBlocks(Transaction& txn) noexcept
      : txn_(txn), part_(txn.part()), state_(txn.control().allocator), runs_(txn) {}

  [[nodiscard]] Ref allocate(std::size_t size_class) {
    const SizeClass& shape = kSizeClassTable[size_class];
    std::uint32_t head = state_.small_runs[size_class];
    if (head == kNoChunk) head = new_run(size_class);
    ChunkEntry* const entry = entry_of(part_, head);
    auto* const bitmap = reinterpret_cast<std::uint64_t*>(chunk_address(part_, head));
    std::uint32_t word = entry->hint;
    while (load64(bitmap + word) == ~std::uint64_t{0}) ++word;  // a listed run has a free block
    const std::uint64_t bits = load64(bitmap + word);
    const auto bit = static_cast<std::uint32_t>(std::countr_one(bits));
    txn_.store64(bitmap + word, bits | std::uint64_t{1} << bit);
    store_use(entry, entry->used + 1, word);
    if (entry->used == shape.blocks) unlink(head, size_class);
    runs_.count(&state_.used_bytes, shape.block_bytes);
    const std::uint32_t offset = shape.first_offset + (word * 64 + bit) * shape.block_bytes;
    return static_cast<Ref>(head * kGranulesPerChunk + offset / kGranule);
  }

  // The first word with a free block.
  [[nodiscard]] OpenBlocks open(std::size_t size_class) {
    const SizeClass& shape = kSizeClassTable[size_class];
    std::uint32_t head = state_.small_runs[size_class];
    if (head == kNoChunk) head = new_run(size_class);
    auto* const bitmap = reinterpret_cast<std::uint64_t*>(chunk_address(part_, head));
    std::uint32_t word = entry_of(part_, head)->hint;
    while (load64(bitmap + word) == ~std::uint64_t{0}) ++word;
    const std::uint32_t offset = shape.first_offset + word * 64 * shape.block_bytes;
    return {static_cast<Ref>(head * kGranulesPerChunk + offset / kGranule),
            static_cast<std::uint32_t>(shape.block_bytes / kGranule), ~load64(bitmap + word), bitmap + word, head};
  }

  void close(const OpenBlocks& blocks) {
    const std::uint64_t taken = ~blocks.free & ~load64(blocks.word);
    if (taken == 0) return;
    ChunkEntry* const entry = entry_of(part_, blocks.run);
    const std::size_t size_class = entry->size_class;
    const SizeClass& shape = kSizeClassTable[size_class];
    const auto* const bitmap = reinterpret_cast<const std::uint64_t*>(chunk_address(part_, blocks.run));
    const auto count = static_cast<std::uint32_t>(std::popcount(taken));
    txn_.store64(blocks.word, ~blocks.free);
    store_use(entry, entry->used + count, static_cast<std::uint32_t>(blocks.word - bitmap));
    if (entry->used == shape.blocks) unlink(blocks.run, size_class);
    runs_.count(&state_.used_bytes, std::int64_t{count} * shape.block_bytes);
  }

  void free(Ref block, std::uint32_t head) {
    const SmallBlock found = find_small_block(part_, block, head);
    ChunkEntry* const entry = found.run;
    const std::size_t size_class = entry->size_class;
    const SizeClass& shape = kSizeClassTable[size_class];
    if (entry->used == shape.blocks) link(head, size_class);
    txn_.store64(found.bitmap_word, load64(found.bitmap_word) & ~found.mask);
    store_use(entry, entry->used - 1, std::min(entry->hint, found.word));
    runs_.count(&state_.used_bytes, -std::int64_t{shape.block_bytes});
    const bool only_run = state_.small_runs[size_class] == head && entry->next == kNoChunk;
    if (entry->used == 0 && !only_run) {  // one empty run stays, or a class used now and then would thrash
      unlink(head, size_class);
      runs_.give(head, shape.run_chunks);
    }
  }

 private:
  void store_use(ChunkEntry* entry, std::uint32_t used, std::uint32_t hint) {
    static_assert(offsetof(ChunkEntry, used) % 8 == 0 && offsetof(ChunkEntry, hint) == offsetof(ChunkEntry, used) + 4);
    txn_.store64(&entry->used, used | std::uint64_t{hint} << 32);
  }

  [[nodiscard]] std::uint32_t new_run(std::size_t size_class) {
    const SizeClass& shape = kSizeClassTable[size_class];
    const std::uint32_t head = runs_.take(shape.run_chunks);
    auto* const bitmap = reinterpret_cast<std::uint64_t*>(chunk_address(part_, head));
    for (std::uint32_t word = 0; word < shape.bitmap_words(); ++word) {
      const std::uint32_t left = shape.blocks - word * 64;
      store_relaxed<std::uint64_t>(bitmap + word,
                                   left >= 64 ? 0 : ~std::uint64_t{0} << left);  // beyond the last: in use
    }
    ChunkEntry entry{};
    entry.state = code(ChunkState::kSmall);
    entry.size_class = static_cast<std::uint8_t>(size_class);
    entry.head = head;
    for (std::uint32_t i = 1; i < shape.run_chunks; ++i) runs_.write_entry(head + i, entry);
    entry.length = shape.run_chunks;
    runs_.write_entry(head, entry);
    link(head, size_class);
    return head;
  }

  void link(std::uint32_t head, std::size_t size_class) {
    std::uint32_t& first = state_.small_runs[size_class];
    ChunkEntry* const entry = entry_of(part_, head);
    txn_.store32(&entry->prev, kNoChunk);
    txn_.store32(&entry->next, first);
    if (first != kNoChunk) txn_.store32(&entry_of(part_, first)->prev, head);
    txn_.store32(&first, head);
  }

  void unlink(std::uint32_t head, std::size_t size_class) {
    const ChunkEntry entry = *entry_of(part_, head);
    if (entry.prev != kNoChunk) {
      txn_.store32(&entry_of(part_, entry.prev)->next, entry.next);
    } else {
      txn_.store32(&state_.small_runs[size_class], entry.next);
    }
    if (entry.next != kNoChunk) txn_.store32(&entry_of(part_, entry.next)->prev, entry.prev);
  }

  Transaction& txn_;
  Part& part_;
  AllocatorState& state_;
  Runs runs_;
};

[[nodiscard]] Ref allocate_large(Transaction& txn, std::size_t bytes) {
  Runs runs(txn);
  const std::uint64_t chunks = (bytes + kChunkBytes - 1) / kChunkBytes;
  if (chunks > txn.control().allocator.chunk_count) {
    throw Error(ErrorCode::kOverCapacity,
                "a block of " + std::to_string(bytes) + " bytes is larger than a part of the store");
  }
  const auto length = static_cast<std::uint32_t>(chunks);
  const std::uint32_t head = runs.take(length);
  ChunkEntry entry{};
  entry.state = code(ChunkState::kLarge);
  entry.head = head;
  if (length > 1) runs.write_entry(head + length - 1, entry);
  entry.length = length;
  runs.write_entry(head, entry);
  runs.count(&txn.control().allocator.used_bytes, static_cast<std::int64_t>(chunks * kChunkBytes));
  return static_cast<Ref>(head * kGranulesPerChunk);
}

void check_large(Ref block, std::uint32_t head) {
  if (std::uint64_t{block} != std::uint64_t{head} * kGranulesPerChunk) {
    throw std::logic_error("free of an address inside a large block");
  }
}

void free_large(Transaction& txn, Ref block, std::uint32_t head) {
  check_large(block, head);
  Runs runs(txn);
  const std::uint32_t length = entry_of(txn.part(), head)->length;
  runs.count(&txn.control().allocator.used_bytes, -static_cast<std::int64_t>(std::uint64_t{length} * kChunkBytes));
  runs.give(head, length);
}

// The head of the run that `block` lies in.
[[nodiscard]] std::uint32_t run_of(const Part& part, Ref block) noexcept {
  return entry_of(part, static_cast<std::uint32_t>(block / kGranulesPerChunk))->head;
}

}  // namespace

Ref allocate_block(Transaction& txn, std::size_t bytes) {
  return bytes <= kMaxSmallBytes ? SmallBlocks(txn).allocate(size_class_of(bytes)) : allocate_large(txn, bytes);
}

OpenBlocks open_blocks(Transaction& txn, std::size_t size_class) { return SmallBlocks(txn).open(size_class); }
void close_blocks(Transaction& txn, const OpenBlocks& blocks) { SmallBlocks(txn).close(blocks); }

void free_block(Transaction& txn, Ref block) {
  const std::uint32_t head = run_of(txn.part(), block);
  switch (static_cast<ChunkState>(entry_of(txn.part(), head)->state)) {
    case ChunkState::kSmall:
      return SmallBlocks(txn).free(block, head);
    case ChunkState::kLarge:
      return free_large(txn, block, head);
    default:
      throw std::logic_error("free of memory that is not in use");
  }
}

std::size_t journal_for_free(const Part& part, Ref block, std::size_t before) {
  constexpr std::size_t kGiveRun = 15;  // count; unlinked neighbours: 4; head and tail: 8; list: 2
  constexpr std::size_t kSmall = 7;     // bitmap, use, bytes; back into its list: 4
  constexpr std::size_t kUnlinkRun = 2;
  const std::uint32_t head = run_of(part, block);
  switch (static_cast<ChunkState>(entry_of(part, head)->state)) {
    case ChunkState::kSmall:
      return kSmall + (find_small_block(part, block, head).run->used <= before + 1 ? kUnlinkRun + kGiveRun : 0);
    case ChunkState::kLarge:
      check_large(block, head);
      return 1 + kGiveRun;
    default:
      throw std::logic_error("free of memory that is not in use");
  }
}

std::size_t allocated_bytes(const Part& part, Ref block) noexcept {
  const ChunkEntry& entry = *entry_of(part, run_of(part, block));
  return static_cast<ChunkState>(entry.state) == ChunkState::kSmall ? kSizeClassTable[entry.size_class].block_bytes
                                                                    : std::size_t{entry.length} * kChunkBytes;
}

void trim_free_runs(Transaction& txn) noexcept {
  const AllocatorState& state = txn.control().allocator;
  const auto too_much = [&] {
    return state.free_chunks > kSlackChunks + (state.committed_chunks - state.free_chunks) / 4;
  };
  for (int i = 0; i < kTrimsPerTransaction && too_much(); ++i) {
    if (!Runs(txn).punch_one()) return;
  }
}

}  // namespace kv
