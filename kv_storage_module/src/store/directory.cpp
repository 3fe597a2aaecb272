#include "store/directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "kv_storage/error.hpp"

namespace kv {
namespace {

constexpr mode_t kMode = 0700;  // a store is shared by the processes of one user

// The path is that of the open directory, for messages and for children that are to find it.
[[nodiscard]] std::string path_of(int fd, const std::string& given) {
  std::error_code error;
  const auto target = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
  return error ? std::filesystem::absolute(given).lexically_normal().string() : target.string();
}

void check_owner(const std::string& path, const struct stat& status) {
  if (status.st_uid == ::geteuid()) return;
  throw Error(ErrorCode::kBusy, "the data directory '" + path + "' belongs to user " + std::to_string(status.st_uid) +
                                    ", and this process runs as user " + std::to_string(::geteuid()) +
                                    ": a store is shared by the processes of one user");
}

[[nodiscard]] int open_directory(const std::string& path) {
  const int mkdir_error = ::mkdir(path.c_str(), kMode) == 0 ? 0 : errno;
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) return fd;
  const int reason = errno;
  // There is none, and the reason is why it could not be made: a read-only file system, say.
  if (reason == ENOENT && mkdir_error != 0 && mkdir_error != EEXIST)
    throw Error::from_errno(mkdir_error, "cannot make the data directory", path);
  struct stat status {};
  if (reason == EACCES && ::stat(path.c_str(), &status) == 0) check_owner(path, status);
  throw Error::from_errno(reason, "cannot open the data directory", path);
}

}  // namespace

Directory::Directory(const std::string& path) : fd_(-1) {
  if (path.empty() || path.find('\0') != std::string::npos)
    throw Error(ErrorCode::kInvalidArgument, "the path of a data directory is a text without NUL and not empty");
  fd_ = OwnedFd(open_directory(path));
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) throw Error::from_errno(errno, "cannot look at the data directory", path);
  path_ = path_of(fd_.get(), path);
  check_owner(path_, status);
  if ((status.st_mode & S_IWOTH) != 0) {
    throw Error::from_errno(EPERM, "every user may write to the data directory (chmod 700 it)", path_);
  }
  id_ = {status.st_dev, status.st_ino};
}

}  // namespace kv
