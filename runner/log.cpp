#include "log.hpp"

#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "concat.hpp"

namespace runner {
namespace {

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kWarning:
      return "WARNING";
    case LogLevel::kError:
      return "ERROR";
    case LogLevel::kInfo:
      break;
  }
  return "INFO";
}

std::string now() {
  timespec time = {};
  clock_gettime(CLOCK_REALTIME, &time);
  tm parts = {};
  gmtime_r(&time.tv_sec, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(time.tv_nsec / 1'000'000));
  return text;
}

void write_line(LogLevel level, const std::string& who, pid_t pid, const std::string& text) {
  const std::string line = concat(now(), " ", name_of(level), " ", who, "[", std::to_string(pid), "]: ", text, "\n");
  // Nobody could be told that this fails.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void log(LogLevel level, const std::string& text) { write_line(level, "supervisor", ::getpid(), text); }

void log_worker(LogLevel level, unsigned worker, pid_t pid, const std::string& text) {
  write_line(level, concat("worker ", std::to_string(worker)), pid, text);
}

}  // namespace runner
