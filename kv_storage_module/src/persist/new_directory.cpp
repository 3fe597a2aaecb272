#include "persist/new_directory.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "kv_storage/error.hpp"
#include "persist/files.hpp"

namespace kv::persist {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_not_empty(const std::string& path) {
  throw Error(ErrorCode::kInvalidArgument, "'" + path + "' exists and is not an empty directory");
}

// Absolute and without a slash at the end; what a symbolic link leads to.
[[nodiscard]] fs::path target_of(const std::string& given) {
  if (given.empty() || given.find('\0') != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "the path of a new directory is a text without NUL and not empty");
  }
  std::error_code error;
  fs::path target = fs::absolute(given, error).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  const fs::file_status status = fs::status(target, error);
  if (status.type() == fs::file_type::not_found && !fs::is_symlink(target, error)) return target;
  if (!fs::is_directory(status)) throw_not_empty(given);
  const bool empty = fs::is_empty(target, error);
  if (error) throw Error::from_errno(error.value(), "cannot look at the directory", given);
  if (!empty) throw_not_empty(given);
  target = fs::canonical(target, error);
  if (error) throw Error::from_errno(error.value(), "cannot look at the directory", given);
  return target;
}

}  // namespace

NewDirectory::NewDirectory(const std::string& path) {
  const fs::path target = target_of(path);
  target_ = target.string();
  const std::string parent = target.parent_path().string();
  parent_ = OwnedFd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent_.is_open()) throw Error::from_errno(errno, "cannot open the directory", parent);
  std::string temporary = target_ + ".partial-XXXXXX";
  if (::mkdtemp(temporary.data()) == nullptr) throw Error::from_errno(errno, "cannot make the directory", temporary);
  path_ = temporary;
  fd_ = OwnedFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd_.is_open()) return;
  const int reason = errno;
  std::error_code ignored;
  fs::remove(path_, ignored);
  throw Error::from_errno(reason, "cannot open the directory", path_);
}

NewDirectory::~NewDirectory() {
  std::error_code ignored;
  if (!finished_) fs::remove_all(path_, ignored);
}

void NewDirectory::finish() {
  if (files().sync(fd_.get()) != 0) throw Error::from_errno(errno, "cannot sync", path_);
  const std::string from = fs::path(path_).filename().string();
  const std::string to = fs::path(target_).filename().string();
  if (files().rename(parent_.get(), from.c_str(), to.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) throw_not_empty(target_);
    throw Error::from_errno(errno, "cannot give the directory its name", target_);
  }
  finished_ = true;
  if (files().sync(parent_.get()) != 0) throw Error::from_errno(errno, "cannot sync the directory of", target_);
}

}  // namespace kv::persist
