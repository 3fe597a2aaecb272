// Checks the allocator from its raw state, without the code that maintains it.
#include <bit>
#include <map>
#include <set>

#include "memory/allocator.hpp"

namespace kv {
namespace {

class Verifier {
 public:
  Verifier(const Part& part, const std::function<void(Ref, std::size_t)>& block, std::vector<std::string>& violations)
      : part_(part), state_(part.control().allocator), block_(block), violations_(violations) {}

  void run() {
    walk_chunks();
    for (std::size_t bin = 0; bin < kRunBins; ++bin) {
      walk_list(state_.free_runs[bin], free_heads_, "free list");
      walk_list(state_.punched_runs[bin], punched_heads_, "punched list");
    }
    for (std::size_t c = 0; c < kSizeClasses; ++c) walk_list(state_.small_runs[c], partial_heads_[c], "small-run list");
    if (!free_heads_.empty() || !punched_heads_.empty()) complain("a free run is in no list", 0);
    for (const auto& [size_class, heads] : partial_heads_) {
      if (!heads.empty()) complain("a run with free blocks is in no list", *heads.begin());
    }
    compare("used bytes", used_, state_.used_bytes);
    compare("committed chunks", committed_, state_.committed_chunks);
    compare("free chunks", free_, state_.free_chunks);
  }

 private:
  [[nodiscard]] const ChunkEntry& entry(std::uint32_t chunk) const {
    return reinterpret_cast<const ChunkEntry*>(part_.slice())[chunk];
  }

  void complain(const std::string& what, std::uint32_t chunk) {
    violations_.push_back("part " + std::to_string(part_.index()) + " chunk " + std::to_string(chunk) + ": " + what);
  }

  void compare(const char* what, std::uint64_t counted, std::uint64_t kept) {
    if (counted != kept) {
      violations_.push_back("part " + std::to_string(part_.index()) + ": " + what + " " + std::to_string(kept) +
                            " but counted " + std::to_string(counted));
    }
  }

  void walk_chunks() {
    const auto first = static_cast<std::uint32_t>(
        (std::uint64_t{state_.chunk_count} * sizeof(ChunkEntry) + kChunkBytes - 1) / kChunkBytes);
    ChunkState before = ChunkState::kNever;
    for (std::uint32_t head = first; head < state_.frontier;) {
      const ChunkEntry& run = entry(head);
      if (run.head != head || run.length == 0 || run.length > state_.frontier - head)
        return complain("broken run", head);
      const auto state = static_cast<ChunkState>(run.state);
      if (state == before && (state == ChunkState::kFree || state == ChunkState::kPunched)) {
        complain("neighbouring free runs were not merged", head);
      }
      visit(head, run, state);
      before = state;
      head += run.length;
    }
  }

  void visit(std::uint32_t head, const ChunkEntry& run, ChunkState state) {
    if (state != ChunkState::kPunched) committed_ += run.length;
    switch (state) {
      case ChunkState::kFree:
        free_ += run.length;
        free_heads_.insert(head);
        break;
      case ChunkState::kPunched:
        punched_heads_.insert(head);
        break;
      case ChunkState::kSmall:
        return visit_small(head, run);
      case ChunkState::kLarge:
        used_ += std::uint64_t{run.length} * kChunkBytes;
        block_(static_cast<Ref>(std::uint64_t{head} * kChunkBytes / kGranule), std::size_t{run.length} * kChunkBytes);
        break;
      default:
        complain("a chunk before the frontier was never handed out", head);
    }
    if (entry(head + run.length - 1).head != head) complain("last chunk of the run does not know its head", head);
  }

  void visit_small(std::uint32_t head, const ChunkEntry& run) {
    const SizeClass& shape = kSizeClassTable[run.size_class];
    const auto* bitmap = reinterpret_cast<const std::uint64_t*>(part_.slice() + std::uint64_t{head} * kChunkBytes);
    std::uint32_t used = 0;
    for (std::uint32_t i = 0; i < shape.blocks; ++i) {
      if ((bitmap[i / 64] >> i % 64 & 1) == 0) {
        if (i / 64 < run.hint) complain("a free block lies before the hint", head);
        continue;
      }
      ++used;
      const std::uint64_t offset = std::uint64_t{head} * kChunkBytes + shape.first_offset + i * shape.block_bytes;
      block_(static_cast<Ref>(offset / kGranule), shape.block_bytes);
    }
    used_ += std::uint64_t{used} * shape.block_bytes;
    if (used != run.used) complain("bitmap and count of blocks in use differ", head);
    if (used < shape.blocks) partial_heads_[run.size_class].insert(head);
    for (std::uint32_t i = 0; i < run.length; ++i) {
      if (entry(head + i).head != head) complain("a chunk of the run does not know its head", head + i);
    }
  }

  void walk_list(std::uint32_t head, std::set<std::uint32_t>& expected, const char* list) {
    std::uint32_t prev = kNoChunk;
    for (; head != kNoChunk; prev = head, head = entry(head).next) {
      if (expected.erase(head) == 0)
        return complain(std::string(list) + " holds a run that does not belong there", head);
      if (entry(head).prev != prev) complain(std::string(list) + " is not linked back", head);
    }
  }

  const Part& part_;
  const AllocatorState& state_;
  const std::function<void(Ref, std::size_t)>& block_;
  std::vector<std::string>& violations_;
  std::uint64_t used_ = 0, committed_ = 0, free_ = 0;
  std::set<std::uint32_t> free_heads_, punched_heads_;
  std::map<std::size_t, std::set<std::uint32_t>> partial_heads_;
};

}  // namespace

void verify_allocator(const Part& part, const std::function<void(Ref, std::size_t)>& block,
                      std::vector<std::string>& violations) {
  Verifier(part, block, violations).run();
}

}  // namespace kv
