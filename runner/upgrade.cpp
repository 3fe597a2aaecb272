#include "upgrade.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "concat.hpp"
#include "config.hpp"
#include "failure.hpp"
#include "kv_storage/owned_fd.hpp"
#include "log.hpp"
#include "preload.hpp"
#include "virtual_env.hpp"
#include "worker_process.hpp"

namespace runner {
namespace {

constexpr const char* kHandoverVariable = "RUNNER_HANDOVER";  // the descriptor of the file
constexpr const char* kFormatVariable = "RUNNER_HANDOVER_FORMAT";
constexpr const char* kFormat = "1";  // changes with the text below

// One line each, what may hold blanks last:
//   notify FD
//   listener FD NAME PATH
//   worker SLOT PID GENERATION STATE
std::string describe(const std::vector<Listener>& listeners, int notify_fd, const std::vector<Worker>& workers) {
  std::ostringstream text;
  text << "notify " << notify_fd << '\n';
  for (const Listener& listener : listeners) {
    text << "listener " << listener.fd << ' ' << (listener.name.empty() ? "unknown" : listener.name) << ' '
         << listener.unlink << '\n';
  }
  for (const Worker& worker : workers) {
    text << "worker " << worker.slot << ' ' << worker.pid << ' ' << worker.generation << ' '
         << static_cast<int>(worker.state) << '\n';
  }
  return text.str();
}

void set_close_on_exec(int fd, bool on) { ::fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0); }

bool is_directory(const std::string& address) { return address.starts_with('/'); }

std::string store_address() {
  const char* const address = std::getenv(kAttachVariable);
  return address == nullptr ? "" : address;
}

// Of "<pid>:<descriptor>:<id>". A store with a directory needs none: any worker that has it keeps it.
int store_fd() {
  const std::string address = store_address();
  if (is_directory(address)) return -1;
  const std::size_t colon = address.find(':');
  int fd = -1;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), fd);
  return fd;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t bytes; (bytes = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;) {
    text.append(buffer, static_cast<std::size_t>(bytes));
  }
  return text;
}

Handover parse(const std::string& text) {
  Handover handover;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "notify") {
      words >> handover.notify_fd;
      set_close_on_exec(handover.notify_fd, true);
    } else if (kind == "listener") {
      Listener listener;
      words >> listener.fd >> listener.name;
      words.get();
      std::getline(words, listener.unlink);
      set_close_on_exec(listener.fd, true);
      handover.listeners.push_back(listener);
    } else if (kind == "worker") {
      Worker worker = {};
      int state = 0;
      words >> worker.slot >> worker.pid >> worker.generation >> state;
      worker.state = static_cast<WorkerState>(state);
      handover.workers.push_back(worker);
    }
  }
  return handover;
}

}  // namespace

bool has_handover() noexcept { return std::getenv(kHandoverVariable) != nullptr; }

std::optional<Handover> take_handover() {
  const char* const variable = std::getenv(kHandoverVariable);
  if (variable == nullptr) return std::nullopt;
  const kv::OwnedFd file(std::atoi(variable));
  ::unsetenv(kHandoverVariable);
  set_close_on_exec(store_fd(), true);
  Handover handover = parse(read_all(file.get()));
  handover.store = join_store();
  return handover;
}

void check_upgrade(const std::string& configuration) {
  const char* const format = std::getenv(kFormatVariable);
  if (format == nullptr || std::strcmp(format, kFormat) != 0) {
    throw Failure(kSystem, "runner: cannot take over: the running runner hands over in another form");
  }
  (void)join_store();
  if (!configuration.empty()) (void)load_config(configuration);
}

Upgrade::Upgrade(const std::vector<std::string>& arguments)
    : executable_(find_executable(arguments.front().c_str())), arguments_(arguments) {}

void Upgrade::begin_check() {
  if (checker_ != 0) return;
  log(LogLevel::kInfo, concat("SIGUSR2: asking ", executable_, " whether it can take over"));
  checker_ = spawn(executable_, {arguments_.front(), "--check_upgrade"}, {{kFormatVariable, kFormat}}, {});
}

bool Upgrade::end_check(int status) {
  checker_ = 0;
  if (status == 0) return true;
  log(LogLevel::kError, concat("SIGUSR2: no upgrade: ", executable_, " cannot take over; all goes on as it was"));
  return false;
}

std::string Upgrade::replace_this_process(const std::vector<Listener>& listeners, const NotifySocket& notify,
                                          const std::vector<Worker>& workers) const {
  const bool is_kept = std::any_of(workers.begin(), workers.end(),
                                   [](const Worker& worker) { return worker.state == WorkerState::kReady; });
  if (is_directory(store_address()) && !is_kept) return "no worker serves, so nobody would keep the data meanwhile";
  const kv::OwnedFd file(::memfd_create("runner_handover", 0));
  const std::string text = describe(listeners, notify.fd(), workers);
  if (!file.is_open() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return concat("cannot write down what is handed over: ", std::strerror(errno));
  }
  std::vector<int> kept = {store_fd(), notify.fd()};
  for (const Listener& listener : listeners) kept.push_back(listener.fd);
  for (const int fd : kept) set_close_on_exec(fd, false);
  ::setenv(kHandoverVariable, std::to_string(file.get()).c_str(), 1);
  std::vector<std::string> words = arguments_;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  log(LogLevel::kInfo, concat("becoming ", executable_));
  ::execv(executable_.c_str(), pointers.data());
  const std::string reason = concat(executable_, ": ", std::strerror(errno));
  ::unsetenv(kHandoverVariable);
  for (const int fd : kept) set_close_on_exec(fd, true);
  return reason;
}

}  // namespace runner
