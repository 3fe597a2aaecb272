// The one seam for what a durable store does with files. A test puts its own Files in place: one that fails the n-th
// call, answers short, counts crash points, or forgets what was not synced.
//
// What is stored into a mapped segment passes by unseen. A test that must see every write answers EOPNOTSUPP to
// `allocate`: then segments are written with write_at.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kv::persist {

// Stored in shared memory, to say later what failed: the numbers are frozen.
enum class FileCall : std::uint8_t {
  kOpen = 1,
  kAllocate = 2,
  kMap = 3,
  kRead = 4,
  kWrite = 5,
  kSyncData = 6,
  kSync = 7,
  kTruncate = 8,
  kRename = 9,
  kRemove = 10,
};
[[nodiscard]] const char* name_of(FileCall call) noexcept;

// As the system calls they are named after: -1 (or nullptr) with errno set on failure. EINTR is handled inside.
class Files {
 public:
  Files() = default;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  virtual ~Files() = default;

  virtual int open(int directory, const char* name, int flags) noexcept;  // mode 0600, close-on-exec, no links
  // Takes blocks for the whole file, which is so long afterwards. EOPNOTSUPP if the file system cannot.
  virtual int allocate(int fd, std::uint64_t bytes) noexcept;
  virtual std::byte* map(int fd, std::uint64_t bytes) noexcept;                // shared, to be written
  virtual const std::byte* map_to_read(int fd, std::uint64_t bytes) noexcept;  // the pages that are in memory at once
  virtual void unmap(std::byte* base, std::uint64_t bytes) noexcept;
  virtual ssize_t read_at(int fd, void* to, std::size_t bytes, std::uint64_t offset) noexcept;
  virtual ssize_t write_at(int fd, const void* from, std::size_t bytes, std::uint64_t offset) noexcept;
  virtual int sync_data(int fd) noexcept;
  virtual int sync(int fd) noexcept;  // of directories, too
  virtual int truncate(int fd, std::uint64_t bytes) noexcept;
  virtual int rename(int directory, const char* from, const char* to) noexcept;
  virtual int remove(int directory, const char* name) noexcept;
  virtual std::uint64_t size(int fd) noexcept;
  // Which start of which machine this is: what was written in the same one cannot have been lost with the power.
  virtual std::uint64_t boot() noexcept;
};

[[nodiscard]] Files& files() noexcept;
// For tests, before a store is opened; nullptr = the system's.
void set_files(Files* replacement) noexcept;

// Each throws Error{kIo} that names the file, or Error{kCorrupt} where a file ends too early.
void read_whole(int fd, const std::string& path, void* to, std::size_t bytes, std::uint64_t offset);
void write_whole(int fd, const std::string& path, const void* from, std::size_t bytes, std::uint64_t offset);
[[nodiscard]] std::vector<std::string> names_in(int directory, const std::string& path);

}  // namespace kv::persist
