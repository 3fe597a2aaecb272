#include "pid_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "concat.hpp"
#include "failure.hpp"

namespace runner {

PidFile::PidFile(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const std::string written = concat(path_, ".", std::to_string(::getpid()));
  std::ofstream file(written);
  file << ::getpid() << '\n';
  file.close();
  if (!file || std::rename(written.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(written.c_str());
    throw Failure(kSystem, concat("runner: cannot write the pid file '", path_, "': ", std::strerror(error)));
  }
}

PidFile::~PidFile() {
  if (path_.empty()) return;
  pid_t pid = 0;
  if (std::ifstream(path_) >> pid && pid == ::getpid()) ::unlink(path_.c_str());
}

}  // namespace runner
