#include "kv_storage/cache.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kv_storage/store.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

Value bytes_value(ByteView bytes) { return {ValueType::kBytes, bytes}; }

std::optional<std::string> get(const Cache& cache, const std::string& key) {
  ValueBuffer buffer;
  if (!cache.get(key, buffer)) return std::nullopt;
  return std::string(buffer.bytes());
}

void check_sound(const Store& store) {
  for (const std::string& violation : store.verify()) FAIL_CHECK(violation);
}

}  // namespace

TEST_CASE("cache: with room for all, nothing is lost") {
  constexpr int kKeys = 280;  // the table of so many is at times too full for one more
  auto store = Store::create({.max_memory = 256 * kMiB, .parts = 1});
  for (int number = 0; number < 400; ++number) {
    const std::string name = std::to_string(number);
    Cache cache = store->cache(name, kMiB);
    const auto key = [&](int i) { return name + "-" + std::to_string(i); };
    for (int i = 0; i < kKeys; ++i) {
      cache.put(key(i), bytes_value(key(i)));
      cache.put(key(i), bytes_value(key(i)));
    }
    for (int i = 0; i < kKeys; ++i) CHECK(get(cache, key(i)) == key(i));
    CHECK(cache.size() == kKeys);
    store->drop(name);
  }
  check_sound(*store);
}

TEST_CASE("cache: whatever it returns was put last, and it never holds more than its capacity") {
  for (const std::uint32_t parts : {1U, 4U}) {
    CAPTURE(parts);
    auto store = Store::create({.max_memory = 256 * kMiB, .parts = parts});
    Cache cache = store->cache("c", 200'000);
    std::map<std::string, std::string> oracle;
    std::mt19937 random(parts);
    ValueBuffer buffer;
    std::uint64_t hits = 0;
    for (int step = 0; step < 60'000; ++step) {
      const std::string key = "key-" + std::to_string(random() % 3'000);
      const auto known = oracle.find(key);
      switch (random() % 12) {
        case 0: {
          const bool was_there = cache.contains(key);
          CHECK(cache.erase(key) == was_there);
          oracle.erase(key);
          break;
        }
        case 1:
          if (cache.take(key, buffer)) {
            REQUIRE(known != oracle.end());
            CHECK(buffer.bytes() == known->second);
          }
          oracle.erase(key);
          CHECK(!cache.contains(key));
          break;
        case 2:
          if (random() % 500 == 0) {
            cache.clear();
            oracle.clear();
            CHECK(cache.size() == 0);
            CHECK(cache.stats().bytes == 0);
          } else if (random() % 100 == 0) {
            cache.resize(20'000 + random() % 400'000);
          }
          break;
        case 3:
        case 4:
        case 5: {
          const std::size_t size = random() % 50 == 0 ? random() % 60'000 : random() % 300;
          const std::string value(size, static_cast<char>(random()));
          if (cache.put(key, bytes_value(value))) {
            oracle[key] = value;
            CHECK(get(cache, key) == value);
          } else {
            oracle.erase(key);
            CHECK(!cache.contains(key));
          }
          break;
        }
        default:
          if (const auto found = get(cache, key)) {
            ++hits;
            REQUIRE(known != oracle.end());
            CHECK(*found == known->second);
          }
      }
      if (step % 1'000 == 0) {
        const CacheStats stats = cache.stats();
        CHECK(stats.bytes <= stats.capacity);
        CHECK(stats.entries == cache.size());
        check_sound(*store);
      }
    }
    CHECK(hits > 1'000);
    CHECK(cache.stats().evictions > 1'000);
    CHECK(cache.stats().refused > 0);
    CHECK(store->drop("c"));
    check_sound(*store);
  }
}

TEST_CASE("cache: values being looked at survive eviction") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Cache cache = store->cache("c", 100'000);
  const std::string large(20'000, 'x');
  ValueBuffer buffer;
  REQUIRE(cache.put("large", bytes_value(large)));
  REQUIRE(cache.get("large", buffer));
  CHECK(buffer.pinned());
  cache.resize(10'000);
  for (int i = 0; i < 5'000; ++i) REQUIRE(cache.put("k" + std::to_string(i), bytes_value(std::string(100, 'y'))));
  CHECK(!cache.contains("large"));
  CHECK(buffer.bytes() == large);
  check_sound(*store);
}

TEST_CASE("cache: capacities that make no sense are refused, too large values are counted") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  CHECK_THROWS_AS(store->cache("c", 1), Error);
  CHECK_THROWS_AS(store->cache("c", kMinCacheCapacity - 1), Error);
  CHECK_THROWS_AS(store->cache("c", 65 * kMiB), Error);
  CHECK(store->collections().empty());
  Cache cache = store->cache("c", 10'000);
  CHECK_THROWS_AS(cache.resize(0), Error);
  CHECK_THROWS_AS(static_cast<void>(store->hash("c")), Error);
  static_cast<void>(store->hash("h"));
  CHECK_THROWS_AS(store->cache("h"), Error);
  REQUIRE(cache.put("k", bytes_value("small")));
  CHECK(!cache.put("k", bytes_value(std::string(20'000, 'x'))));
  CHECK(!cache.contains("k"));
  CHECK(cache.stats().refused == 1);
  CHECK_THROWS_AS(cache.put(std::string(kMaxKeyBytes + 1, 'k'), bytes_value("v")), Error);
  CHECK(store->cache("c").stats().capacity == 10'000);
  CHECK(store->cache("c", 20'000).stats().capacity == 20'000);
  CHECK(store->cache("default").stats().capacity == 32 * kMiB);
  CHECK(Store::create({.max_memory = 64 * kMiB, .cache_capacity = 5'000'000})->cache("default").stats().capacity ==
        5'000'000);
}

TEST_CASE("cache: it gives way when the store is full") {
  auto store = Store::create({.max_memory = 32 * kMiB});
  Cache cache = store->cache("c", 24 * kMiB);
  const std::string value(1'000, 'x');
  for (int i = 0; i < 40'000; ++i) REQUIRE(cache.put("c" + std::to_string(i), bytes_value(value)));
  CHECK(cache.stats().bytes > 20 * kMiB);
  Hash hash = store->root();
  for (int i = 0; i < 20'000; ++i) REQUIRE_NOTHROW(hash.put("h" + std::to_string(i), bytes_value(value)));
  CHECK(hash.size() == 20'000);
  CHECK(cache.stats().bytes < 12 * kMiB);
  int stored = 20'000;
  try {
    for (; stored < 100'000; ++stored) hash.put("h" + std::to_string(stored), bytes_value(value));
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kOverCapacity);
  }
  CHECK(stored > 25'000);
  CHECK(cache.size() == 0);
  CHECK(!cache.put("now", bytes_value(std::string(4 * kMiB, 'x'))));
  check_sound(*store);
}

namespace {

// The policy without what makes it fast: a counter for each key, a ghost that is a queue. As in
// benchmarks/cache_policy/cache_sim.cpp.
class ExactPolicy {
 public:
  explicit ExactPolicy(std::size_t capacity) : capacity_(capacity) {}

  bool request(std::size_t key) {
    if (const auto found = counts_.find(key); found != counts_.end()) {
      found->second = std::min(3, found->second + 1);
      return true;
    }
    while (small_.size() + main_.size() >= capacity_) evict();
    counts_[key] = 0;
    const auto ghost = std::find(ghosts_.begin(), ghosts_.end(), key);
    (ghost == ghosts_.end() ? small_ : main_).push_back(key);
    if (ghost != ghosts_.end()) ghosts_.erase(ghost);
    return false;
  }

 private:
  void evict() {
    const bool from_small = main_.empty() || small_.size() * 10 >= capacity_;
    auto& queue = from_small ? small_ : main_;
    const std::size_t key = queue.front();
    queue.pop_front();
    int& count = counts_[key];
    if (count > 0) {
      count = from_small ? 0 : count - 1;
      main_.push_back(key);
      return;
    }
    counts_.erase(key);
    ghosts_.push_back(key);
    if (ghosts_.size() * 8 > capacity_ * 9) ghosts_.pop_front();
  }

  std::size_t capacity_;
  std::map<std::size_t, int> counts_;
  std::deque<std::size_t> small_, main_, ghosts_;
};

}  // namespace

TEST_CASE("cache: as many hits on a Zipf trace as the exact policy has") {
  constexpr std::size_t kKeys = 10'000;
  constexpr std::size_t kCapacity = 1'000;
  constexpr int kRequests = 100'000;
  constexpr double kBound = 0.01;  // of all requests: what shared counters and a forgetful ghost may cost
  std::vector<double> cumulative(kKeys);
  double sum = 0;
  for (std::size_t i = 0; i < kKeys; ++i) cumulative[i] = sum += std::pow(static_cast<double>(i + 1), -0.99);
  std::mt19937_64 random(7);
  auto store = Store::create({.max_memory = 64 * kMiB});
  Cache cache = store->cache("c", kCapacity * 144);  // a block of 144 bytes: 8 + 20 + 100 and 16 of links
  const std::string value(100, 'v');
  ExactPolicy exact(kCapacity);
  int exact_hits = 0;
  for (int i = 0; i < kRequests; ++i) {
    const double at = static_cast<double>(random()) / 18446744073709551616.0 * sum;
    const auto rank = std::lower_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
    std::string key = "key-" + std::to_string(rank);
    key.resize(20, '-');
    if (!get(cache, key)) REQUIRE(cache.put(key, bytes_value(value)));
    exact_hits += exact.request(static_cast<std::size_t>(rank)) ? 1 : 0;
  }
  const CacheStats stats = cache.stats();
  CHECK(stats.hits + stats.misses == kRequests);
  CHECK(stats.entries == kCapacity);
  CHECK(std::abs(static_cast<double>(stats.hits) - exact_hits) < kBound * kRequests);
}

TEST_CASE("cache: one thread computes, the others wait for it") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Cache cache = store->cache("c", kMiB);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> computed{0};
    std::vector<std::thread> threads;
    const std::string key = "key-" + std::to_string(round);
    for (std::uint64_t t = 1; t <= 4; ++t) {
      threads.emplace_back([&, t] {
        ValueBuffer buffer;
        CacheLease lease;
        if (cache.claim(key, t, buffer, lease) == Claim::kMine) {
          ++computed;
          std::this_thread::yield();
          CHECK(cache.fill(lease, key, bytes_value(key)));
        } else {
          CHECK(buffer.bytes() == key);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(computed == 1);
  }
  check_sound(*store);
}

TEST_CASE("cache: who fails lets another compute, and nobody waits for himself") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Cache cache = store->cache("c", kMiB);
  ValueBuffer buffer;
  CacheLease first, second;
  REQUIRE(cache.claim("k", 1, buffer, first) == Claim::kMine);
  CHECK(cache.try_claim("k", 2, buffer, second) == Claim::kBusy);
  CHECK_THROWS_AS(static_cast<void>(cache.claim("k", 1, buffer, second)), Error);
  std::thread waiter([&] { CHECK(cache.claim("k", 2, buffer, second) == Claim::kMine); });
  cache.abandon(first);
  waiter.join();
  CHECK(cache.fill(second, "k", bytes_value("v")));
  CHECK(cache.claim("k", 3, buffer, first) == Claim::kFound);
  check_sound(*store);
}

TEST_CASE("cache: the lease of a dead process is taken over") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Cache cache = store->cache("c", kMiB);
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ValueBuffer buffer;
    CacheLease lease;
    const char mine = cache.claim("k", 1, buffer, lease) == Claim::kMine ? 1 : 0;
    if (::write(ready[1], &mine, 1) != 1) ::_exit(1);
    ::pause();
  }
  char mine = 0;
  REQUIRE(::read(ready[0], &mine, 1) == 1);
  CHECK(mine == 1);
  ValueBuffer buffer;
  CacheLease lease;
  CHECK(cache.try_claim("k", 1, buffer, lease) == Claim::kBusy);
  std::thread waiter([&] {
    CHECK(cache.claim("k", 1, buffer, lease) == Claim::kMine);
    cache.fill(lease, "k", bytes_value("mine"));
  });
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  waiter.join();
  CHECK(get(cache, "k") == "mine");
  check_sound(*store);
  ::close(ready[0]);
  ::close(ready[1]);
}

namespace {

// Puts, erases, computes and looks until it is killed; `steps` counts what it has done.
[[noreturn]] void work_until_killed(Cache cache, unsigned seed, std::atomic<std::uint64_t>& steps) {
  std::mt19937 random(seed);
  ValueBuffer buffer;
  for (;; ++steps) {
    const std::string key = "key-" + std::to_string(random() % 400);
    const std::string value = key + std::string(random() % 10 == 0 ? random() % 40'000 : random() % 300, 'x');
    CacheLease lease;
    switch (random() % 8) {
      case 0:
        cache.erase(key);
        break;
      case 1:
        if (cache.claim(key, 1, buffer, lease) == Claim::kMine) cache.fill(lease, key, bytes_value(value));
        break;
      case 2:
        if (random() % 200 == 0) cache.clear();
        if (random() % 50 == 0) cache.resize(40'000 + random() % 200'000);
        break;
      case 3:
        cache.put(key, bytes_value(value), 1 + random() % 3);
        break;
      case 4:
        cache.put(key, bytes_value(value));
        break;
      default:
        if (cache.get(key, buffer) && !buffer.bytes().starts_with(key)) ::_exit(1);
    }
  }
}

}  // namespace

TEST_CASE("cache: processes killed at any instant leave it sound") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Cache cache = store->cache("c", 150'000);
  void* const shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  auto& steps = *new (shared) std::atomic<std::uint64_t>{0};
  std::mt19937 random(5);
  std::vector<pid_t> children;
  const auto start = [&](unsigned seed) {
    const pid_t child = ::fork();
    if (child == 0) work_until_killed(cache, seed, steps);
    return child;
  };
  for (unsigned i = 0; i < 3; ++i) children.push_back(start(i));
  for (unsigned kill = 0; kill < 150; ++kill) {
    const std::uint64_t target = steps + random() % 500;
    while (steps < target) std::this_thread::yield();
    pid_t& victim = children[random() % children.size()];
    ::kill(victim, SIGKILL);
    int status = 0;
    ::waitpid(victim, &status, 0);
    CHECK(WIFSIGNALED(status));
    check_sound(*store);
    victim = start(100 + kill);
  }
  for (const pid_t child : children) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  ::munmap(shared, 4096);
  ValueBuffer buffer;
  CacheLease lease;
  for (int i = 0; i < 400; ++i) {
    const std::string key = "key-" + std::to_string(i);
    if (cache.claim(key, 1, buffer, lease) == Claim::kMine) cache.fill(lease, key, bytes_value(key));
  }
  cache.clear();
  CHECK(cache.stats().bytes == 0);
  check_sound(*store);
}

}  // namespace kv::test
