// What --reload looks at: Python files in a directory and those below it.
#pragma once

#include <map>
#include <string>

#include "kv_storage/owned_fd.hpp"

namespace runner {

class Watch {
 public:
  // Hidden directories, __pycache__, node_modules and virtual environments are left out. `file` is one more file to
  // look at, wherever it is ("" = none). Throws Failure{kSystem} if the directory cannot be watched.
  Watch(const std::string& directory, const std::string& file);

  [[nodiscard]] int fd() const noexcept { return inotify_.get(); }  // readable: something has changed

  // Takes what there is to read. Whether a file that matters was written, moved or removed: its path, else "".
  [[nodiscard]] std::string take_changes();

 private:
  void add_tree(const std::string& directory);
  bool add(const std::string& directory);

  kv::OwnedFd inotify_;
  std::map<int, std::string> directories_;  // by watch descriptor
  std::string file_;
  bool is_full_ = false;
};

}  // namespace runner
