// Options: durable_storm --help.
//
// A family of processes over one data directory, each of which opened it by itself, is killed at random instants: one
// and then another, while a third is opening; at last everybody. The directory is opened again while the last victims
// may still be dying, and once more when all are gone, then from its files. What was acknowledged must be there, and
// nothing that was not begun. Exit code 0: as expected.
//
// The parent never opens the store. It judges nothing either: what is known about the contents lies in memory that all
// share, so whoever opens can judge.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "durable_process.hpp"

namespace kv::crash {
namespace {

constexpr unsigned kPatienceSeconds = 120;  // without progress

struct Options {
  DurableOptions durable;
  std::uint64_t kills = 1000;
  std::uint64_t seconds = 3600;
  std::uint64_t seed = 1;
  std::string directory;
  bool expect_violations = false;
};

void wait_microseconds(std::uint64_t n) { std::this_thread::sleep_for(std::chrono::microseconds(n)); }

DurableBoard& make_board() {
  void* const at = ::mmap(nullptr, sizeof(DurableBoard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::runtime_error("cannot map the scoreboard");
  return *static_cast<DurableBoard*>(at);  // zeros, which are a valid one
}

std::string make_directory(const std::string& parent) {
  std::string path = (parent.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(parent)) /
                     "durable-storm-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make a directory like " + path);
  return path;
}

class DurableStorm {
 public:
  explicit DurableStorm(const Options& options)
      : options_(options),
        directory_(make_directory(options.directory)),
        board_(make_board()),
        random_(options.seed),
        writers_(options.durable.writers, 0) {
    options_.durable.path = directory_ + "/data";
  }

  int run() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options_.seconds);
    while (kills_ < options_.kills && !violated() && std::chrono::steady_clock::now() < deadline) {
      ::alarm(kPatienceSeconds);
      round();
    }
    if (!violated() && kills_ >= 500 && board_.recoveries == 0) {
      board_.scoreboard.report("no writer was killed inside a transaction");
    }
    std::printf(
        "durable: %llu kills, %llu openings from files, %llu recoveries, %llu writes, %llu increments of the "
        "shared counter, %llu violations\n",
        number(kills_), number(board_.built), number(board_.recoveries), number(board_.scoreboard.writes),
        number(board_.shared.acknowledged), number(board_.scoreboard.violations));
    if (violated()) std::printf("first violation: %s\n", board_.scoreboard.first_violation);
    const bool as_expected = violated() == options_.expect_violations;
    if (as_expected) {
      std::filesystem::remove_all(directory_);
    } else {
      std::printf("the directory was kept: %s\n", directory_.c_str());
    }
    return as_expected ? EXIT_SUCCESS : EXIT_FAILURE;
  }

 private:
  static unsigned long long number(std::uint64_t value) noexcept { return value; }
  [[nodiscard]] bool violated() const noexcept { return board_.scoreboard.violations != 0; }

  void round() {
    board_.ready = 0;
    for (std::uint32_t writer = 0; writer < writers_.size(); ++writer) {
      start_writer(writer);
      if (random_.one_in(4)) wait_microseconds(random_.below(2'000));
    }
    for (std::uint64_t i = random_.below(4); i > 0 && !violated(); --i) {
      pause();
      const auto victim = static_cast<std::uint32_t>(random_.below(writers_.size()));
      kill(writers_[victim]);
      reap(writers_[victim]);
      start_writer(victim);
    }
    pause();
    kill_everybody();
    while (!violated() && !check_at_rest()) {
    }
  }

  // One after the other, in any order; by chance somebody opens the directory in between, and is killed or not.
  void kill_everybody() {
    std::vector<pid_t> order = writers_;
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
    const std::uint64_t opens_behind = random_.below(2 * order.size());
    pid_t newcomer = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      kill(order[i]);
      if (i == opens_behind) newcomer = start([this](Random& random) { look(random); });
      if (random_.one_in(2)) wait_microseconds(random_.below(300));
    }
    for (pid_t& writer : writers_) reap(writer);
    if (newcomer == 0) return;
    if (random_.one_in(4)) {
      wait_microseconds(random_.below(5'000));
      kill(newcomer);
    }
    reap(newcomer);
  }

  // Alone with the files. False = it was killed over it.
  bool check_at_rest() {
    pid_t checker = start([this](Random& random) { settle_all(random); });
    const bool kill_it = random_.one_in(4);
    if (kill_it) {
      wait_microseconds(random_.below(8'000));
      kill(checker);
    }
    return reap(checker) || violated();
  }

  // By chance until all have opened the store, and are writing.
  void pause() {
    if (!random_.one_in(4)) {
      while (board_.ready < writers_.size() && !violated()) wait_microseconds(100);
    }
    wait_microseconds(random_.below(3'000));
  }

  // ---- Children ----

  void write(std::uint32_t writer, Random& random) {
    DurableProcess process(options_.durable, board_, random);
    process.settle(writer);
    const std::uint64_t life = random.one_in(8) ? random.below(200) : ~std::uint64_t{0};
    for (std::uint64_t i = 0; i < life; ++i) {
      process.write(writer, random);
      ++board_.scoreboard.writes;
    }
    process.close();
  }
  void look(Random& random) {
    DurableProcess process(options_.durable, board_, random);
    process.check();
    process.close();
  }
  void settle_all(Random& random) {
    DurableProcess process(options_.durable, board_, random);
    if (!process.built()) throw Violation("somebody was there to be joined when all were dead");
    process.check();
    for (std::uint32_t writer = 0; writer < writers_.size(); ++writer) process.settle(writer);
    process.settle_shared();
    if (random.one_in(2)) process.close();
  }

  pid_t start(const std::function<void(Random&)>& life) {
    const std::uint64_t seed = random_.next();
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("cannot fork");
    if (pid != 0) return pid;
    ::alarm(0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      Random random(seed);
      life(random);
    } catch (const std::exception& error) {
      board_.scoreboard.report(error.what());
      ::_exit(EXIT_FAILURE);
    }
    ::_exit(EXIT_SUCCESS);
  }
  void start_writer(std::uint32_t writer) {
    writers_[writer] = start([this, writer](Random& random) { write(writer, random); });
  }

  void kill(pid_t pid) {
    ::kill(pid, SIGKILL);
    ++kills_;
  }
  // Whether it came to its end by itself.
  bool reap(pid_t& pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    pid = 0;
    if (WIFEXITED(status)) return WEXITSTATUS(status) == EXIT_SUCCESS;
    if (WTERMSIG(status) != SIGKILL) {
      board_.scoreboard.report("a process ended by itself, with wait status " + std::to_string(status));
    }
    return false;
  }

  Options options_;
  std::string directory_;
  DurableBoard& board_;
  Random random_;
  std::vector<pid_t> writers_;
  std::uint64_t kills_ = 0;
};

}  // namespace
}  // namespace kv::crash

int main(int argc, char** argv) {
  kv::crash::Options options;
  CLI::App app(
      "Kills a family of processes over one data directory at random instants, and looks at what its files hold.");
  app.add_option("--kills", options.kills);
  app.add_option("--seconds", options.seconds, "Ends the storm before all kills are done");
  app.add_option("--seed", options.seed);
  app.add_option("--writers", options.durable.writers)->check(CLI::Range(1U, kv::crash::kMaxWriters));
  app.add_option("--parts", options.durable.parts);
  app.add_option("--sync", options.durable.sync)->check(CLI::IsMember({"off", "interval", "always"}));
  app.add_option("--directory", options.directory);
  app.add_flag("--unmapped", options.durable.unmapped);
  app.add_flag("--expect-violations", options.expect_violations, "Success is to find one");
  CLI11_PARSE(app, argc, argv);
  try {
    return kv::crash::DurableStorm(options).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "durable_storm: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
