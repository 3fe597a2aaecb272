// The arena as an object of the operating system: creating, failing to, joining from elsewhere, and what is left
// behind.
#include "memory/arena.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "kv_storage/error.hpp"
#include "kv_storage/memory_limit.hpp"
#include "support/child_process.hpp"
#include "support/memory_check.hpp"
#include "support/process_resources.hpp"

namespace kv::test {
namespace {

constexpr ArenaOptions kSmall{.max_memory = 8 * kMiB, .parts = 2};
constexpr const char* kAddressVariable = "KV_TEST_ARENA";

template <class Action>
std::string error_of(ErrorCode code, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Ref store_word(Part& part, std::uint64_t value) {
  Transaction txn(part);
  const Ref block = txn.allocate(8);
  store_relaxed<std::uint64_t>(txn.fresh(block), value);
  txn.commit();
  return block;
}

}  // namespace

TEST_CASE("arena: options out of range are refused with the range") {
  CHECK(contains(error_of(ErrorCode::kInvalidArgument, [] { Arena::create({.max_memory = 1'000}); }), "4194304"));
  CHECK(contains(error_of(ErrorCode::kInvalidArgument, [] { Arena::create({.max_memory = kMiB * 8, .parts = 65}); }),
                 "between 1 and 64"));
  CHECK(contains(error_of(ErrorCode::kInvalidArgument, [] { Arena::create({.max_memory = std::uint64_t{1} << 45}); }),
                 "max_memory"));
  CHECK(contains(error_of(ErrorCode::kInvalidArgument, [] { Arena::create({.max_memory = ~std::uint64_t{0}}); }),
                 "max_memory"));
}

TEST_CASE("arena: from 1 to 64 parts, each with its own memory") {
  for (const std::uint32_t parts : {1U, 2U, 7U, 64U}) {
    auto arena = Arena::create({.max_memory = 128 * kMiB, .parts = parts});
    REQUIRE(arena->part_count() == parts);
    CHECK(reinterpret_cast<std::byte*>(&arena->part(parts - 1).control() + 1) <= arena->part(0).slice());
    for (std::uint32_t i = 0; i < parts; ++i) {
      Part& part = arena->part(i);
      CHECK(part.slice() + arena->header().slice_bytes <= arena->base() + arena->header().total_bytes);
      if (i > 0) CHECK(part.slice() >= arena->part(i - 1).slice() + arena->header().slice_bytes);
      store_word(part, i);
    }
    for (std::uint32_t i = 0; i < parts; ++i) {
      const auto blocks = blocks_in_use(arena->part(i));
      REQUIRE(blocks.size() == 1);
      CHECK(load64(arena->part(i).at(blocks.begin()->first, 8)) == i);
    }
  }
}

TEST_CASE("arena: max_memory bounds the parts together") {
  auto arena = Arena::create({.max_memory = 8 * kMiB, .parts = 4});
  std::size_t blocks = 0;
  for (std::uint32_t i = 0; i < 4; ++i) {
    CHECK_THROWS_AS(
        [&] {
          for (;; ++blocks) {
            Transaction txn(arena->part(i));
            static_cast<void>(txn.allocate(100'000));
            txn.commit();
          }
        }(),
        Error);
  }
  CHECK(blocks > 50);
  CHECK(arena->committed_bytes() <= 8 * kMiB + 4 * 64 * 1024);
}

TEST_CASE("arena: by default as much as the machine lets us, and one part") {
  auto arena = Arena::create({});
  CHECK(arena->header().max_memory == system::memory_limit() / 10 * 6);
  CHECK(arena->part_count() == (arena->header().max_memory > 31 * 1024 * kMiB ? arena->part_count() : 1));
  CHECK(arena->committed_bytes() < 4 * kMiB);
}

TEST_CASE("arena: nothing is left of one that is gone, or that could not be made") {
  const ArenaResources before = arena_resources();
  {
    auto arena = Arena::create(kSmall);
    CHECK(arena_resources() == ArenaResources{before.descriptors + 2, before.mappings + 1});
  }
  CHECK(arena_resources() == before);
  using system::Call;
  for (const Call call : {Call::kMemfdCreate, Call::kTruncate, Call::kAllocate, Call::kMap, Call::kOpen, Call::kLock}) {
    CAPTURE(static_cast<int>(call));
    const FailingCall fault(call, 0, ENOMEM);
    CHECK_THROWS_AS(Arena::create(kSmall), Error);
    CHECK(FailingCall::fired());
    CHECK(arena_resources() == before);
  }
  auto arena = Arena::create(kSmall);
  const ArenaResources with_one = arena_resources();
  for (const auto& [call, n] : {std::pair{Call::kOpen, 0}, {Call::kOpen, 1}, {Call::kMap, 0}, {Call::kLock, 0}}) {
    CAPTURE(static_cast<int>(call));
    const FailingCall fault(call, n, ENOMEM);
    CHECK_THROWS_AS(Arena::attach(::getpid(), arena->fd(), arena->header().id), Error);
    CHECK(FailingCall::fired());
    CHECK(arena_resources() == with_one);
  }
}

TEST_CASE("arena: its size is sealed") {
  auto arena = Arena::create(kSmall);
  const auto bytes = static_cast<off_t>(arena->header().total_bytes);
  for (const off_t other : {off_t{0}, bytes - 4096, bytes + 4096}) {
    CHECK(::ftruncate(arena->fd(), other) == -1);
    CHECK(errno == EPERM);
  }
  CHECK(::fallocate(arena->fd(), 0, bytes, 4096) == -1);
}

TEST_CASE("arena: it is not part of core dumps") {
  auto arena = Arena::create(kSmall);
  const auto mappings = arena_mapping_flags();
  REQUIRE(!mappings.empty());
  for (const std::string& flags : mappings) CHECK(contains(flags, " dd "));
}

TEST_CASE("arena: its descriptors are not inherited by other programs") {
  auto arena = Arena::create(kSmall);
  CHECK((::fcntl(arena->fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(arena->slot_fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("arena: joined a second time it is the same memory at another address, in another slot") {
  auto arena = Arena::create(kSmall);
  auto again = Arena::attach(::getpid(), arena->fd(), arena->header().id);
  CHECK(again->base() != arena->base());
  CHECK(again->slot() != arena->slot());
  const Ref block = store_word(arena->part(1), 77);
  CHECK(load64(again->part(1).at(block, 8)) == 77);
  arena.reset();
  CHECK(load64(again->part(1).at(block, 8)) == 77);
}

// Started as a program of its own by the next test.
TEST_CASE("arena: guest" * doctest::skip()) {
  const char* const address = std::getenv(kAddressVariable);
  REQUIRE(address != nullptr);
  int pid = 0;
  int fd = 0;
  unsigned long long id = 0;
  REQUIRE(std::sscanf(address, "%d:%d:%llu", &pid, &fd, &id) == 3);
  auto arena = Arena::attach(pid, fd, id);
  Part& part = arena->part(0);
  const auto blocks = blocks_in_use(part);
  REQUIRE(blocks.size() == 1);
  Transaction txn(part);
  txn.store64(blocks.begin()->first, 0, load64(txn.at(blocks.begin()->first)) + 1);
  txn.commit();
}

TEST_CASE("arena: another program joins, changes it and leaves") {
  auto arena = Arena::create(kSmall);
  const Ref block = store_word(arena->part(0), 41);
  const std::string variable = std::string(kAddressVariable) + "=" + std::to_string(::getpid()) + ":" +
                               std::to_string(arena->fd()) + ":" + std::to_string(arena->header().id);
  const char* const arguments[] = {"guest", "--no-skip", "--test-case=arena: guest", nullptr};
  const char* const environment[] = {variable.c_str(), nullptr};
  pid_t pid = 0;
  REQUIRE(::posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, const_cast<char* const*>(arguments),
                        const_cast<char* const*>(environment)) == 0);
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
  CHECK(load64(arena->part(0).at(block, 8)) == 42);
}

TEST_CASE("arena: what is not the arena asked for is refused, and says why") {
  auto arena = Arena::create(kSmall);
  const auto refuse = [&](int pid, int fd, std::uint64_t id) {
    return error_of(ErrorCode::kBusy, [&] { Arena::attach(pid, fd, id); });
  };
  const std::uint64_t id = arena->header().id;
  CHECK(contains(refuse(::getpid(), arena->fd(), id + 1), "something else now"));
  CHECK(contains(refuse(::getpid(), 9'999, id), "No such file"));
  ChildProcess gone([] { return 0; });
  const pid_t gone_pid = gone.pid();
  CHECK(gone.wait() == 0);
  CHECK(contains(refuse(gone_pid, arena->fd(), id), std::to_string(gone_pid)));
  const int other = ::open("/dev/null", O_RDWR);
  CHECK(contains(refuse(::getpid(), other, id), "something else now"));
  ::close(other);
  const int empty = system::memfd_create("empty");
  CHECK(contains(refuse(::getpid(), empty, id), "something else now"));
  ::close(empty);
  arena->header().layout_version += 1;
  CHECK(contains(refuse(::getpid(), arena->fd(), id), "version"));
  arena->header().layout_version -= 1;
  CHECK(Arena::attach(::getpid(), arena->fd(), id)->header().id == id);
}

TEST_CASE("arena: when every slot is taken a newcomer is told so, and gets the first that falls free") {
  auto arena = Arena::create(kSmall);
  const auto attach = [&] { return Arena::attach(::getpid(), arena->fd(), arena->header().id); };
  const int holder = system::reopen(arena->fd());
  REQUIRE(holder >= 0);
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    if (slot != arena->slot()) REQUIRE(system::lock_byte(holder, slot) == 0);
  }
  const ArenaResources before = arena_resources();
  CHECK(contains(error_of(ErrorCode::kBusy, attach), "1024"));
  CHECK(arena_resources() == before);
  struct flock unlock {};
  unlock.l_type = F_UNLCK;
  unlock.l_start = 500;
  unlock.l_len = 1;
  REQUIRE(::fcntl(holder, F_OFD_SETLK, &unlock) == 0);
  CHECK(attach()->slot() == 500);
  ::close(holder);
}

TEST_CASE("arena: a fork gets a slot of its own and gives the parent's back") {
  auto arena = Arena::create(kSmall);
  const std::uint32_t slot = arena->slot();
  const ArenaResources before = arena_resources();
  Gate ready;
  Gate done;
  ChildProcess child([&] {
    if (arena->slot() == slot || !(arena_resources() == before)) return 1;
    ready.open();
    return done.pass() ? 0 : 2;
  });
  CHECK(arena_resources() == before);
  CHECK(arena->slot() == slot);
  REQUIRE(ready.pass());
  int locked = 0;
  for (std::uint32_t i = 0; i < kMaxSlots; ++i) locked += system::byte_is_locked(arena->fd(), i);
  CHECK(locked == 2);
  arena.reset();
  done.open();
  CHECK(child.wait() == 0);
}

}  // namespace kv::test
