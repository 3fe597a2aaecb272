#include "worker_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>

#include "concat.hpp"
#include "failure.hpp"

namespace runner {
namespace {

// For the worker alone: the process that must be its parent.
constexpr const char* kSupervisorVariable = "RUNNER_SUPERVISOR";
// For the program, too: which of the workers it is.
constexpr const char* kWorkerVariable = "RUNNER_WORKER";
// CPython finds itself by argv[0]; what runs is the very file that runs here, even if it has been replaced on disk.
constexpr const char* kOwnExecutable = "/proc/self/exe";

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& variables) {
  std::map<std::string, std::string> all;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string entry = *each;
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos) all[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  all.erase("NOTIFY_SOCKET");  // the supervisor's
  for (const auto& [name, value] : variables) all[name] = value;
  std::vector<std::string> entries;
  for (const auto& [name, value] : all) entries.push_back(concat(name, "=", value));
  return entries;
}

std::string names_of(const std::vector<Listener>& listeners) {
  std::string names;
  for (const Listener& listener : listeners) names.append(names.empty() ? "" : ":").append(listener.name);
  return names;
}

long number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  long number = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

}  // namespace

pid_t spawn(const std::string& executable, const std::vector<std::string>& arguments,
            const std::vector<std::pair<std::string, std::string>>& variables, const std::vector<Listener>& listeners) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    posix_spawn_file_actions_adddup2(&files, listeners[i].fd, kFirstPassedFd + static_cast<int>(i));
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);  // Ctrl-C reaches the supervisor only, which then stops the workers
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> words = arguments;
  std::vector<std::string> entries = environment_with(variables);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, executable.c_str(), &files, &attributes, pointers(words).data(), pointers(entries).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw Failure(kSystem, concat("cannot start a process: ", std::strerror(error)));
  return pid;
}

pid_t spawn_worker(const WorkerCommand& command, const std::vector<Listener>& listeners, unsigned number) {
  std::vector<std::pair<std::string, std::string>> variables = {
      {kSupervisorVariable, std::to_string(::getpid())},
      {kWorkerVariable, std::to_string(number)},
      {"NOTIFY_SOCKET", command.notify_address},
  };
  if (!listeners.empty()) {
    variables.emplace_back("LISTEN_FDS", std::to_string(listeners.size()));
    variables.emplace_back("LISTEN_FDNAMES", names_of(listeners));
  }
  return spawn(kOwnExecutable, command.arguments, variables, listeners);
}

std::optional<unsigned> become_worker() {
  const long supervisor = number_in(kSupervisorVariable);
  ::unsetenv(kSupervisorVariable);
  if (supervisor == 0 || supervisor != ::getppid()) return std::nullopt;
  ::prctl(PR_SET_NAME, "runner");  // not "exe"
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != supervisor) ::raise(SIGKILL);  // it died before we asked
  if (std::getenv("LISTEN_FDS") != nullptr) ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  return static_cast<unsigned>(number_in(kWorkerVariable));
}

}  // namespace runner
