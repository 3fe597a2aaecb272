// What a value is to the core: a type tag and bytes. The core copies, compares and hands out the bytes; it looks inside
// only of kInt (for incr). How Python objects become bytes is python/value_codec's business.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

#include "kv_storage/bytes.hpp"

namespace kv {

// Stored in shared memory (and later on disk): the numbers are frozen.
enum class ValueType : std::uint8_t {
  kNone = 1,    // no bytes
  kBool = 2,    // 1 byte, 0 or 1
  kInt = 3,     // 8 bytes, two's complement, little endian; larger integers are kPacked
  kFloat = 4,   // 8 bytes, IEEE 754 binary64, little endian
  kText = 5,    // UTF-8 (with surrogates as Python's "surrogatepass" writes them)
  kBytes = 6,   // as they are
  kPacked = 7,  // MessagePack with extension types: everything without a tag of its own
  kArray = 8,   // the elements in C order, then the descriptor (format, shape) as a trailer
  kRecord = 9,  // reserved for schema collections: a reference to a fixed-size record; never crosses this interface
};

// A value to be stored: `data` followed by `trailer` (empty for all but arrays, whose elements need not be copied
// together with their descriptor first). Both must stay readable and unchanged during the call.
struct Value {
  ValueType type = ValueType::kNone;
  ByteView data;
  ByteView trailer = {};

  [[nodiscard]] std::size_t size() const noexcept { return data.size() + trailer.size(); }
};

class Store;

// Keeps one stored value readable and unchanged, whatever is overwritten, deleted, evicted or closed in the meantime
// (DESIGN promise 3). Movable, not copyable; release is O(1) and may be called from any thread of the process that
// made the pin, or of a forked child, which has pins of its own. Keeps the mapping of its store alive.
class Pin {
 public:
  Pin() noexcept = default;
  Pin(std::shared_ptr<class Arena> arena, std::uint32_t part, std::uint32_t block, ByteView bytes) noexcept;
  Pin(Pin&& other) noexcept;
  Pin& operator=(Pin&& other) noexcept;
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin();

  [[nodiscard]] explicit operator bool() const noexcept { return arena_ != nullptr; }
  [[nodiscard]] ByteView bytes() const noexcept { return bytes_; }
  void release() noexcept;

 private:
  std::shared_ptr<class Arena> arena_;
  std::uint32_t part_ = 0;
  std::uint32_t block_ = 0;
  ByteView bytes_;
};

// Where a read puts what it found: small values are copied into the buffer itself, larger ones are pinned.
// Reusable: reading again releases what it held. 4 KiB: meant for the stack.
class ValueBuffer {
 public:
  static constexpr std::size_t kInlineBytes = 4096;
  // Above this an array is worth a pin instead of a copy: 1 KiB of elements, and room for their descriptor.
  static constexpr std::size_t kInlineArrayBytes = 1024 + 64;

  [[nodiscard]] ValueType type() const noexcept { return type_; }
  [[nodiscard]] ByteView bytes() const noexcept { return pin_ ? pin_.bytes() : ByteView(inline_, size_); }
  [[nodiscard]] bool pinned() const noexcept { return static_cast<bool>(pin_); }
  [[nodiscard]] Pin take_pin() noexcept { return std::move(pin_); }

  [[nodiscard]] static bool fits_inline(ValueType type, std::size_t size) noexcept {
    return size <= (type == ValueType::kArray ? kInlineArrayBytes : kInlineBytes);
  }

 private:
  friend class Hash;
  friend struct ValueBufferWriter;
  ValueType type_ = ValueType::kNone;
  std::uint32_t size_ = 0;
  Pin pin_;
  char inline_[kInlineBytes];
};

}  // namespace kv
