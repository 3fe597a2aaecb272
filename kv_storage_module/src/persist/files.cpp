#include "persist/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>

#include "kv_storage/error.hpp"
#include "kv_storage/owned_fd.hpp"

namespace kv::persist {
namespace {

constexpr mode_t kMode = 0600;

template <class Call>
[[nodiscard]] auto retry_interrupted(Call&& call) noexcept {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

[[nodiscard]] std::uint64_t hash_of_boot() noexcept {
  char text[64];
  const OwnedFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  const ssize_t n = fd.get() < 0 ? 0 : ::read(fd.get(), text, sizeof text);
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (ssize_t i = 0; i < n; ++i) hash = (hash ^ static_cast<unsigned char>(text[i])) * 0x100000001b3;
  return hash;
}

// Never destroyed: a thread may be syncing while the process exits.
Files& real_files() {
  static auto* const instance = new Files;
  return *instance;
}
std::atomic<Files*> replaced_files{nullptr};

}  // namespace

const char* name_of(FileCall call) noexcept {
  switch (call) {
    case FileCall::kOpen:
      return "open";
    case FileCall::kAllocate:
      return "fallocate";
    case FileCall::kMap:
      return "mmap";
    case FileCall::kRead:
      return "pread";
    case FileCall::kWrite:
      return "pwrite";
    case FileCall::kSyncData:
      return "fdatasync";
    case FileCall::kSync:
      return "fsync";
    case FileCall::kTruncate:
      return "ftruncate";
    case FileCall::kRename:
      return "rename";
    case FileCall::kRemove:
      return "unlink";
  }
  return "a system call";
}

int Files::open(int directory, const char* name, int flags) noexcept {
  return retry_interrupted([&] { return ::openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW, kMode); });
}
int Files::allocate(int fd, std::uint64_t bytes) noexcept {
  return retry_interrupted([&] { return ::fallocate(fd, 0, 0, static_cast<off_t>(bytes)); });
}
std::byte* Files::map(int fd, std::uint64_t bytes) noexcept {
  void* const base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return base == MAP_FAILED ? nullptr : static_cast<std::byte*>(base);
}
const std::byte* Files::map_to_read(int fd, std::uint64_t bytes) noexcept {
  void* const base = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
  return base == MAP_FAILED ? nullptr : static_cast<const std::byte*>(base);
}
void Files::unmap(std::byte* base, std::uint64_t bytes) noexcept { ::munmap(base, bytes); }
ssize_t Files::read_at(int fd, void* to, std::size_t bytes, std::uint64_t offset) noexcept {
  return retry_interrupted([&] { return ::pread(fd, to, bytes, static_cast<off_t>(offset)); });
}
ssize_t Files::write_at(int fd, const void* from, std::size_t bytes, std::uint64_t offset) noexcept {
  return retry_interrupted([&] { return ::pwrite(fd, from, bytes, static_cast<off_t>(offset)); });
}
int Files::sync_data(int fd) noexcept {
  return retry_interrupted([&] { return ::fdatasync(fd); });
}
int Files::sync(int fd) noexcept {
  return retry_interrupted([&] { return ::fsync(fd); });
}
int Files::truncate(int fd, std::uint64_t bytes) noexcept {
  return retry_interrupted([&] { return ::ftruncate(fd, static_cast<off_t>(bytes)); });
}
int Files::rename(int directory, const char* from, const char* to) noexcept {
  return ::renameat(directory, from, directory, to);
}
int Files::remove(int directory, const char* name) noexcept { return ::unlinkat(directory, name, 0); }
std::uint64_t Files::size(int fd) noexcept {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}
std::uint64_t Files::boot() noexcept {
  static const std::uint64_t boot = hash_of_boot();
  return boot;
}

Files& files() noexcept {
  Files* const replacement = replaced_files.load(std::memory_order_relaxed);
  return replacement != nullptr ? *replacement : real_files();
}
void set_files(Files* replacement) noexcept { replaced_files.store(replacement); }

void read_whole(int fd, const std::string& path, void* to, std::size_t bytes, std::uint64_t offset) {
  auto* at = static_cast<std::byte*>(to);
  while (bytes != 0) {
    const ssize_t n = files().read_at(fd, at, bytes, offset);
    if (n < 0) throw Error::from_errno(errno, "cannot read", path);
    if (n == 0) {
      throw Error(ErrorCode::kCorrupt, "'" + path + "' ends at offset " + std::to_string(offset) + ", too early");
    }
    at += n, bytes -= static_cast<std::size_t>(n), offset += static_cast<std::uint64_t>(n);
  }
}

void write_whole(int fd, const std::string& path, const void* from, std::size_t bytes, std::uint64_t offset) {
  const auto* at = static_cast<const std::byte*>(from);
  while (bytes != 0) {
    const ssize_t n = files().write_at(fd, at, bytes, offset);
    if (n <= 0) throw Error::from_errno(n < 0 ? errno : ENOSPC, "cannot write", path);
    at += n, bytes -= static_cast<std::size_t>(n), offset += static_cast<std::uint64_t>(n);
  }
}

std::vector<std::string> names_in(int directory, const std::string& path) {
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const stream = fd >= 0 ? ::fdopendir(fd) : nullptr;
  if (stream == nullptr) {
    const int reason = errno;
    if (fd >= 0) ::close(fd);
    throw Error::from_errno(reason, "cannot list", path);
  }
  std::vector<std::string> names;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has the stream
  while (const dirent* const entry = ::readdir(stream)) names.emplace_back(entry->d_name);
  ::closedir(stream);
  return names;
}

}  // namespace kv::persist
