#include "store/memory_use.hpp"

#include "collections/cache_state.hpp"
#include "collections/categories.hpp"
#include "collections/list_state.hpp"
#include "collections/roots.hpp"
#include "collections/slabs.hpp"
#include "index/lookaside.hpp"
#include "index/verify.hpp"
#include "memory/allocator.hpp"

namespace kv {
namespace {

// Under the lock. The same blocks as verify() claims for a collection.
[[nodiscard]] std::uint64_t bytes_of(const Part& part, Ref block, const CollectionRoot& root) {
  std::uint64_t bytes = 0;
  std::vector<std::string> ignored;  // finding faults is for verify()
  const auto add = [&](Ref ref) { bytes += allocated_bytes(part, ref); };
  const auto add_index = [&](Ref index) { verify_index(part, index, add, add, ignored, IndexShape::kAny); };
  add(block);
  add_index(root.index);
  add_index(root.due_index);
  for_each_lookaside_block(part, root.lookaside, add);
  for (const Ref slab : slabs::all(part, root)) add(slab);
  list_state::for_each_block(part, root, [&](Ref ref, const char*) { add(ref); });
  if (root.cache != kNullRef) {
    add(cache_state::of(part, root).side);
    cache_state::for_each_block(part, root, add);
    cache_state::for_each_entry(part, root, [&](Ref entry, QueueKind) { add(entry); });
  }
  if (root.categories == kNullRef) return bytes;
  add(root.categories);
  for (const categories::Dictionary& dictionary : categories::dictionaries(part, root)) {
    add_index(dictionary.index);
    if (dictionary.entries != kNullRef) add(dictionary.entries);
  }
  return bytes;
}

}  // namespace

std::uint64_t memory_of(const Part& part, Binding binding) {
  const Part::Lock lock(part);
  const CollectionRoot* const root = find_root(part, binding);
  return root != nullptr ? bytes_of(part, root_in_slot(part, binding.slot), *root) : 0;
}

}  // namespace kv
