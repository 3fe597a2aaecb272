// The one seam for system calls that can fail, so that tests can make the n-th of them fail.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kv::system {

inline constexpr std::uint64_t kHugePageBytes = 2 * 1024 * 1024;

enum class Call : std::uint8_t { kMemfdCreate, kTruncate, kAllocate, kPunch, kMap, kOpen, kLock };

// Called before each call if set: a non-zero answer is the errno with which the call fails without being made.
using FaultHook = int (*)(Call call);
void set_fault_hook(FaultHook hook) noexcept;

// Each returns 0 (or a descriptor) on success, -1 with errno set on failure; EINTR is handled inside.
[[nodiscard]] int memfd_create(const char* name) noexcept;  // sealable, close-on-exec, not executable where known
[[nodiscard]] int truncate(int fd, std::uint64_t bytes) noexcept;
[[nodiscard]] int seal_size(int fd) noexcept;
// Takes pages for [offset, offset + bytes) of the file now, so that touching them later cannot fail.
[[nodiscard]] int allocate(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept;
// Gives the pages back; they read as zeros.
[[nodiscard]] int punch(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept;
// Shared, readable and writable, not part of core dumps, at a multiple of kHugePageBytes. MAP_FAILED on failure.
[[nodiscard]] void* map_shared(int fd, std::uint64_t bytes) noexcept;
// Maps what was taken, many pages at a time, which is cheaper than a fault for each. Only advice.
void populate(std::byte* at, std::uint64_t bytes) noexcept;
// Takes [offset, offset + bytes) of the file, mapped at `base`, as huge pages: a fifth of the time of small ones, and
// one TLB entry instead of 512. Offset and size are multiples of kHugePageBytes. False if the system has none (before
// Linux 6.1, without transparent huge pages, too fragmented): then nothing, or a part of it, was taken.
[[nodiscard]] bool populate_huge(int fd, std::byte* base, std::uint64_t offset, std::uint64_t bytes) noexcept;
// A descriptor of its own for an open file: an open-file-description lock belongs to it alone.
[[nodiscard]] int reopen(int fd) noexcept;
[[nodiscard]] int open_process_fd(int pid, int fd) noexcept;
// Takes an exclusive open-file-description lock on one byte; EAGAIN if somebody has it.
[[nodiscard]] int lock_byte(int fd, std::uint64_t offset) noexcept;
// Shared; turns this descriptor's own exclusive lock into a shared one without a moment between.
[[nodiscard]] int lock_byte_shared(int fd, std::uint64_t offset) noexcept;
void unlock_byte(int fd, std::uint64_t offset) noexcept;
[[nodiscard]] bool byte_is_locked(int fd, std::uint64_t offset) noexcept;  // by somebody else

[[nodiscard]] std::uint64_t random64();

}  // namespace kv::system
