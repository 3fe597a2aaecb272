#include "collections/ranges.hpp"

namespace kv::ranges {

void clear(const HashImpl& collection) {
  for (std::uint32_t i = 0; i < collection.part_count(); ++i) {
    Part& part = collection.part(i);
    collection.write(part, [&](Transaction& txn, const CollectionRoot&, Binding binding) {
      discard_root(txn, binding, true);
      txn.commit();
      return true;
    });
    empty_trash(part);
  }
}

}  // namespace kv::ranges
