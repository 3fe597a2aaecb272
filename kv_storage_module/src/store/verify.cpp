#include "store/verify.hpp"

#include <bit>
#include <map>
#include <set>
#include <unordered_set>

#include "collections/cache_state.hpp"
#include "collections/catalog.hpp"
#include "collections/categories.hpp"
#include "collections/due_index.hpp"
#include "collections/list_state.hpp"
#include "collections/records.hpp"
#include "collections/roots.hpp"
#include "collections/slabs.hpp"
#include "index/key_hash.hpp"
#include "index/lookaside.hpp"
#include "index/ranks.hpp"
#include "index/verify.hpp"
#include "memory/allocator.hpp"
#include "memory/pins.hpp"
#include "store/verify_list.hpp"

namespace kv {
namespace {

// Collections that somebody is loading or dropping, or was when he died: records lie in their slabs before keys lead
// there. Looked at before the parts, so what came into being since counts as well.
class UnfinishedCollections {
 public:
  explicit UnfinishedCollections(Arena& arena) : next_serial_(load32(&arena.header().next_serial)) {
    for (const auto& [name, record] : Catalog(arena).all()) {
      if (record.state != CollectionState::kReady) serials_.insert(record.binding.serial);
    }
  }
  [[nodiscard]] bool contains(std::uint32_t serial) const {
    return serials_.contains(serial) || serial >= next_serial_;
  }

 private:
  std::uint32_t next_serial_;
  std::set<std::uint32_t> serials_;
};

// One part, under its lock. Every block that the allocator has handed out must be claimed by exactly one structure.
class PartVerifier {
 public:
  PartVerifier(Arena& arena, const Part& part, const UnfinishedCollections& unfinished,
               std::vector<std::string>& violations)
      : arena_(arena), part_(part), unfinished_(unfinished), violations_(violations) {}

  void run() {
    verify_allocator(
        part_, [&](Ref ref, std::size_t bytes) { unclaimed_.emplace(ref, bytes); }, violations_);
    const PartControl& control = part_.control();
    if (control.directory != kNullRef) claim(control.directory, "the directory");
    for_each_root(part_, [&](Ref block, const CollectionRoot& root) { verify_root(block, root); });
    for (Ref block = control.trash; block != kNullRef;) {
      const CollectionRoot& root = *reinterpret_cast<const CollectionRoot*>(part_.at(block, sizeof(CollectionRoot)));
      verify_trash(block, root);
      block = root.next_trash;
    }
    if (part_.index() == 0) verify_index_only(control.catalog, "the catalog");
    cache_state::for_each_side(part_, [&](Ref ref) { claim(ref, "a table of hit counters"); });
    verify_pins();
    for (const auto& [ref, bytes] : unclaimed_) complain("a block of " + std::to_string(bytes) + " bytes is lost", ref);
  }

 private:
  void complain(const std::string& what, Ref ref) {
    violations_.push_back("part " + std::to_string(part_.index()) + " block " + std::to_string(ref) + ": " + what);
  }

  void claim(Ref ref, const char* what) {
    if (unclaimed_.erase(ref) == 0) complain(std::string(what) + " is not a block in use, or is used twice", ref);
  }

  void verify_root(Ref block, const CollectionRoot& root) {
    claim(block, "a collection's root");
    std::unordered_set<Ref> entries;
    if (root.kind == static_cast<std::uint32_t>(CollectionKind::kList)) {
      return verify_list(
          part_, block, root, arena_.header().hash_seed, [&](Ref ref, const char* what) { claim(ref, what); },
          [&](const std::string& what, Ref ref) { complain(what, ref); });
    }
    if (root.cache != kNullRef) verify_cache(root, entries);
    std::uint64_t records = 0;
    verify_index(
        part_, root.index, [&](Ref node) { claim(node, "a node of an index"); },
        [&](Ref entry) {
          claim(entry, "an entry");
          entries.insert(entry);
          verify_home(entry, root);
          if (root.record_bytes != 0) records += verify_record(entry, root) ? 1 : 0;
        },
        violations_);
    if (entries.size() != root.entries) {
      complain("counts " + std::to_string(root.entries) + " entries but has " + std::to_string(entries.size()), block);
    }
    verify_lookaside(root, entries);
    verify_due_index(block, root, entries);
    verify_counting(block, root);
    verify_slabs(root, records);
    verify_categories(root);
  }

  // The queues say what is in a cache, and what that takes.
  void verify_cache(const CollectionRoot& root, std::unordered_set<Ref>& entries) {
    cache_state::for_each_block(part_, root, [&](Ref ref) { claim(ref, "what belongs to a cache"); });
    std::uint64_t bytes[2] = {};
    cache_state::for_each_entry(part_, root, [&](Ref entry, QueueKind kind) {
      claim(entry, "a cached entry");
      entries.insert(entry);
      verify_home(entry, root);
      bytes[static_cast<std::uint32_t>(kind)] += allocated_bytes(part_, entry);
    });
    const CacheState& state = cache_state::of(part_, root);
    for (const QueueKind kind : kQueueKinds) {
      const auto i = static_cast<std::uint32_t>(kind);
      if (state.queues[i].bytes != bytes[i]) complain("a queue of a cache counts its bytes wrong", root.cache);
    }
  }

  // What waits to be freed may have lost its counts, but no block.
  void verify_trash(Ref block, const CollectionRoot& root) {
    claim(block, "a detached root");
    verify_index_only(root.index, "a detached index", IndexShape::kDismantled);
    verify_index_only(root.due_index, "a detached due index", IndexShape::kDismantled);
    cache_state::for_each_block(part_, root, [&](Ref ref) { claim(ref, "what belonged to a cache"); });
    cache_state::for_each_entry(part_, root, [&](Ref entry, QueueKind) { claim(entry, "a detached cached entry"); });
    for_each_lookaside_block(part_, root.lookaside, [&](Ref ref) { claim(ref, "a look-aside table"); });
    list_state::for_each_block(part_, root, [&](Ref ref, const char* what) { claim(ref, what); });
    for (const Ref slab : slabs::all(part_, root)) claim(slab, "a slab");
    verify_categories(root);
  }

  void verify_index_only(Ref index, const char* what, IndexShape shape = IndexShape::kAny) {
    const auto claim_it = [&](Ref ref) { claim(ref, what); };
    verify_index(part_, index, claim_it, claim_it, violations_, shape);
  }

  [[nodiscard]] std::uint64_t hash_of(Ref entry) const {
    return hash_key(entry_key(part_, entry), arena_.header().hash_seed);
  }

  void verify_home(Ref entry, const CollectionRoot& root) {
    if (root.record_bytes == 0 && !root.counted() &&
        part_of_hash(hash_of(entry), arena_.part_count()) != part_.index()) {
      complain("a key lies in the wrong part", entry);
    }
  }

  void verify_counting(Ref block, const CollectionRoot& root) {
    const NodeView top = root.index == kNullRef ? NodeView() : NodeView(part_, root.index);
    if (top && top.counted() != root.counted()) complain("an index is counted or not against its collection", block);
    if (!root.counted()) return;
    for (std::uint64_t place : {std::uint64_t{0}, root.entries - 1}) {
      if (root.entries == 0) break;
      const Ref entry = select(part_, root.index, place);
      if (entry == kNullRef || static_cast<std::uint32_t>(key_type_of(entry_key(part_, entry))) != root.key_type) {
        complain("a key is of another type than its collection", block);
      }
    }
  }

  void verify_lookaside(const CollectionRoot& root, const std::unordered_set<Ref>& entries) {
    for_each_lookaside_block(part_, root.lookaside, [&](Ref ref) { claim(ref, "a look-aside table"); });
    Lookaside(part_, root.lookaside).for_each([&](std::uint32_t tag, Ref entry) {
      if (!entries.contains(entry)) {
        complain("the look-aside leads to what is no entry of this collection", entry);
      } else if (tag != tag_of_hash(hash_of(entry))) {
        complain("the look-aside has a wrong tag", entry);
      }
    });
  }

  // A record for every entry with a due time, and none else; no bound later than what it bounds.
  void verify_due_index(Ref block, const CollectionRoot& root, const std::unordered_set<Ref>& entries) {
    std::unordered_set<Ref> recorded;
    verify_index(
        part_, root.due_index, [&](Ref node) { claim(node, "a node of a due index"); },
        [&](Ref record) {
          claim(record, "a record of a due index");
          const auto [due_ms, entry] = due_index::decode(part_, record);
          if (!entries.contains(entry) || due_of_entry(part_, entry) != due_ms || !recorded.insert(entry).second) {
            complain("a record of a due index leads to what is no entry due then", record);
          }
          if (due_ms < root.next_due_ms) complain("an entry is due before the collection's next due time", entry);
        },
        violations_);
    for (const Ref entry : entries) {
      if (due_of_entry(part_, entry) != kNeverDue && !recorded.contains(entry)) {
        complain("an entry with a due time is not in the due index", entry);
      }
    }
    const ExpiryState& state = part_.control().expiry;
    if (root.next_due_ms < state.next_due_ms) complain("a collection is due before the part's next due time", block);
  }

  // True if the record is a used slot of its slab.
  bool verify_record(Ref entry, const CollectionRoot& root) {
    const RecordRef at = record_of_entry(part_, entry);
    const SlabHeader& slab = slabs::header(part_, at.slab);
    const std::uint64_t offset = (std::uint64_t{at.record} - at.slab) * kGranule - slab.records_offset;
    const std::uint64_t slot = offset / root.record_bytes;
    const bool sound = offset % root.record_bytes == 0 && slot < slab.slots &&
                       (slabs::used_bitmap(slab)[slot / 64] >> slot % 64 & 1) != 0 &&
                       records_seen_.insert(at.record).second;
    if (!sound) complain("an entry leads to what is no record of its own", entry);
    return sound;
  }

  void verify_slabs(const CollectionRoot& root, std::uint64_t records) {
    std::uint64_t used = 0;
    std::set<Ref> open;
    for (const Ref ref : slabs::all(part_, root)) {
      claim(ref, "a slab");
      const SlabHeader& slab = slabs::header(part_, ref);
      std::uint64_t bits = 0;
      for (std::size_t i = 0; i < slab.bitmap_words(); ++i) {
        bits += static_cast<std::uint64_t>(std::popcount(slabs::used_bitmap(slab)[i]));
      }
      if (bits != slab.used) complain("a slab's bitmap and count differ", ref);
      if (slab.taken != slab.used + slab.deferred)
        complain("a slab's taken slots are not those used and deferred", ref);
      if (slab.taken < slab.slots) open.insert(ref);
      used += bits;
    }
    if (used < records || (used > records && !unfinished_.contains(root.serial)))
      complain("slabs hold " + std::to_string(used) + " records, the index " + std::to_string(records), root.slabs);
    for (Ref ref = root.open_slabs; ref != kNullRef; ref = slabs::header(part_, ref).next_open) {
      if (open.erase(ref) == 0) return complain("the list of open slabs holds one that is not", ref);
    }
    if (!open.empty()) complain("a slab with free slots is in no list", *open.begin());
  }

  void verify_categories(const CollectionRoot& root) {
    if (root.categories == kNullRef) return;
    claim(root.categories, "the dictionaries");
    for (const categories::Dictionary& dictionary : categories::dictionaries(part_, root)) {
      verify_index_only(dictionary.index, "a dictionary");
      if (dictionary.entries != kNullRef) claim(dictionary.entries, "a dictionary's codes");
    }
  }

  void verify_pins() {
    const PinState& pins = part_.control().pins;
    if (pins.table != kNullRef) claim(pins.table, "the table of pins");
    std::uint64_t orphan_bytes = 0;
    std::set<Ref> orphans;
    const auto records = pins::records(part_);
    for (const pins::Record& record : records) {
      if (!record.orphan || !orphans.insert(record.block).second) continue;
      orphan_bytes += allocated_bytes(part_, record.block);
      claim(record.block, "a pinned block");
    }
    if (records.size() != pins.records) complain("the count of pins is wrong", pins.table);
    if (orphan_bytes != pins.pinned_bytes) complain("the count of pinned bytes is wrong", pins.table);
  }

  Arena& arena_;
  const Part& part_;
  const UnfinishedCollections& unfinished_;
  std::vector<std::string>& violations_;
  std::map<Ref, std::size_t> unclaimed_;
  std::unordered_set<Ref> records_seen_;
};

}  // namespace

std::vector<std::string> verify_arena(Arena& arena) {
  std::vector<std::string> violations;
  const UnfinishedCollections unfinished(arena);
  for (std::uint32_t i = 0; i < arena.part_count(); ++i) {
    const Part::Lock lock(arena.part(i));
    PartVerifier(arena, arena.part(i), unfinished, violations).run();
  }
  return violations;
}

}  // namespace kv
