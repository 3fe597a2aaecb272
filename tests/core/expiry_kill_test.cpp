// Processes that share due times and a clock, and are killed while they put, extend and reclaim.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kv_storage/hash.hpp"
#include "kv_storage/store.hpp"
#include "memory/clock.hpp"
#include "store/store_impl.hpp"
#include "support/child_process.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kLongestTtl = 40;

struct Shared {
  std::uint64_t now_ms;
  std::uint64_t operations;
};
Shared* shared_page = nullptr;

// A clock that all processes of the test share and move.
class SharedClock {
 public:
  SharedClock() {
    void* const page = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    shared_page = new (page) Shared{1'700'000'000'000, 0};
    set_clock_hook([] { return __atomic_load_n(&shared_page->now_ms, __ATOMIC_RELAXED); });
  }
  SharedClock(const SharedClock&) = delete;
  SharedClock& operator=(const SharedClock&) = delete;
  ~SharedClock() {
    set_clock_hook(nullptr);
    ::munmap(shared_page, sizeof(Shared));
  }
  static void advance(std::uint64_t ms) noexcept { __atomic_fetch_add(&shared_page->now_ms, ms, __ATOMIC_RELAXED); }
  static void count() noexcept { __atomic_fetch_add(&shared_page->operations, 1, __ATOMIC_RELAXED); }
  static std::uint64_t operations() noexcept { return __atomic_load_n(&shared_page->operations, __ATOMIC_RELAXED); }
};

// Changes keys until it is killed. Every value is its key, so that a torn or foreign one shows.
[[noreturn]] void change_for_ever(Store& store, std::uint32_t seed) {
  Hash root = store.root();
  Hash named = store.hash("named");
  std::mt19937 random(seed);
  ValueBuffer buffer;
  for (;;) {
    Hash& hash = random() % 2 == 0 ? root : named;
    const std::string key = "key-" + std::to_string(random() % 200);
    const Value value{ValueType::kText, key};
    const std::uint64_t ttl = 1 + random() % kLongestTtl;
    switch (random() % 8) {
      case 0:
      case 1:
        hash.put(key, value, ttl);
        break;
      case 2:
        hash.expire(key, ttl);
        break;
      case 3:
        hash.erase(key);
        break;
      case 4:
        hash.compare_and_set(key, value, value);
        break;
      case 5:
        if (random() % 500 == 0) hash.clear();
        break;
      case 6:
        static_cast<void>(hash.size());
        break;
      default:
        SharedClock::advance(1);
        if (hash.get(key, buffer) && buffer.bytes() != key) ::_exit(1);
    }
    SharedClock::count();
  }
}

}  // namespace

TEST_CASE("expiry: processes killed while they put, extend and reclaim leave no due time, entry or byte behind") {
  SharedClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB, .parts = 2});
  static_cast<void>(store->hash("named"));
  const auto used_bytes = [&] {
    std::uint64_t bytes = 0;
    for (const PartStats& part : store->stats().parts) bytes += part.used_bytes;
    return bytes;
  };
  const std::uint64_t empty = used_bytes();
  std::mt19937 random(1);
  std::vector<std::unique_ptr<ChildProcess>> workers(3);
  std::uint32_t seed = 0;
  const auto start = [&](std::size_t i) {
    workers[i] = std::make_unique<ChildProcess>([&]() -> int { change_for_ever(*store, ++seed); });
    ++seed;
  };
  for (std::size_t i = 0; i < workers.size(); ++i) start(i);
  for (int kills = 0; kills < 200; ++kills) {
    // Killed after so many operations of all: wherever it is then.
    const std::uint64_t until = SharedClock::operations() + random() % 2'000;
    while (SharedClock::operations() < until) ::sched_yield();
    const std::size_t victim = random() % workers.size();
    ::kill(workers[victim]->pid(), SIGKILL);
    REQUIRE(workers[victim]->wait() == -SIGKILL);
    for (const std::string& violation : store->verify()) FAIL(violation);
    start(victim);
  }
  workers.clear();
  SharedClock::advance(kLongestTtl);
  CHECK(store->root().size() == 0);
  CHECK(store->hash("named").size() == 0);
  store->root().clear();  // gives the look-aside tables back
  store->hash("named").clear();
  CHECK(used_bytes() == empty);
  for (const std::string& violation : store->verify()) FAIL_CHECK(violation);
}

}  // namespace kv::test
