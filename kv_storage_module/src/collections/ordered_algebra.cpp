// Set operations between two ordered collections, page by page of those that are walked.
#include <optional>
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

// With that many times more keys on the other side, looking the own ones up there is cheaper than walking both.
constexpr std::uint64_t kLookupFactor = 8;

[[nodiscard]] bool is_much_smaller(const Ordered& collection, const Ordered& other) {
  return other.size() / kLookupFactor > collection.size();
}

// Whether it is there, and for good.
[[nodiscard]] bool stays(const Ordered& collection, ByteView key) {
  const std::optional<TimeToLive> left = collection.time_to_live(key);
  return left && !left->expires;
}

}  // namespace

bool Ordered::is_same(const Ordered& other) const {
  return impl_->arena() == other.impl_->arena() && name() == other.name();
}

bool Ordered::add(ByteView key, std::uint64_t ttl_ms) {
  if (ttl_ms == kNoTtl && stays(*this, key)) return false;
  return put(key, {}, ttl_ms);
}

void Ordered::add_many(std::span<const ByteView> keys, std::uint64_t ttl_ms) {
  std::vector<ByteView> lacking;
  for (const ByteView key : keys) {
    if (ttl_ms != kNoTtl || !stays(*this, key)) lacking.push_back(key);
  }
  put_many(lacking, std::vector<Value>(lacking.size()), ttl_ms);
}

void Ordered::unite(const Ordered& other) {
  if (is_same(other)) return;
  WriteBatch batch(impl_->arena()->log());
  Scan scan = other.scan({}, false);
  std::vector<ByteView> keys;
  for (ScanPage page; scan.next(page);) {
    keys.clear();
    for (const ScanPage::Item& item : page.items) keys.push_back(page.key(item));
    add_many(keys);
  }
  batch.settle_all();
}

void Ordered::intersect(const Ordered& other) {
  if (is_same(other)) return;
  WriteBatch batch(impl_->arena()->log());
  for_each_only_here(other, [&](ByteView key) { erase(key); });
  batch.settle_all();
}

void Ordered::subtract(const Ordered& other) {
  if (is_same(other)) return clear();
  WriteBatch batch(impl_->arena()->log());
  for_each_common(other, [&](ByteView key) { erase(key); });
  batch.settle_all();
}

void Ordered::symmetric_difference(const Ordered& other) {
  if (is_same(other)) return clear();
  WriteBatch batch(impl_->arena()->log());
  for_each_key(other, [&](ByteView key) {
    if (!erase(key)) put(key, {});
  });
  batch.settle_all();
}

void Ordered::for_each_common(const Ordered& other, const Visit& visit) const {
  const auto look_up = [&](const Ordered& fewer, const Ordered& more) {
    for_each_key(fewer, [&](ByteView key) {
      if (more.contains(key)) visit(key);
    });
  };
  if (is_much_smaller(*this, other)) return look_up(*this, other);
  if (is_much_smaller(other, *this)) return look_up(other, *this);
  KeyStream left(*this), right(other);
  while (!left.done() && !right.done()) {
    const int order = left.key().compare(right.key());
    if (order == 0) visit(left.key());
    if (order <= 0) left.next();
    if (order >= 0) right.next();
  }
}

void Ordered::for_each_only_here(const Ordered& other, const Visit& visit) const {
  if (is_much_smaller(*this, other)) {
    return for_each_key(*this, [&](ByteView key) {
      if (!other.contains(key)) visit(key);
    });
  }
  KeyStream left(*this), right(other);
  while (!left.done()) {
    const int order = right.done() ? -1 : left.key().compare(right.key());
    if (order < 0) visit(left.key());
    if (order <= 0) left.next();
    if (order >= 0) right.next();
  }
}

std::uint64_t Ordered::intersection_count(const Ordered& other) const {
  std::uint64_t common = 0;
  for_each_common(other, [&](ByteView) { ++common; });
  return common;
}

}  // namespace kv
