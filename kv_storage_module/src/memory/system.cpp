#include "memory/system.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>

#include "kv_storage/memory_limit.hpp"
#include "memory/layout.hpp"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3; older C libraries do not name it
#endif

namespace kv::system {
namespace {

std::atomic<FaultHook> fault_hook{nullptr};

[[nodiscard]] bool injected(Call call) noexcept {
  const FaultHook hook = fault_hook.load(std::memory_order_relaxed);
  if (hook == nullptr) return false;
  const int error = hook(call);
  if (error != 0) errno = error;
  return error != 0;
}

template <class Fn>
[[nodiscard]] int retry_interrupted(Fn&& fn) noexcept {
  int result;
  do result = fn();
  while (result == -1 && errno == EINTR);
  return result;
}

int set_byte_lock(int fd, std::uint64_t offset, short type) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(offset);
  lock.l_len = 1;
  return retry_interrupted([&] { return ::fcntl(fd, F_OFD_SETLK, &lock); });
}

// A number in a one-line file of the kernel; the maximum where the file is missing or says "max".
[[nodiscard]] std::uint64_t read_limit(const std::string& path) noexcept {
  std::uint64_t value = 0;
  std::ifstream file(path);
  return file >> value ? value : std::numeric_limits<std::uint64_t>::max();
}

// The tightest limit between this process's cgroup (version 2) and the root, or version 1's single one.
[[nodiscard]] std::uint64_t cgroup_limit() noexcept {
  std::uint64_t limit = read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  std::ifstream membership("/proc/self/cgroup");
  for (std::string line; std::getline(membership, line);) {
    if (line.rfind("0::", 0) != 0) continue;
    for (std::string group = line.substr(3);; group.resize(group.rfind('/'))) {
      limit = std::min(limit, read_limit("/sys/fs/cgroup" + group + "/memory.max"));
      if (group.empty() || group.rfind('/') == std::string::npos) break;
    }
  }
  return limit;
}

}  // namespace

void set_fault_hook(FaultHook hook) noexcept { fault_hook.store(hook, std::memory_order_relaxed); }

int memfd_create(const char* name) noexcept {
  if (injected(Call::kMemfdCreate)) return -1;
  const int fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (fd >= 0 || errno != EINVAL) return fd;
  return ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int truncate(int fd, std::uint64_t bytes) noexcept {
  if (injected(Call::kTruncate)) return -1;
  return retry_interrupted([&] { return ::ftruncate(fd, static_cast<off_t>(bytes)); });
}

int seal_size(int fd) noexcept { return ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW); }

int allocate(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept {
  if (injected(Call::kAllocate)) return -1;
  return retry_interrupted([&] { return ::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)); });
}

int punch(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept {
  if (injected(Call::kPunch)) return -1;
  return retry_interrupted([&] {
    return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(bytes));
  });
}

void* map_shared(int fd, std::uint64_t bytes) noexcept {
  if (injected(Call::kMap)) return MAP_FAILED;
  // Huge pages need addresses as aligned as the offsets: reserves some more, maps inside it, gives the ends back.
  void* const reserved =
      ::mmap(nullptr, bytes + kHugePageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return MAP_FAILED;
  auto* const first = static_cast<std::byte*>(reserved);
  const std::uint64_t before = -reinterpret_cast<std::uintptr_t>(first) % kHugePageBytes;
  void* const base =
      ::mmap(first + before, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
  if (base == MAP_FAILED) {
    const int error = errno;
    ::munmap(reserved, bytes + kHugePageBytes);
    errno = error;
    return MAP_FAILED;
  }
  const std::uint64_t mapped_end = before + (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (before != 0) ::munmap(first, before);
  if (mapped_end < bytes + kHugePageBytes) ::munmap(first + mapped_end, bytes + kHugePageBytes - mapped_end);
  ::madvise(base, bytes, MADV_DONTDUMP);  // gigabytes of user data do not belong in a core file
  return base;
}

void populate(std::byte* at, std::uint64_t bytes) noexcept { ::madvise(at, bytes, MADV_POPULATE_WRITE); }

bool populate_huge(int fd, std::byte* base, std::uint64_t offset, std::uint64_t bytes) noexcept {
  // A range without any page is not collapsed (the kernel takes it for truncated): each gets its first one.
  for (std::uint64_t at = offset; at < offset + bytes; at += kHugePageBytes) {
    if (allocate(fd, at, kPageBytes) != 0) return false;
  }
  return ::madvise(base + offset, bytes, MADV_COLLAPSE) == 0;
}

int reopen(int fd) noexcept { return open_process_fd(::getpid(), fd); }

int open_process_fd(int pid, int fd) noexcept {
  if (injected(Call::kOpen)) return -1;
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
  return retry_interrupted([&] { return ::open(path, O_RDWR | O_CLOEXEC); });
}

int lock_byte(int fd, std::uint64_t offset) noexcept {
  if (injected(Call::kLock)) return -1;
  return set_byte_lock(fd, offset, F_WRLCK);
}

int lock_byte_shared(int fd, std::uint64_t offset) noexcept {
  if (injected(Call::kLock)) return -1;
  return set_byte_lock(fd, offset, F_RDLCK);
}

void unlock_byte(int fd, std::uint64_t offset) noexcept { set_byte_lock(fd, offset, F_UNLCK); }

bool byte_is_locked(int fd, std::uint64_t offset) noexcept {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(offset);
  lock.l_len = 1;
  // If the kernel cannot say, assume the owner lives: a pin kept too long wastes memory, one dropped corrupts a view.
  return ::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

std::uint64_t memory_limit() noexcept {
  const auto ram =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return std::min(ram, cgroup_limit());
}

std::uint64_t random64() {
  std::uint64_t value = 0;
  auto* at = reinterpret_cast<unsigned char*>(&value);
  for (std::size_t got = 0; got < sizeof value;) {
    const ssize_t n = ::getrandom(at + got, sizeof value - got, 0);
    if (n > 0) got += static_cast<std::size_t>(n);
  }
  return value;
}

}  // namespace kv::system
