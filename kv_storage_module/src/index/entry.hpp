// The leaf of every index: key and value side by side in one block, behind 8 bytes of header ("micro-copy").
//
//   byte 0      kEntryKind                 byte 1  ValueType, with kExpiresFlag if there is a due time
//   bytes 2-3   key length                 bytes 4-7  value length
//   bytes 8...  key, padding to the value's alignment, value
//   then, with kExpiresFlag: padding to 8, due time in wall-clock milliseconds (behind the value, so nothing else
//   moves)
//
// Immutable once published, but for kInt values, record references and the due time with its flag, which a transaction
// may overwrite in place. An entry whose due time is past is absent to everybody (collections/expiry.hpp).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kv_storage/bytes.hpp"
#include "kv_storage/value.hpp"
#include "memory/clock.hpp"
#include "memory/part.hpp"

namespace kv {

inline constexpr std::uint8_t kEntryKind = 1;  // inner nodes use other kinds, so byte 0 tells what a reference leads to
inline constexpr std::size_t kEntryHeaderBytes = 8;
inline constexpr std::uint8_t kExpiresFlag = 0x80;
inline constexpr std::size_t kDueBytes = 8;

// Array elements are aligned so that NumPy's loops run at full speed; other values are read by copying.
[[nodiscard]] constexpr std::size_t value_alignment(ValueType type, std::size_t value_bytes) noexcept {
  if (type == ValueType::kRecord) return 4;
  if (type != ValueType::kArray) return 1;
  return value_bytes >= 4096 ? 64 : 8;
}

// A decoded header. Read in an optimistic section it may be garbage: `kind` and the bounds are then checked by use.
struct EntryHeader {
  std::uint8_t kind = 0;
  ValueType type = ValueType::kBytes;
  std::uint16_t key_bytes = 0;
  std::uint32_t value_bytes = 0;
  bool expires = false;

  static EntryHeader decode(std::uint64_t word) noexcept {
    return {static_cast<std::uint8_t>(word), static_cast<ValueType>(word >> 8 & 0x7f),
            static_cast<std::uint16_t>(word >> 16), static_cast<std::uint32_t>(word >> 32),
            (word >> 8 & kExpiresFlag) != 0};
  }
  static EntryHeader load(const std::byte* entry) noexcept { return decode(load64(entry)); }
  [[nodiscard]] std::uint64_t encode() const noexcept {
    return std::uint64_t{kind} | std::uint64_t{type_byte()} << 8 | std::uint64_t{key_bytes} << 16 |
           std::uint64_t{value_bytes} << 32;
  }
  [[nodiscard]] std::size_t value_offset() const noexcept {
    const std::size_t align = value_alignment(type, value_bytes);  // a power of two; dividing by it costs a get 4 %
    return (kEntryHeaderBytes + key_bytes + align - 1) & ~(align - 1);
  }
  [[nodiscard]] std::size_t value_end() const noexcept { return value_offset() + value_bytes; }
  [[nodiscard]] std::size_t due_offset() const noexcept {
    return (value_end() + kDueBytes - 1) / kDueBytes * kDueBytes;
  }
  [[nodiscard]] std::size_t total_bytes() const noexcept { return expires ? due_offset() + kDueBytes : value_end(); }

 private:
  [[nodiscard]] std::uint8_t type_byte() const noexcept {
    return static_cast<std::uint8_t>(static_cast<unsigned>(type) | (expires ? kExpiresFlag : 0U));
  }
};

// When the entry `ref` with this header expires; kNeverDue if it does not. Safe in a section.
[[nodiscard]] inline std::uint64_t due_of_entry(const Part& part, Ref ref, const EntryHeader& header) noexcept {
  if (!header.expires || !part.contains(ref, header.total_bytes())) return kNeverDue;
  return load64(part.at(ref, kEntryHeaderBytes) + header.due_offset());
}
[[nodiscard]] inline std::uint64_t due_of_entry(const Part& part, Ref ref) noexcept {
  return due_of_entry(part, ref, EntryHeader::load(part.at(ref, kEntryHeaderBytes)));
}
// Whether it has. One load and compare for an entry without a due time.
[[nodiscard]] inline bool entry_expired(const Part& part, Ref ref, const EntryHeader& header, CallTime& time) noexcept {
  return header.expires && time.is_past(due_of_entry(part, ref, header));
}
[[nodiscard]] inline bool entry_expired(const Part& part, Ref ref, CallTime& time) noexcept {
  return entry_expired(part, ref, EntryHeader::load(part.at(ref, kEntryHeaderBytes)), time);
}

// Whether `ref` is an entry with exactly this key. Safe in a section.
[[nodiscard]] inline bool entry_has_key(const Part& part, Ref ref, ByteView key) noexcept {
  const std::byte* entry = part.at(ref, kEntryHeaderBytes);
  const EntryHeader header = EntryHeader::load(entry);
  return header.kind == kEntryKind && header.key_bytes == key.size() &&
         part.contains(ref, kEntryHeaderBytes + key.size()) &&
         equal_bytes(entry + kEntryHeaderBytes, key.data(), key.size());
}

}  // namespace kv
