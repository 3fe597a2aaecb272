// A data directory that comes into being whole or not at all: it is filled beside its name and renamed when everything
// in it is on disk. So whoever is killed meanwhile leaves a NAME.partial-XXXXXX, and never half a store.
#pragma once

#include <string>

#include "kv_storage/owned_fd.hpp"

namespace kv::persist {

class NewDirectory {
 public:
  // There must be nothing at `path` or an empty directory. Throws Error{kInvalidArgument, kIo}.
  explicit NewDirectory(const std::string& path);
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;
  ~NewDirectory();  // without finish(): removes what was written

  // Where to write until then; mode 0700.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  // At its name and on disk on return. Throws Error{kIo}; kInvalidArgument if something has come there meanwhile.
  void finish();

 private:
  std::string target_;  // absolute
  OwnedFd parent_;
  std::string path_;
  OwnedFd fd_;
  bool finished_ = false;
};

}  // namespace kv::persist
