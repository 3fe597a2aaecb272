// The pid file: the supervisor's process number on one line, written in one step, removed at the end.
#pragma once

#include <string>

namespace runner {

class PidFile {
 public:
  // Nothing if `path` is empty. Throws Failure{kSystem} if it cannot be written.
  explicit PidFile(std::string path);
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  ~PidFile();  // removes the file if it still is ours

 private:
  std::string path_;
};

}  // namespace runner
