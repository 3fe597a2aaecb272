#include "init_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "concat.hpp"
#include "failure.hpp"

namespace runner {
namespace {

// Faults belong to the process that made them. SIGTTIN and SIGTTOU would stop the parent for giving away the terminal.
sigset_t forwarded_signals() {
  sigset_t signals;
  sigfillset(&signals);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU}) {
    sigdelset(&signals, signal);
  }
  return signals;
}

// A process group of its own in the foreground, so that Ctrl-C reaches the program once: from the terminal, not from
// us.
void take_terminal() {
  setpgid(0, 0);
  std::signal(SIGTTOU, SIG_IGN);
  tcsetpgrp(STDIN_FILENO, getpgrp());
  std::signal(SIGTTOU, SIG_DFL);
}

// Reaps all that has died; ends this process once `program` has.
void reap(pid_t program) {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != program) continue;
    std::_Exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  }
}

}  // namespace

void leave_init_process() {
  if (getpid() != 1) return;
  const sigset_t signals = forwarded_signals();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &signals, &before);
  const pid_t program = fork();
  if (program < 0) throw Failure(kSystem, concat("runner: cannot fork: ", std::strerror(errno)));
  if (program == 0) {
    take_terminal();
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return;
  }
  for (;;) {
    const int signal = sigwaitinfo(&signals, nullptr);
    if (signal == SIGCHLD) {
      reap(program);
    } else if (signal > 0) {
      kill(program, signal);
    }
  }
}

}  // namespace runner
