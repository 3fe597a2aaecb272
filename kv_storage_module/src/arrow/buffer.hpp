// Memory that an Arrow consumer will own: aligned to 64 bytes, as the Arrow format recommends, and growing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace kv::arrow {

class Buffer {
 public:
  // `bytes` more at the end, uninitialised.
  [[nodiscard]] char* append(std::size_t bytes) {
    if (bytes > capacity_ - size_) grow(size_ + bytes);
    char* const at = memory_.get() + size_;
    size_ += bytes;
    return at;
  }
  void append(const char* from, std::size_t bytes) {
    if (bytes != 0) std::memcpy(append(bytes), from, bytes);
  }
  template <class T>
  void push(T value) {
    std::memcpy(append(sizeof value), &value, sizeof value);
  }
  void clear() noexcept { size_ = 0; }

  // Never null: some consumers take a null pointer for a missing buffer, even of no bytes.
  [[nodiscard]] const char* data() const noexcept { return memory_ ? memory_.get() : kNothing; }
  [[nodiscard]] char* data() noexcept { return memory_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kAlignment = 64;
  alignas(kAlignment) static constexpr char kNothing[kAlignment] = {};
  struct Free {
    void operator()(char* memory) const noexcept { std::free(memory); }
  };

  void grow(std::size_t needed) {
    const std::size_t bytes = (std::max(needed, 2 * capacity_) + kAlignment - 1) / kAlignment * kAlignment;
    std::unique_ptr<char, Free> larger(static_cast<char*>(std::aligned_alloc(kAlignment, bytes)));
    if (!larger) throw std::bad_alloc();
    if (size_ != 0) std::memcpy(larger.get(), memory_.get(), size_);
    memory_ = std::move(larger);
    capacity_ = bytes;
  }

  std::unique_ptr<char, Free> memory_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace kv::arrow
