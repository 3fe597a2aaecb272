// Access to shared memory that another thread or process may be changing: relaxed atomics of the natural word size.
//
// An optimistic reader (memory/part.hpp) may load a word that a writer is storing; the sequence number tells it
// afterwards to throw the result away. Relaxed atomics make that a defined program (and keep ThreadSanitizer quiet)
// and compile to the plain mov of an ordinary load or store.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kv {

template <class T>
[[nodiscard]] inline T load_relaxed(const void* at) noexcept {
  return __atomic_load_n(static_cast<const T*>(at), __ATOMIC_RELAXED);
}
template <class T>
inline void store_relaxed(void* at, T value) noexcept {
  __atomic_store_n(static_cast<T*>(at), value, __ATOMIC_RELAXED);
}

[[nodiscard]] inline std::uint8_t load8(const void* at) noexcept { return load_relaxed<std::uint8_t>(at); }
[[nodiscard]] inline std::uint16_t load16(const void* at) noexcept { return load_relaxed<std::uint16_t>(at); }
[[nodiscard]] inline std::uint32_t load32(const void* at) noexcept { return load_relaxed<std::uint32_t>(at); }
[[nodiscard]] inline std::uint64_t load64(const void* at) noexcept { return load_relaxed<std::uint64_t>(at); }

// Copies between private and shared memory, of any alignment. The bytes may be torn, as words of a changing block are.
//
// Plain memcpy and memcmp, behind a call that the compiler cannot look into: a loop of relaxed words makes them several
// times slower. What C++ has no word for yet (P1478, byte-wise atomic memcpy), ThreadSanitizer gets as such words:
// blocks are 8-aligned and a multiple of 8 long, so whole words that hold the first and last byte stay inside.
void copy_out(void* to_private, const void* from_shared, std::size_t bytes) noexcept;
void copy_in(void* to_shared, const void* from_private, std::size_t bytes) noexcept;

// memcmp(shared, wanted, bytes) == 0
[[nodiscard]] bool equal_bytes(const void* shared, const void* wanted, std::size_t bytes) noexcept;

}  // namespace kv
