#include "supervisor.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "concat.hpp"
#include "failure.hpp"
#include "listen.hpp"
#include "log.hpp"
#include "notify.hpp"
#include "pid_file.hpp"
#include "preload.hpp"
#include "process_title.hpp"
#include "upgrade.hpp"
#include "watch.hpp"
#include "worker_pool.hpp"
#include "worker_process.hpp"

namespace runner {
namespace {

namespace fs = std::filesystem;

// After the last of several changes, before workers are replaced: an editor or a checkout writes many files.
constexpr std::chrono::milliseconds kQuietTime{200};

constexpr int kHandled[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};

class SignalQueue {
 public:
  SignalQueue() {
    sigset_t handled;
    sigemptyset(&handled);
    for (const int signal : kHandled) sigaddset(&handled, signal);
    fd_.reset(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd_.is_open()) throw Failure(kSystem, concat("runner: cannot wait for signals: ", std::strerror(errno)));
    sigaddset(&handled, SIGPIPE);  // a log that nobody reads any more is no reason to end
    ::sigprocmask(SIG_BLOCK, &handled, nullptr);
  }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  // 0 = none.
  [[nodiscard]] int take() {
    signalfd_siginfo info = {};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  kv::OwnedFd fd_;
};

// What the supervisor takes over from its start, or from the runner that it replaces.
struct Possessions {
  std::shared_ptr<kv::Store> store;
  std::vector<Listener> listeners;
  std::unique_ptr<NotifySocket> notify;
  std::vector<Worker> workers;
};

// What is to be done.
struct Service {
  CommandLine line;
  Config config;
  WorkerCommand command;
  std::string watched;  // directory; "" = none
  std::string title;    // " (main.py)"
};

class Supervisor {
 public:
  Supervisor(const Service& service, Possessions possessions, ProcessTitle title);
  int run();

 private:
  void on_signal(int signal);
  void on_changes();
  void reap();
  void replace_workers(const char* why);
  void stop();
  void kill_now();
  void begin_upgrade();
  void on_upgrade_checked(int status);
  void report();
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] int milliseconds_to_wait() const;

  Service service_;
  Possessions own_;
  ProcessTitle title_;
  SignalQueue signals_;
  PidFile pid_file_;
  std::unique_ptr<Watch> watch_;
  WorkerPool pool_;
  Upgrade upgrade_;
  std::optional<Time> replace_at_;
  std::string status_;
  bool stopping_ = false;
  bool failed_ = false;
  bool has_told_ready_ = false;
};

std::string title_of(const PythonArguments& python) {
  return python.script.empty() ? "" : concat(" (", python.script, ")");
}

std::string watched_directory(const PythonArguments& python) {
  const std::string directory = fs::absolute(python.script).parent_path().string();
  return python.program == Program::kModule ? fs::current_path().string() : directory;
}

WorkerCommand command_of(const CommandLine& line, const NotifySocket& notify) {
  WorkerCommand command;
  for (const char* word : line.python) {
    if (word != nullptr) command.arguments.emplace_back(word);
  }
  command.notify_address = notify.address();
  return command;
}

Supervisor::Supervisor(const Service& service, Possessions possessions, ProcessTitle title)
    : service_(service),
      own_(std::move(possessions)),
      title_(title),
      pid_file_(service.config.workers.pid_file),
      pool_([this](unsigned slot) { return spawn_worker(service_.command, own_.listeners, slot + 1); },
            service.config.workers),
      upgrade_(service.line.arguments) {
  for (const Worker& worker : own_.workers) pool_.adopt(worker);
}

bool Supervisor::is_over() const { return stopping_ && pool_.workers().empty(); }

int Supervisor::milliseconds_to_wait() const {
  std::optional<Time> next = pool_.next_deadline();
  if (replace_at_) next = std::min(next.value_or(*replace_at_), *replace_at_);
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, 3'600'000));
}

int Supervisor::run() {
  if (!service_.watched.empty()) watch_ = std::make_unique<Watch>(service_.watched, service_.config.path);
  if (!own_.workers.empty()) replace_workers("taken over by this runner");
  while (!is_over()) {
    pool_.tick();
    report();
    pollfd events[] = {{signals_.fd(), POLLIN, 0},
                       {own_.notify->fd(), POLLIN, 0},
                       {watch_ ? watch_->fd() : -1, POLLIN, 0}};  // a negative descriptor is left out
    ::poll(events, std::size(events), milliseconds_to_wait());
    for (auto message = own_.notify->receive(); message.has_value(); message = own_.notify->receive()) {
      if (message->has("READY=1")) pool_.on_ready(message->sender);
    }
    while (const int signal = signals_.take()) on_signal(signal);
    if (watch_) on_changes();
    if (pool_.has_given_up() && !watch_ && !stopping_) {
      failed_ = true;
      stop();
    }
  }
  log(LogLevel::kInfo, failed_ ? "ended: the workers keep failing" : "ended");
  return failed_ ? kUnavailable : kSuccess;
}

void Supervisor::on_signal(int signal) {
  switch (signal) {
    case SIGCHLD:
      return reap();
    case SIGHUP:
      return replace_workers("SIGHUP");
    case SIGUSR1:
      return pool_.log_status();
    case SIGUSR2:
      return begin_upgrade();
    case SIGQUIT:
      return kill_now();
    default:  // SIGTERM, SIGINT
      return stopping_ ? kill_now() : stop();
  }
}

// Everything that has ended: workers, the check of an upgrade, and for PID 1 orphans.
void Supervisor::reap() {
  for (;;) {
    siginfo_t info = {};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    // What a worker has left behind in its group ends with it. Until it is reaped, its number means no other group.
    if (pool_.owns(info.si_pid)) ::kill(-info.si_pid, SIGTERM);
    int status = 0;
    ::waitpid(info.si_pid, &status, 0);
    if (info.si_pid == upgrade_.checker()) {
      on_upgrade_checked(status);
    } else {
      pool_.on_exit(info.si_pid, status);
    }
  }
}

void Supervisor::on_changes() {
  const std::string changed = watch_->take_changes();
  if (!changed.empty()) {
    if (!replace_at_) log(LogLevel::kInfo, concat("changed: ", changed));
    replace_at_ = Clock::now() + kQuietTime;
  } else if (replace_at_ && *replace_at_ <= Clock::now()) {
    replace_at_.reset();
    replace_workers("--reload");
  }
}

// With what the configuration says now; its files are not loaded again.
void Supervisor::replace_workers(const char* why) {
  if (stopping_) return;
  Config& config = service_.config;
  if (!config.path.empty()) {
    try {
      Config fresh = load_config(config.path);
      service_.line.apply_to(fresh);
      if (fresh.workers.count == 0) throw Failure(kBadConfig, "[runner] workers = 0 takes a restart");
      if (fresh.workers.listen_text != config.workers.listen_text) {
        log(LogLevel::kWarning, "[runner] listen has changed: that takes a restart");
      }
      config = std::move(fresh);
      pool_.set_options(config.workers);
    } catch (const Failure& failure) {
      return log(LogLevel::kError, concat(why, ": nothing is replaced: ", failure.what()));
    }
  }
  log(LogLevel::kInfo, concat(why, ": replacing the workers"));
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  notify_service_manager(
      concat("RELOADING=1\nMONOTONIC_USEC=", std::to_string(now.tv_sec * 1'000'000 + now.tv_nsec / 1'000)));
  has_told_ready_ = false;
  pool_.replace_all();
}

void Supervisor::stop() {
  stopping_ = true;
  log(LogLevel::kInfo, "stopping");
  notify_service_manager("STOPPING=1\nSTATUS=Stopping");
  for (const Listener& listener : own_.listeners) close_listener(listener);  // workers still have theirs
  own_.listeners.clear();
  pool_.stop();
}

void Supervisor::kill_now() {
  if (!stopping_) stop();
  log(LogLevel::kWarning, "killing what is left");
  pool_.kill_all();
}

void Supervisor::begin_upgrade() {
  if (stopping_) return;
  try {
    upgrade_.begin_check();
  } catch (const Failure& failure) {
    log(LogLevel::kError, concat("SIGUSR2: no upgrade: ", failure.what()));
  }
}

void Supervisor::on_upgrade_checked(int status) {
  if (!upgrade_.end_check(status) || stopping_) return;
  const std::string reason = upgrade_.replace_this_process(own_.listeners, *own_.notify, pool_.workers());
  log(LogLevel::kError, concat("SIGUSR2: no upgrade: ", reason));
}

// Says how it is, where it is looked at: log, service manager, process title.
void Supervisor::report() {
  const std::string count = std::to_string(pool_.serving());
  const char* const noun = pool_.serving() == 1 ? " worker" : " workers";
  std::string status = concat(count, noun, stopping_ ? ", stopping" : pool_.is_replacing() ? ", replacing" : "");
  const bool is_ready = !stopping_ && !pool_.is_replacing() && pool_.is_complete();
  if (status != status_) {
    status_ = std::move(status);
    title_.set(concat("runner: supervisor, ", status_, service_.title));
    notify_service_manager(concat("STATUS=", status_));
  }
  if (is_ready && !has_told_ready_) {
    has_told_ready_ = true;
    log(LogLevel::kInfo, concat(count, noun, pool_.serving() == 1 ? " serves" : " serve"));
    notify_service_manager("READY=1");
  }
}

void check_program(const CommandLine& line, const PythonArguments& python) {
  if (python.program == Program::kNone || python.inspect) {
    throw Failure(kUsage,
                  "runner: workers need a program: a script, -m module or -c command; for a prompt or standard "
                  "input use --workers 0");
  }
  if (line.reload && python.program == Program::kCommand) {
    throw Failure(kUsage, "runner: --reload needs a script or -m module: -c has no file to watch");
  }
  if (!python.script.empty() && ::access(python.script.c_str(), R_OK) != 0) {
    throw Failure(kUsage, concat("runner: can't open file '", python.script, "': ", std::strerror(errno)));
  }
}

Possessions acquire(const CommandLine& line, const Config& config, const std::string& script) {
  Possessions own;
  if (auto handed_over = take_handover()) {
    own.store = handed_over->store;
    own.listeners = std::move(handed_over->listeners);
    own.notify = std::make_unique<NotifySocket>(handed_over->notify_fd);
    own.workers = std::move(handed_over->workers);
    return own;
  }
  own.listeners = take_passed_listeners();
  if (own.listeners.empty() && !config.workers.listen.is_none()) {
    own.listeners.push_back(bind_listener(config.workers.listen));
  }
  own.store = open_store(line, config, script);
  ::setenv(kAttachVariable, own.store->address().c_str(), 1);  // ours, even if it is shared with a parent
  own.notify = std::make_unique<NotifySocket>();
  return own;
}

}  // namespace

int supervise(const CommandLine& line, const Config& config, const PythonArguments& python, int argc, char** argv) {
  check_program(line, python);
  const std::string directory = line.reload ? watched_directory(python) : "";
  Possessions own = acquire(line, config, python.script);
  const bool is_upgrade = !own.workers.empty();
  for (const Listener& listener : own.listeners) {
    if (!is_upgrade) start_listening(listener);
    log(LogLevel::kInfo, concat("listening on ", address_of(listener)));
  }
  const WorkerCommand command = command_of(line, *own.notify);
  const ProcessTitle title(argc, argv);  // line.python is gone from here on
  Supervisor supervisor({line, config, command, directory, title_of(python)}, std::move(own), title);
  return supervisor.run();
}

}  // namespace runner
