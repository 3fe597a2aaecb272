#include "kv_storage/ordered.hpp"

#include <algorithm>

#include "collections/collection.hpp"
#include "collections/log_records.hpp"
#include "index/cursor.hpp"
#include "index/key_index.hpp"
#include "index/ranks.hpp"

namespace kv {
namespace {

// A key copied inside a section, which must not allocate.
struct KeyCopy {
  std::size_t bytes = 0;
  bool found = false;
  char data[kMaxCountedKeyBytes];

  void assign(const Part& part, Ref entry) noexcept {
    found = false;
    if (entry == kNullRef) return;
    const std::byte* at = part.at(entry, kEntryHeaderBytes);
    bytes = EntryHeader::load(at).key_bytes;
    if (bytes > sizeof data || !part.contains(entry, kEntryHeaderBytes + bytes)) return;  // garbage
    copy_out(data, at + kEntryHeaderBytes, bytes);
    found = true;
  }
  [[nodiscard]] std::optional<std::string> text() const {
    return found ? std::optional(std::string(data, bytes)) : std::nullopt;
  }
};

// The key of the entry that choose(part, root) returns, in one section.
template <class Choose>
std::optional<std::string> read_chosen(const HashImpl& collection, Choose&& choose) {
  KeyCopy key;
  static_cast<void>(collection.read_slice_settled(0, [&](const Part& part, const CollectionRoot& root) {
    key.assign(part, choose(part, root));
    return true;
  }));
  return key.text();
}

struct Bounds {
  std::uint64_t first, last;  // ranks
};

[[nodiscard]] Bounds bounds_of(const Part& part, const CollectionRoot& root, const KeyRange& range) noexcept {
  const Ref index = load32(&root.index);
  const std::uint64_t first = range.start ? rank_of(part, index, *range.start) : 0;
  const std::uint64_t last = range.stop ? rank_of(part, index, *range.stop) : load64(&root.entries);
  return {first, std::max(first, last)};
}

}  // namespace

KeyType Ordered::key_type() const {
  return static_cast<KeyType>(
      impl_->read_home([](const Part&, const CollectionRoot& root) { return load32(&root.key_type); }));
}

void Ordered::fix_key_type(KeyType type) {
  static_cast<void>(impl_->write_home([&](Transaction& txn, CollectionRoot& root) {
    const auto present = static_cast<KeyType>(root.key_type);
    if (present == type) return true;
    if (present != KeyType::kUnknown) throw_mixed_keys(present, type);
    txn.store32(&root.key_type, static_cast<std::uint32_t>(type));
    logged::key_type(txn, root);
    txn.commit();
    return true;
  }));
}

std::uint64_t Ordered::rank(ByteView key) const {
  return impl_->read_slice_settled(
      0, [&](const Part& part, const CollectionRoot& root) { return rank_of(part, load32(&root.index), key); });
}

std::optional<std::string> Ordered::select(std::uint64_t index) const {
  return read_chosen(*impl_, [&](const Part& part, const CollectionRoot& root) {
    return kv::select(part, load32(&root.index), index);
  });
}

std::optional<std::string> Ordered::select_back(std::uint64_t index) const {
  return read_chosen(*impl_, [&](const Part& part, const CollectionRoot& root) {
    const std::uint64_t entries = load64(&root.entries);
    return index < entries ? kv::select(part, load32(&root.index), entries - 1 - index) : kNullRef;
  });
}

std::optional<std::string> Ordered::floor(ByteView key) const {
  return read_chosen(*impl_, [&](const Part& part, const CollectionRoot& root) {
    const Ref index = load32(&root.index);
    const Ref same = kv::find(part, index, key);
    if (same != kNullRef) return same;
    const std::uint64_t less = rank_of(part, index, key);
    return less == 0 ? kNullRef : kv::select(part, index, less - 1);
  });
}

std::optional<std::string> Ordered::ceiling(ByteView key) const {
  return read_chosen(*impl_, [&](const Part& part, const CollectionRoot& root) {
    const Ref index = load32(&root.index);
    return kv::select(part, index, rank_of(part, index, key));
  });
}

std::uint64_t Ordered::count(const KeyRange& range) const {
  if (range.glob != nullptr) return Hash::count(range);
  return impl_->read_slice_settled(0, [&](const Part& part, const CollectionRoot& root) {
    const Bounds bounds = bounds_of(part, root, range);
    return bounds.last - bounds.first;
  });
}

KeyRange Ordered::slice(const KeyRange& range, std::uint64_t first, std::uint64_t last) const {
  KeyCopy start, stop;
  const bool empty = impl_->read_slice_settled(0, [&](const Part& part, const CollectionRoot& root) {
    const Bounds bounds = bounds_of(part, root, range);
    const std::uint64_t length = bounds.last - bounds.first;
    const std::uint64_t from = std::min(first, length), to = std::clamp(last, from, length);
    const Ref index = load32(&root.index);
    start.assign(part, from > 0 ? kv::select(part, index, bounds.first + from) : kNullRef);
    stop.assign(part, to < length ? kv::select(part, index, bounds.first + to) : kNullRef);
    return from == to;
  });
  KeyRange narrowed = range;
  if (start.found) narrowed.start = start.text();
  if (stop.found) narrowed.stop = stop.text();
  if (empty) narrowed.start = narrowed.stop = std::string();
  return narrowed;
}

bool Ordered::take_first(std::string& key, ValueBuffer& out) { return take_end(End::kFirst, key, out); }
bool Ordered::take_last(std::string& key, ValueBuffer& out) { return take_end(End::kLast, key, out); }

}  // namespace kv
