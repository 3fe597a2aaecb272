#include "persist/key_changes.hpp"

#include <algorithm>
#include <utility>

#include "memory/clock.hpp"
#include "persist/format.hpp"

namespace kv::persist {

std::optional<KeyRecord> decode_key_record(LogKind kind, ByteView payload) noexcept {
  PayloadReader reader(payload);
  const auto front = reader.number<KeyFront>();
  KeyRecord record{front.serial, kind, {}};
  RestoredEntry& entry = record.entry;
  entry.due_ms = kNeverDue;
  if (kind == LogKind::kPut) {
    entry.type = static_cast<ValueType>(front.type & ~kLoggedDue);
    if ((front.type & kLoggedDue) != 0) entry.due_ms = reader.number<std::uint64_t>();
  } else if (kind == LogKind::kDue) {
    entry.due_ms = reader.number<std::uint64_t>();
  }
  entry.key = reader.take(front.key_bytes);
  if (kind == LogKind::kPut) entry.value = reader.rest();
  return reader.ok() && reader.empty() ? std::optional(record) : std::nullopt;
}

void KeyRun::add(LogKind kind, ByteView payload, ByteView key) {
  keys_.push_back({key.data(), static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(records_.size())});
  records_.push_back({payload.data(), RecordHeader::pack(static_cast<std::uint8_t>(kind), payload.size())});
}

void KeyRun::sort(KeySorter& sorter) { sorter.sort(keys_); }

KeyRecord KeyRun::decode(const RowKey& key) const noexcept {
  const Source& source = records_[key.row];
  const RecordHeader header{0, source.kind_and_bytes, 0};
  const auto record = decode_key_record(static_cast<LogKind>(header.kind()), {source.payload, header.payload_bytes()});
  return record.value_or(KeyRecord{});  // it was decoded before
}

// Keys come in an order that the log knows nothing of.
void KeyRun::prefetch(std::size_t place) const noexcept {
  constexpr std::size_t kFar = 16;
  constexpr std::size_t kNear = 8;
  constexpr std::size_t kLine = 64;
  if (place + kFar < keys_.size()) __builtin_prefetch(&records_[keys_[place + kFar].row]);
  if (place + kNear >= keys_.size()) return;
  const char* const payload = records_[keys_[place + kNear].row].payload;
  __builtin_prefetch(payload);
  __builtin_prefetch(payload + kLine);
}

// Behind the records of the front key, which are put in the order of the log.
std::size_t KeyRun::end_of_front() noexcept {
  std::size_t end = next_;
  const ByteView key = keys_[next_].view();
  do prefetch(end++);
  while (end < keys_.size() && keys_[end].view() == key);
  if (end - next_ > 1) {
    std::sort(keys_.begin() + static_cast<std::ptrdiff_t>(next_), keys_.begin() + static_cast<std::ptrdiff_t>(end),
              [](const RowKey& a, const RowKey& b) { return a.row < b.row; });
  }
  return end;
}

template <class Visit>
void KeyRun::take(Visit&& visit) {
  for (const std::size_t end = end_of_front(); next_ < end; ++next_) visit(decode(keys_[next_]));
}

void KeyChanges::pop() {
  front_.reset();
  const RowKey* least = nullptr;
  for (const KeyRun& run : runs_) {
    const RowKey* const front = run.front();
    if (front != nullptr && (least == nullptr || front->view() < least->view())) least = front;
  }
  if (least == nullptr) return;
  const ByteView key = least->view();
  for (KeyRun& run : runs_) {
    if (run.front() == nullptr || run.front()->view() != key) continue;
    run.take([&](const KeyRecord& record) {
      if (record.kind != LogKind::kDue || !front_ || front_->kind == LogKind::kDue) {
        front_ = record;
      } else if (front_->kind == LogKind::kPut) {
        front_->entry.due_ms = record.entry.due_ms;
      }
    });
  }
}

}  // namespace kv::persist
