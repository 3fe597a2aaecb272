// Reading a stored value into a ValueBuffer: small ones are copied inside a section, large ones pinned under the lock.
#pragma once

#include <memory>

#include "collections/entries.hpp"
#include "memory/arena.hpp"
#include "memory/pins.hpp"

namespace kv {

// Fills a ValueBuffer; the one who may.
struct ValueBufferWriter {
  enum class Outcome : std::uint8_t { kAbsent, kCopied, kLarge };

  // In a section: copies the value of `entry` if it is small.
  static Outcome copy(const Part& part, Ref entry, ValueBuffer& out) noexcept {
    if (entry == kNullRef) return Outcome::kAbsent;
    const std::byte* at = part.at(entry, kEntryHeaderBytes);
    const EntryHeader header = EntryHeader::load(at);
    if (!ValueBuffer::fits_inline(header.type, header.value_bytes)) return Outcome::kLarge;
    if (!part.contains(entry, header.total_bytes())) return Outcome::kAbsent;  // garbage: the section will run again
    out.type_ = header.type;
    out.size_ = header.value_bytes;
    copy_out(out.inline_, at + header.value_offset(), header.value_bytes);
    return Outcome::kCopied;
  }

  static void hold(Pin pin, ValueType type, ValueBuffer& out) noexcept {
    out.type_ = type;
    out.pin_ = std::move(pin);
  }
  static void release(ValueBuffer& out) noexcept { out.pin_.release(); }
};

// Under the lock, inside a transaction that the caller commits.
[[nodiscard]] inline Pin pin_entry(Transaction& txn, const std::shared_ptr<Arena>& arena, Ref entry) {
  const EntryHeader header = EntryHeader::load(txn.at(entry));
  pins::pin(txn, entry, arena->slot());
  const auto* value = reinterpret_cast<const char*>(txn.at(entry) + header.value_offset());
  return {arena, txn.part().index(), entry, ByteView(value, header.value_bytes)};
}

// Reads a live entry into `out`, under the lock. A large value is pinned, by the transaction in progress.
inline void load_value(Transaction& txn, const std::shared_ptr<Arena>& arena, Ref entry, ValueBuffer& out) {
  if (ValueBufferWriter::copy(txn.part(), entry, out) == ValueBufferWriter::Outcome::kCopied) return;
  const ValueType type = EntryHeader::load(txn.at(entry)).type;
  ValueBufferWriter::hold(pin_entry(txn, arena, entry), type, out);
}

}  // namespace kv
