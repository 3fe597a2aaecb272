#include "collections/keyed.hpp"

#include "collections/due_index.hpp"
#include "index/key_index.hpp"
#include "index/lookaside.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/ordered.hpp"

namespace kv::keyed {
namespace {

// Of a Map or Set: the first key decides on the type of all.
void check_ordered_key(Transaction& txn, CollectionRoot& root, ByteView key) {
  if (key.size() > kMaxCountedKeyBytes) {
    throw Error(ErrorCode::kInvalidArgument, "a key of a Map or Set is at most " +
                                                 std::to_string(kMaxCountedKeyBytes - 1) + " bytes long, not " +
                                                 std::to_string(key.size() - 1));
  }
  const auto type = static_cast<std::uint32_t>(key_type_of(key));
  if (root.key_type == type) return;
  if (root.key_type != 0) throw_mixed_keys(static_cast<KeyType>(root.key_type), static_cast<KeyType>(type));
  txn.store32(&root.key_type, type);
}

}  // namespace

Ref find(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key) noexcept {
  const Ref entry = Lookaside(part, load32(&root.lookaside)).find(hash, key);
  return entry != kNullRef ? entry : kv::find(part, load32(&root.index), key);
}

Ref find_live(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key, CallTime& time) noexcept {
  const Ref entry = find(part, root, hash, key);
  return entry != kNullRef && entry_expired(part, entry, time) ? kNullRef : entry;
}

void prefetch(const Part& part, const CollectionRoot& root, std::uint64_t hash) noexcept {
  Lookaside(part, load32(&root.lookaside)).prefetch(hash);
}

void prefetch(const Part& part, const CollectionRoot& root, std::span<const std::uint64_t> hashes,
              std::span<const ByteView> keys) noexcept {
  for (const std::uint64_t hash : hashes) prefetch(part, root, hash);
  prefetch_paths(part, load32(&root.index), keys);
}

Ref link(Transaction& txn, CollectionRoot& root, std::uint64_t hash, Ref entry) {
  const bool counted = root.counted();
  if (counted) [[unlikely]]
    check_ordered_key(txn, root, key_of(txn.part(), entry));
  const Ref replaced = insert(txn, &root.index, entry, Counting{counted});
  if (replaced != kNullRef) {
    Lookaside(txn.part(), root.lookaside).remove(hash, replaced);
    due_index::remove(txn, root, replaced);
  } else {
    txn.store64(&root.entries, root.entries + 1);
  }
  due_index::add(txn, root, entry);
  return replaced;
}

Ref unlink(Transaction& txn, CollectionRoot& root, std::uint64_t hash, ByteView key) {
  const Ref entry = erase(txn, &root.index, key);
  if (entry == kNullRef) return kNullRef;
  Lookaside(txn.part(), root.lookaside).remove(hash, entry);
  due_index::remove(txn, root, entry);
  txn.store64(&root.entries, root.entries - 1);
  return entry;
}

void remember(Transaction& txn, CollectionRoot& root, std::uint64_t hash, Ref entry) noexcept {
  const Lookaside table(txn.part(), root.lookaside);
  table.insert(hash, entry);
  if (!lookaside_wants_resize(table.buckets(), root.entries)) return;
  try {
    resize_lookaside(txn, &root.lookaside, root.entries);
  } catch (const Error&) {
    txn.rollback();  // the store is full: the table stays as it is, and may miss
  }
}

}  // namespace kv::keyed
