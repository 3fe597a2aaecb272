// A data directory as the identity of a store: one arena for it, whoever opens, forks, stops or dies, and when.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kv_storage/store.hpp"
#include "store/store_impl.hpp"
#include "support/child_process.hpp"
#include "support/memory_check.hpp"
#include "support/process_resources.hpp"
#include "support/temporary_directory.hpp"

namespace kv::test {
namespace {

constexpr StoreOptions kSmall{.max_memory = 8 * kMiB, .parts = 2};

std::shared_ptr<Store> open(const std::string& path) { return Store::open(path, kSmall); }
std::uint64_t arena_id(const Store& store) { return store.impl().arena->header().id; }

void put(Store& store, const std::string& key, std::int64_t by) { (void)store.root().increment(key, by); }
std::int64_t count(Store& store, const std::string& key) { return store.root().increment(key, 0); }

// A process that opened the directory by itself, and not by being forked from one that has it.
class Opener {
 public:
  explicit Opener(const std::string& path)
      : child_([&] {
          const auto store = open(path);
          put(*store, "opened", 1);
          ready_.open();
          return done_.pass() ? 0 : 1;
        }) {
    REQUIRE(ready_.pass());
  }
  int end() {
    done_.open();
    return child_.wait();
  }
  void kill() { child_.kill(); }
  [[nodiscard]] pid_t pid() const { return child_.pid(); }

 private:
  Gate ready_;
  Gate done_;
  ChildProcess child_;
};

template <class Action>
std::string error_of(ErrorCode code, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK_MESSAGE(error.code() == code, error.what());
    return error.what();
  }
  return "no error";
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Root may, unless it lacks the capability, as in a container.
bool may_look_at_everybody() {
  constexpr unsigned kPtrace = 19;  // CAP_SYS_PTRACE, capabilities(7)
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    constexpr std::string_view kEffective = "CapEff:";
    if (line.rfind(kEffective, 0) != 0) continue;
    return (std::stoull(line.substr(kEffective.size()), nullptr, 16) >> kPtrace & 1) != 0;
  }
  return false;
}

}  // namespace

TEST_CASE("directory: every way to write its path is the same store") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  const auto store = open(path);
  CHECK(store->built());
  CHECK(store->path() == std::filesystem::canonical(path).string());
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
  REQUIRE(::stat((path + "/LOCK").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  std::filesystem::create_symlink(path, root.path() + "/link");
  put(*store, "n", 1);
  for (const std::string& other :
       {path + "/", std::filesystem::relative(path).string(), root.path() + "/link", store->address()}) {
    CAPTURE(other);
    const auto again = open(other);
    CHECK(again->impl().arena == store->impl().arena);
    CHECK(count(*again, "n") == 1);
  }
  std::filesystem::rename(path, root.path() + "/moved");
  CHECK(open(root.path() + "/moved")->impl().arena == store->impl().arena);
  CHECK(open(path)->impl().arena != store->impl().arena);
}

TEST_CASE("directory: threads that open it at one time get one store") {
  for (int round = 0; round < 20; ++round) {
    const TemporaryDirectory root;
    std::vector<std::shared_ptr<Store>> stores(4);
    std::vector<std::thread> threads;
    for (auto& store : stores) threads.emplace_back([&] { store = open(root.path()); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& store : stores) CHECK(arena_id(*store) == arena_id(*stores[0]));
  }
}

TEST_CASE("directory: the last handle to be closed gives it back") {
  const TemporaryDirectory root;
  const ArenaResources before = arena_resources();
  auto first = open(root.path());
  auto second = open(root.path());
  const std::uint64_t id = arena_id(*first);
  first->close();
  CHECK_THROWS_AS(first->root(), Error);
  CHECK(arena_id(*open(root.path())) == id);
  second.reset();
  const auto fresh = open(root.path());
  CHECK(fresh->built());
  CHECK(arena_id(*fresh) != id);
  first.reset();
  fresh->close();
  CHECK(open(root.path())->built());
  CHECK(arena_resources().mappings == before.mappings + 1);  // of `fresh`, which is only closed
}

TEST_CASE("directory: 8 processes that open a new one at one time get one arena") {
  constexpr int kProcesses = 8;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    const TemporaryDirectory root;
    const std::string path = root.path() + "/data";
    Gate start;
    Gate end;
    int results[2];
    REQUIRE(::pipe(results) == 0);
    std::deque<ChildProcess> children;
    for (int i = 0; i < kProcesses; ++i) {
      children.emplace_back([&] {
        if (!start.pass()) return 1;
        const auto store = open(path);
        const std::uint64_t result[2] = {arena_id(*store), store->built() ? 1U : 0U};
        put(*store, "opened", 1);
        if (::write(results[1], result, sizeof result) != sizeof result) return 2;
        if (!end.pass()) return 3;
        return count(*store, "opened") == kProcesses ? 0 : 4;
      });
    }
    for (int i = 0; i < kProcesses; ++i) start.open();
    std::set<std::uint64_t> ids;
    std::uint64_t built = 0;
    for (int i = 0; i < kProcesses; ++i) {
      std::uint64_t result[2] = {};
      pollfd readable{results[0], POLLIN, 0};
      REQUIRE(::poll(&readable, 1, 60'000) == 1);
      REQUIRE(::read(results[0], result, sizeof result) == sizeof result);
      ids.insert(result[0]);
      built += result[1];
    }
    for (int i = 0; i < kProcesses; ++i) end.open();
    for (ChildProcess& child : children) CHECK(child.wait() == 0);
    CHECK(ids.size() == 1);
    CHECK(built == 1);
    ::close(results[0]);
    ::close(results[1]);
  }
}

TEST_CASE("directory: whoever dies, the others go on and a newcomer joins them") {
  const TemporaryDirectory root;
  auto host = std::make_unique<Opener>(root.path());
  std::unique_ptr<Opener> guest;
  constexpr int kRounds = 50;
  for (int round = 1; round <= kRounds; ++round) {
    guest = std::make_unique<Opener>(root.path());
    host->kill();  // from now on the guest is the only one, and was never the first
    host = std::move(guest);
  }
  const auto store = open(root.path());
  CHECK_FALSE(store->built());
  CHECK(count(*store, "opened") == kRounds + 1);
  const StoreStats stats = store->stats();
  REQUIRE(stats.processes.size() == 2);
  CHECK(std::set<int>{stats.processes[0].pid, stats.processes[1].pid} == std::set<int>{::getpid(), host->pid()});
  CHECK(host->end() == 0);
  CHECK(store->stats().processes.size() == 1);
  CHECK(store->verify().empty());
}

TEST_CASE("directory: a stopped process is as good as any to join through") {
  const TemporaryDirectory root;
  Opener host(root.path());
  REQUIRE(::kill(host.pid(), SIGSTOP) == 0);
  CHECK_FALSE(open(root.path())->built());
  REQUIRE(::kill(host.pid(), SIGCONT) == 0);
  CHECK(host.end() == 0);
}

TEST_CASE("directory: a forked child holds it like its parent") {
  Gate ready;
  Gate done;
  Gate joined;
  // The opener forks and is killed, or closes; its child is all that is left.
  for (const bool killed : {true, false}) {
    CAPTURE(killed);
    const TemporaryDirectory root;
    int pids[2];
    REQUIRE(::pipe(pids) == 0);
    ChildProcess parent([&] {
      auto store = open(root.path());
      const pid_t child = ::fork();
      if (child == 0) {
        put(*store, "child", 1);
        const pid_t self = ::getpid();
        if (::write(pids[1], &self, sizeof self) != sizeof self) ::_exit(1);
        ready.open();
        ::_exit(done.pass() && count(*store, "newcomer") == 1 ? (joined.open(), 0) : 1);
      }
      if (!killed) store.reset();
      wait_to_be_killed();
      return 0;
    });
    REQUIRE(ready.pass());
    pid_t child = 0;
    REQUIRE(::read(pids[0], &child, sizeof child) == sizeof child);
    if (killed) parent.kill();
    {
      const auto store = open(root.path());
      CHECK_FALSE(store->built());
      CHECK(count(*store, "child") == 1);
      put(*store, "newcomer", 1);
      done.open();
      CHECK(joined.pass());
    }
    // What is left of the child goes by itself; then the directory is free.
    while (::kill(child, 0) == 0 && ::access(("/proc/" + std::to_string(child) + "/fd/0").c_str(), F_OK) == 0)
      std::this_thread::yield();
    ::close(pids[0]);
    ::close(pids[1]);
  }
}

TEST_CASE("directory: what the dead left in LOCK does not matter") {
  const TemporaryDirectory root;
  const std::string lock = root.path() + "/LOCK";
  {
    Opener host(root.path());
    host.kill();
    CHECK(std::filesystem::file_size(lock) >= 2 * Member::kTextBytes);
    CHECK(open(root.path())->built());
  }
  const auto member = [&](int pid, std::uint64_t start) {
    Member line = Member::self(0, 1);
    line.pid = pid;
    line.start_time = start;
    const Member::Text text = line.text();
    return std::string(text.begin(), text.end());
  };
  for (const std::string& content :
       {std::string(1'000, 'x'), std::string(1'000, '\0'), std::string("pid=1 start="), member(::getpid(), 1),
        std::string(Member::kTextBytes, ' ') + member(::getpid(), 1) + member(1, 7)}) {
    std::ofstream(lock, std::ios::trunc) << content;
    Opener host(root.path());
    // Lines of the dead before the one of the living.
    const int fd = ::open(lock.c_str(), O_RDWR);
    const std::string stale = member(999'999'999, 5);
    REQUIRE(::pwrite(fd, stale.data(), stale.size(), 5 * Member::kTextBytes) == static_cast<ssize_t>(stale.size()));
    ::close(fd);
    CHECK_FALSE(open(root.path())->built());
    CHECK(host.end() == 0);
  }
}

TEST_CASE("directory: members that cannot be reached are named, and nothing is built") {
  const TemporaryDirectory root;
  Opener host(root.path());
  const std::string lock = root.path() + "/LOCK";
  const int fd = ::open(lock.c_str(), O_RDWR);
  Member::Text original;
  REQUIRE(::pread(fd, original.data(), original.size(), Member::kTextBytes) == static_cast<ssize_t>(original.size()));
  const auto member = Member::parse(original.data());
  REQUIRE(member);
  CHECK(member->pid == host.pid());
  const auto refuse = [&](const auto& change) {
    Member changed = *member;
    change(changed);
    const Member::Text text = changed.text();
    REQUIRE(::pwrite(fd, text.data(), text.size(), Member::kTextBytes) == static_cast<ssize_t>(text.size()));
    return error_of(ErrorCode::kBusy, [&] { open(root.path()); });
  };
  const std::string pid = "process " + std::to_string(host.pid());
  CHECK(contains(refuse([](Member& m) { ++m.pid_namespace; }), pid + " is in another PID namespace"));
  CHECK(contains(refuse([](Member& m) { ++m.boot; }), pid + " is on another machine"));
  REQUIRE(::pwrite(fd, original.data(), original.size(), Member::kTextBytes) == static_cast<ssize_t>(original.size()));
  ::close(fd);
  CHECK_FALSE(open(root.path())->built());
  CHECK(host.end() == 0);
}

TEST_CASE("directory: a process that forbids to be looked at, or runs another version, is named") {
  const TemporaryDirectory root;
  for (const bool other_layout : {false, true}) {
    Gate ready;
    Gate done;
    ChildProcess host([&] {
      const auto store = open(root.path());
      if (other_layout) store->impl().arena->header().layout_version += 1;
      if (!other_layout && ::prctl(PR_SET_DUMPABLE, 0) != 0) return 1;
      ready.open();
      return done.pass() ? 0 : 2;
    });
    REQUIRE(ready.pass());
    if (other_layout || !may_look_at_everybody()) {
      const std::string text = error_of(ErrorCode::kBusy, [&] { open(root.path()); });
      CHECK_MESSAGE(contains(text, "process " + std::to_string(host.pid())), text);
      CHECK_MESSAGE(contains(text, other_layout ? "version" : "PR_SET_DUMPABLE"), text);
    } else {
      CHECK_FALSE(open(root.path())->built());
    }
    done.open();
    CHECK(host.wait() == 0);
  }
}

TEST_CASE("directory: one that is being opened by a stopped process is busy, and free when that one is killed") {
  const TemporaryDirectory root;
  Gate ready;
  ChildProcess opener([&] {
    const Directory directory(root.path());
    LockFile lock(directory);
    if (!lock.try_turn() || !lock.try_alone()) return 1;
    lock.announce_turn(Member::self(-1, 0));
    ready.open();
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(ready.pass());
  REQUIRE(::kill(opener.pid(), SIGSTOP) == 0);
  int status = 0;
  REQUIRE(::waitpid(opener.pid(), &status, WUNTRACED) == opener.pid());
  const std::string text = error_of(ErrorCode::kBusy, [&] { open(root.path()); });
  CHECK_MESSAGE(contains(text, "process " + std::to_string(opener.pid()) + ", which is stopped"), text);
  opener.kill();  // between lock and publication
  CHECK(open(root.path())->built());
}

TEST_CASE("directory: what cannot be a data directory is refused by name, and leaves nothing behind") {
  const TemporaryDirectory root;
  const std::string file = root.path() + "/file";
  std::ofstream(file) << "text";
  const auto refuse = [&](ErrorCode code, const std::string& path) { return error_of(code, [&] { open(path); }); };
  CHECK(contains(refuse(ErrorCode::kInvalidArgument, ""), "not empty"));
  CHECK(contains(refuse(ErrorCode::kIo, file), file));
  CHECK(contains(refuse(ErrorCode::kIo, file + "/below"), file));
  CHECK(contains(refuse(ErrorCode::kIo, root.path() + "/no/parent"), "/no/parent"));
  CHECK_FALSE(std::filesystem::exists(root.path() + "/no"));
  std::filesystem::create_directory(root.path() + "/link-lock");
  std::filesystem::create_symlink(file, root.path() + "/link-lock/LOCK");
  CHECK(contains(refuse(ErrorCode::kIo, root.path() + "/link-lock"), "LOCK"));
  std::filesystem::create_directory(root.path() + "/open");
  REQUIRE(::chmod((root.path() + "/open").c_str(), 0777) == 0);
  CHECK(contains(refuse(ErrorCode::kIo, root.path() + "/open"), "chmod 700"));
  if (::geteuid() == 0) {
    std::filesystem::create_directory(root.path() + "/foreign");
    REQUIRE(::chown((root.path() + "/foreign").c_str(), 65'534, 65'534) == 0);
    CHECK(contains(refuse(ErrorCode::kBusy, root.path() + "/foreign"), "user 65534"));
  }
  const ArenaResources before = arena_resources();
  using system::Call;
  for (const auto& [call, n] : {std::pair{Call::kLock, 0},
                                {Call::kLock, 1},
                                {Call::kLock, 2},
                                {Call::kTruncate, 0},
                                {Call::kTruncate, 1},
                                {Call::kMemfdCreate, 0},
                                {Call::kMap, 0}}) {
    CAPTURE(static_cast<int>(call));
    CAPTURE(n);
    const FailingCall fault(call, n, ENOLCK);
    CHECK_THROWS_AS(open(root.path()), Error);
    CHECK(FailingCall::fired());
    CHECK(arena_resources() == before);
  }
  const auto store = open(root.path());
  CHECK(store->built());
}

}  // namespace kv::test
