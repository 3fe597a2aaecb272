// Set operations between two ordered collections, page by page of the one that is walked.
#include <vector>

#include "collections/collection.hpp"
#include "kv_storage/ordered.hpp"

namespace kv {
namespace {

// Calls visit(key) for every key.
template <class Visit>
void for_each_key(const Ordered& collection, Visit&& visit) {
  Scan scan = collection.scan({}, false);
  for (ScanPage page; scan.next(page);) {
    for (const ScanPage::Item& item : page.items) visit(page.key(item));
  }
}

// The keys of a scan, one at a time.
class KeyStream {
 public:
  explicit KeyStream(const Ordered& collection) : scan_(collection.scan({}, false)) { refill(); }
  [[nodiscard]] bool done() const noexcept { return page_.items.empty(); }
  [[nodiscard]] ByteView key() const noexcept { return page_.key(page_.items[at_]); }
  void next() {
    if (++at_ == page_.items.size()) refill();
  }

 private:
  void refill() {
    at_ = 0;
    if (!scan_.next(page_)) page_.items.clear();
  }

  Scan scan_;
  ScanPage page_;
  std::size_t at_ = 0;
};

// With that many times more keys on one side, looking the fewer up is cheaper than walking both.
constexpr std::uint64_t kLookupFactor = 8;

}  // namespace

bool Ordered::is_same(const Ordered& other) const {
  return impl_->arena() == other.impl_->arena() && name() == other.name();
}

void Ordered::unite(const Ordered& other) {
  if (is_same(other)) return;
  Scan scan = other.scan({}, false);
  std::vector<ByteView> keys;
  for (ScanPage page; scan.next(page);) {
    keys.clear();
    for (const ScanPage::Item& item : page.items) keys.push_back(page.key(item));
    put_many(keys, std::vector<Value>(keys.size()));
  }
}

void Ordered::intersect(const Ordered& other) {
  if (is_same(other)) return;
  for_each_key(*this, [&](ByteView key) {
    if (!other.contains(key)) erase(key);
  });
}

void Ordered::subtract(const Ordered& other) {
  if (is_same(other)) return clear();
  for_each_key(other, [&](ByteView key) { erase(key); });
}

void Ordered::symmetric_difference(const Ordered& other) {
  if (is_same(other)) return clear();
  for_each_key(other, [&](ByteView key) {
    if (!erase(key)) put(key, {});
  });
}

std::uint64_t Ordered::intersection_count(const Ordered& other) const {
  const std::uint64_t mine = size(), others = other.size();
  if (mine > others) return other.intersection_count(*this);
  std::uint64_t common = 0;
  if (others / kLookupFactor > mine) {
    for_each_key(*this, [&](ByteView key) { common += other.contains(key) ? 1 : 0; });
    return common;
  }
  KeyStream left(*this), right(other);
  while (!left.done() && !right.done()) {
    const int order = left.key().compare(right.key());
    if (order == 0) ++common;
    if (order <= 0) left.next();
    if (order >= 0) right.next();
  }
  return common;
}

}  // namespace kv
