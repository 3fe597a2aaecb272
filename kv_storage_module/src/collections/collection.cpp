#include "collections/collection.hpp"

#include "collections/eviction.hpp"
#include "kv_storage/error.hpp"

namespace kv {

HashImpl::HashImpl(std::shared_ptr<Store> store, std::shared_ptr<Arena> arena, std::string name,
                   const CatalogRecord& record)
    : store_(std::move(store)),
      arena_(std::move(arena)),
      name_(std::move(name)),
      kind_(record.kind),
      encoded_schema_(record.schema),
      bound_(Bound::pack(record)) {
  if (!encoded_schema_.empty()) schema_ = Schema::decode(encoded_schema_);
}

HashImpl::HashImpl(const HashImpl& other, Bound bound)
    : store_(other.store_),
      arena_(other.arena_),
      name_(other.name_),
      kind_(other.kind_),
      schema_(other.schema_),
      encoded_schema_(other.encoded_schema_),
      fixed_(true),
      bound_(bound.packed()) {}

std::shared_ptr<HashImpl> HashImpl::fixed() const {
  return std::shared_ptr<HashImpl>(new HashImpl(*this, current_bound()));
}

HashImpl::Bound HashImpl::current_bound() const {
  if (store_->closed()) throw Error(ErrorCode::kClosed, "the store is closed");
  if (!name_.empty() && epoch_.load(std::memory_order_acquire) != Catalog(*arena_).epoch()) bind();
  return Bound(bound_.load(std::memory_order_relaxed));
}

// Those of the part first: memory they free is there at once. Others free pages, which this part may then take.
bool HashImpl::caches_gave_way(Part& part) const {
  constexpr std::uint64_t kStepBytes = 1 << 20;
  bool gave_way = eviction::relieve(part, kStepBytes);
  for (std::uint32_t i = 0; i < part_count() && !gave_way; ++i) gave_way = eviction::relieve(this->part(i), kStepBytes);
  return gave_way;
}

// Stores the epoch last: a thread that sees it sees the binding, and a stale one is caught by its serial.
void HashImpl::bind() const {
  Catalog catalog(*arena_);
  const std::uint64_t epoch = catalog.epoch();
  const auto record = catalog.find(name_);
  if (!record) throw Error(ErrorCode::kClosed, "the collection '" + name_ + "' was dropped");
  if (record->kind != kind_ || record->schema != encoded_schema_) {
    throw Error(ErrorCode::kClosed,
                "the collection '" + name_ + "' was replaced by one of another kind or schema: open it again");
  }
  const std::uint64_t found = Bound::pack(*record);
  if (fixed_ && found != bound_.load(std::memory_order_relaxed)) {
    throw Error(ErrorCode::kReplaced, "the collection '" + name_ + "' was replaced by another one");
  }
  bound_.store(found, std::memory_order_relaxed);
  epoch_.store(epoch, std::memory_order_release);
}

}  // namespace kv
