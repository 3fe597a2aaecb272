// A data directory: what gives a store its identity. Two paths are one store if they lead to one directory.
//
// The directory is known by device and inode and held open, so renaming it or changing the working directory does not
// matter to those who use it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "kv_storage/owned_fd.hpp"

namespace kv {

struct DirectoryId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  auto operator<=>(const DirectoryId&) const = default;
};

class Directory {
 public:
  // Opens the directory, making it (mode 0700, but not its parents) if there is none.
  // Throws Error{kInvalidArgument, kIo}; kBusy if it belongs to another user, kIo if every user may write to it.
  explicit Directory(const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }  // absolute, without symbolic links
  [[nodiscard]] DirectoryId id() const noexcept { return id_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }  // for openat(2)

 private:
  std::string path_;
  DirectoryId id_;
  OwnedFd fd_;
};

}  // namespace kv
