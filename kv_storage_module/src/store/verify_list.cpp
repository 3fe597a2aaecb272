#include "store/verify_list.hpp"

#include <bit>
#include <unordered_map>
#include <vector>

#include "collections/entries.hpp"
#include "collections/list_dictionary.hpp"
#include "collections/list_state.hpp"
#include "index/entry.hpp"

namespace kv {
namespace {

class ListVerifier {
 public:
  ListVerifier(const Part& part, Ref block, const CollectionRoot& root, std::uint64_t hash_seed,
               const std::function<void(const std::string&, Ref)>& complain)
      : part_(part),
        block_(block),
        root_(root),
        state_(*list_state::of(part, root)),
        hash_seed_(hash_seed),
        complain_(complain) {}

  void run() {
    std::uint64_t length = state_.tail_length;
    if (state_.directory != kNullRef) length += verify_node(state_.directory, state_.height, true);
    if ((state_.directory == kNullRef) != (state_.height == 0)) complain("a directory and its height differ");
    if (state_.tail != kNullRef) verify_chunk(state_.tail, state_.tail_length);
    if (state_.tail == kNullRef && state_.tail_length != 0) complain("a list's last chunk is missing");
    if (length != root_.entries) {
      complain("a list counts " + std::to_string(root_.entries) + " positions but has " + std::to_string(length));
    }
    verify_codes();
    verify_buckets();
    for (const auto& [code, count] : seen_) complain("a list holds the unknown code " + std::to_string(code));
  }

 private:
  void complain(const std::string& what) const { complain_(what, block_); }

  std::uint64_t verify_node(Ref ref, std::uint32_t level, bool top) {
    const auto& node = *reinterpret_cast<const DirectoryNode*>(part_.at(ref, sizeof(DirectoryNode)));
    if (node.size == 0 || node.size > kDirectoryFanout || (top && level > 1 && node.size < 2)) {
      complain_("a node of a directory has a wrong size", ref);
      return 0;
    }
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < node.size; ++i) {
      const std::uint64_t count = level > 1 ? verify_node(node.children[i], level - 1, false) : node.counts[i];
      if (level <= 1) verify_chunk(node.children[i], count);
      if (count != node.counts[i] || count == 0) complain_("a node of a directory counts wrong", ref);
      sum += node.counts[i];
    }
    return sum;
  }

  void verify_chunk(Ref chunk, std::uint64_t length) {
    const ChunkHeader header = ChunkHeader::load(part_.at(chunk, kChunkHeaderBytes));
    const bool sound = (header.width == 1 || header.width == 2 || header.width == 4) &&
                       header.capacity <= kChunkCodes && length <= header.capacity;
    if (!sound) return complain_("a chunk of a list is longer than it can be, or of no width", chunk);
    std::uint32_t codes[kChunkCodes];
    list_state::copy_codes(part_, chunk, 0, static_cast<std::uint32_t>(length), codes);
    for (std::uint64_t i = 0; i < length; ++i) ++seen_[codes[i]];
  }

  void verify_codes() {
    std::uint64_t distinct = 0, opaque = 0;
    for (std::uint32_t page = 0; page < state_.codes.page_count; ++page) {
      const auto& at = page_at(state_.codes, page);
      std::uint32_t used = 0;
      for (std::uint32_t i = 0; at.slots != kNullRef && i < slots_of(state_.codes, page); ++i) {
        const Ref entry = load32(part_.at(at.slots, (i + 1) * sizeof(Ref)) + i * sizeof(Ref));
        if (entry == kNullRef) {
          if (i < at.hint) complain_("a free code lies before the hint of its page", at.slots);
          continue;
        }
        ++used;
        opaque += verify_value(entry, page * kPageSlots + i) ? 1 : 0;
      }
      if (at.slots != kNullRef && used != at.used) complain_("a page of codes counts wrong", at.slots);
      const bool open = at.slots == kNullRef || used < slots_of(state_.codes, page);
      if (open && page < state_.code_page_hint) complain("a page with a free code lies before the hint");
      distinct += used;
    }
    if (distinct != state_.distinct) complain("a list counts its distinct values wrong");
    if (opaque != state_.opaque) complain("a list counts its opaque values wrong");
  }

  // True if it is opaque.
  bool verify_value(Ref entry, std::uint32_t code) {
    const EntryHeader header = EntryHeader::load(part_.at(entry, kEntryHeaderBytes));
    const ValueRecord& record = list_state::record_of(part_, entry);
    const std::uint64_t count = seen_[code];
    seen_.erase(code);
    if (record.code != code) complain_("a value of a list has another code", entry);
    if (record.count() != count || count == 0) {
      complain_("a value counts " + std::to_string(record.count()) + " positions, of which " + std::to_string(count) +
                    " are there",
                entry);
    }
    const ByteView bytes(reinterpret_cast<const char*>(entry_value(part_, entry)), header.value_bytes);
    if (list_dictionary::hash_of({header.type, bytes}, hash_seed_) != record.hash) {
      complain_("a value of a list has another hash", entry);
    }
    return list_dictionary::is_opaque(header.type);
  }

  // Every value is in the chain of its bucket, once.
  void verify_buckets() {
    std::uint64_t chained = 0;
    for (std::uint32_t bucket = 0; bucket < state_.bucket_count; ++bucket) {
      Ref entry = load32(list_state::slot_at(part_, state_.buckets, bucket));
      for (; entry != kNullRef && chained <= state_.distinct; ++chained) {
        const ValueRecord& record = list_state::record_of(part_, entry);
        const std::uint32_t mask = std::bit_ceil(state_.bucket_count) - 1;
        const std::uint32_t home =
            (record.hash & mask) < state_.bucket_count ? record.hash & mask : record.hash & mask >> 1;
        if (home != bucket) complain_("a value of a list is in another bucket", entry);
        entry = record.next;
      }
    }
    if (chained != state_.distinct) complain("a list's buckets do not hold all its values");
  }

  [[nodiscard]] const SlotPage& page_at(const SlotTable& table, std::uint32_t page) const noexcept {
    return *reinterpret_cast<const SlotPage*>(
        part_.at(Part::offset_ref(table.pages, page * sizeof(SlotPage)), sizeof(SlotPage)));
  }
  [[nodiscard]] static std::uint32_t slots_of(const SlotTable& table, std::uint32_t page) noexcept {
    return page == 0 ? table.first_slots : kPageSlots;
  }

  const Part& part_;
  Ref block_;
  const CollectionRoot& root_;
  const ListState& state_;
  std::uint64_t hash_seed_;
  const std::function<void(const std::string&, Ref)>& complain_;
  std::unordered_map<std::uint32_t, std::uint64_t> seen_;  // positions by code
};

}  // namespace

void verify_list(const Part& part, Ref block, const CollectionRoot& root, std::uint64_t hash_seed,
                 const std::function<void(Ref, const char*)>& claim,
                 const std::function<void(const std::string&, Ref)>& complain) {
  if (root.list_walk > root.entries) complain("a checkpoint has gone past the end of a list", block);
  if (root.list == kNullRef) {
    if (root.entries != 0) complain("a list without a state counts positions", block);
    return;
  }
  list_state::for_each_block(part, root, claim);
  ListVerifier(part, block, root, hash_seed, complain).run();
}

}  // namespace kv
