#include "collections/keyed.hpp"

#include "collections/due_index.hpp"
#include "index/key_index.hpp"
#include "index/lookaside.hpp"
#include "kv_storage/error.hpp"

namespace kv::keyed {

Ref find(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key) noexcept {
  const Ref entry = Lookaside(part, load32(&root.lookaside)).find(hash, key);
  return entry != kNullRef ? entry : kv::find(part, load32(&root.index), key);
}

Ref find_live(const Part& part, const CollectionRoot& root, std::uint64_t hash, ByteView key, CallTime& time) noexcept {
  const Ref entry = find(part, root, hash, key);
  return entry != kNullRef && entry_expired(part, entry, time) ? kNullRef : entry;
}

Ref link(Transaction& txn, CollectionRoot& root, std::uint64_t hash, Ref entry) {
  const Ref replaced = insert(txn, &root.index, entry);
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
