// What the supervisor has to say, on standard error, one line each in one write:
//
//   2026-03-01T09:14:07.123Z INFO supervisor[812]: 4 workers serve
//   2026-03-01T09:15:44.018Z WARNING worker 2[831]: killed by SIGSEGV after 97.3 s; again in 0.1 s
//
// Time (UTC), level, who is spoken of, the process number of it, text.
#pragma once

#include <sys/types.h>

#include <string>

namespace runner {

enum class LogLevel { kInfo, kWarning, kError };

// Of the supervisor, by itself.
void log(LogLevel level, const std::string& text);

// Of a worker. `worker` counts from 1.
void log_worker(LogLevel level, unsigned worker, pid_t pid, const std::string& text);

}  // namespace runner
