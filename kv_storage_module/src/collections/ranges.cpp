#include "collections/ranges.hpp"

#include "collections/log_records.hpp"

namespace kv::ranges {

void clear(const HashImpl& collection) {
  WriteBatch batch(collection.arena()->log());
  for (std::uint32_t i = 0; i < collection.part_count(); ++i) {
    Part& part = collection.part(i);
    collection.write(part, [&](Transaction& txn, const CollectionRoot& root, Binding binding) {
      discard_root(txn, binding, true);
      logged::clear(txn, root);
      txn.commit();
      return true;
    });
    empty_trash(part);
  }
  batch.settle_all();
}

}  // namespace kv::ranges
