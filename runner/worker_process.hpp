// A worker as a process: how the supervisor starts one, and what a runner does that finds itself to be one.
//
// A worker is this same executable, started anew with the program's arguments. It finds the store by KV_STORAGE_ATTACH
// and has nothing else of the supervisor: no memory, no descriptor but those of sockets it shall serve.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "listen.hpp"

namespace runner {

// What all workers of a service have in common.
struct WorkerCommand {
  std::vector<std::string> arguments;  // as python3 gets them, the program first
  std::string notify_address;          // NOTIFY_SOCKET
};

// A process that fork(2) would have made from `executable`, in a process group of its own, with standard input empty.
// `variables` are added to our environment. Throws Failure{kSystem}.
[[nodiscard]] pid_t spawn(const std::string& executable, const std::vector<std::string>& arguments,
                          const std::vector<std::pair<std::string, std::string>>& variables,
                          const std::vector<Listener>& listeners);

// `number` counts from 1.
[[nodiscard]] pid_t spawn_worker(const WorkerCommand& command, const std::vector<Listener>& listeners, unsigned number);

// The number of the worker that this process is, if a supervisor has started it as one. Then it dies with the
// supervisor, the sockets are its own, and what is for it alone is no longer in the environment for its children.
[[nodiscard]] std::optional<unsigned> become_worker();

}  // namespace runner
