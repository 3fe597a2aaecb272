#include "csv/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "kv_storage/error.hpp"

namespace kv::csv {
namespace {

std::size_t page_bytes() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

std::int64_t modified_ns(const struct stat& status) noexcept {
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

// madvise over the whole pages inside [begin, end): advice only, so a failure is of no consequence.
void advise(const char* begin, const char* end, int advice) noexcept {
  const std::uintptr_t page = page_bytes();
  const std::uintptr_t from = (reinterpret_cast<std::uintptr_t>(begin) + page - 1) / page * page;
  const std::uintptr_t to = reinterpret_cast<std::uintptr_t>(end) / page * page;
  if (from < to) (void)::madvise(reinterpret_cast<void*>(from), to - from, advice);
}

}  // namespace

// Without O_NONBLOCK, opening a pipe that nobody writes would never return.
MappedFile::MappedFile(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  const auto fail = [&](int os_error, const char* what) {
    if (descriptor_ >= 0) ::close(descriptor_);
    throw Error::from_errno(os_error, what, path);
  };
  if (descriptor_ < 0) fail(errno, "cannot open CSV file");
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail(errno, "cannot examine CSV file");
  if (S_ISDIR(status.st_mode)) fail(EISDIR, "cannot read CSV file");
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(ErrorCode::kInvalidArgument,
                "cannot map CSV file '" + path + "': it is a pipe or a device; write it to a regular file first");
  }
  size_ = static_cast<std::size_t>(status.st_size);
  modified_ns_ = modified_ns(status);

  // The file is laid over the beginning of an anonymous mapping that is at least one page longer.
  const std::size_t page = page_bytes();
  mapped_ = (size_ + page - 1) / page * page + page;
  void* reserved = ::mmap(nullptr, mapped_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) fail(errno, "cannot map CSV file");
  data_ = static_cast<char*>(reserved);
  if (size_ == 0) return;
  if (::mmap(reserved, size_, PROT_READ, MAP_PRIVATE | MAP_FIXED, descriptor_, 0) == MAP_FAILED) {
    const int os_error = errno;
    ::munmap(reserved, mapped_);
    fail(os_error, "cannot map CSV file");
  }
}

MappedFile::~MappedFile() {
  ::munmap(data_, mapped_);
  ::close(descriptor_);
}

bool MappedFile::changed() const noexcept {
  struct stat status {};
  return ::fstat(descriptor_, &status) != 0 || static_cast<std::size_t>(status.st_size) != size_ ||
         modified_ns(status) != modified_ns_;
}

void MappedFile::prefetch([[maybe_unused]] const char* begin, [[maybe_unused]] const char* end) noexcept {
#ifdef MADV_POPULATE_READ
  advise(begin, end, MADV_POPULATE_READ);
#else
  advise(begin, end, MADV_WILLNEED);
#endif
}

void MappedFile::release(const char* begin, const char* end) noexcept { advise(begin, end, MADV_DONTNEED); }

}  // namespace kv::csv
