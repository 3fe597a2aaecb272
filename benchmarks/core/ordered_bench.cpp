// Times a Map (kv::Ordered: crash-safe, in shared memory) beside a red-black tree: std::map whose nodes lie in a pool
// of their own (std::pmr), which is as close to an arena as it comes.
//
//   ordered_bench [ENTRIES [SEED]]      a million 64-bit keys in random order by default
//
// put        new keys                      get        present keys in random order
// rank       how many keys are less        select     the key of a rank
// scan       all keys in order             erase      all keys in random order
//
// A red-black tree without counts has to walk for rank and select: it is timed on a hundred of each.
// Nanoseconds an entry, CPU time of the thread, the best of twenty slices.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iterator>
#include <map>
#include <memory_resource>
#include <random>
#include <string>
#include <vector>

#include "kv_storage/store.hpp"

namespace {

using Key = std::int64_t;
constexpr std::size_t kSlices = 20;
constexpr std::size_t kSlowOperations = 100;

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void measure(const char* peer, const char* work, std::size_t count, const std::function<void(std::size_t)>& one) {
  const std::size_t slice = std::max<std::size_t>(count / kSlices, 1);
  double best = 1e9;
  for (std::size_t from = 0; from + slice <= count; from += slice) {
    const double start = thread_seconds();
    for (std::size_t i = from; i < from + slice; ++i) one(i);
    best = std::min(best, thread_seconds() - start);
  }
  std::printf("%-10s %-8s %10.1f ns\n", peer, work, best / static_cast<double>(slice) * 1e9);
}

std::string encoded(Key key) { return kv::ordered_key::of_integer(kv::KeyType::kInt, key); }

void run_map(const std::vector<Key>& keys, const std::vector<Key>& order, std::uint64_t& sink) {
  auto store = kv::Store::create({.max_memory = std::uint64_t{16} << 30, .parts = 1});
  kv::Ordered map = store->ordered("bench", kv::CollectionKind::kMap, kv::KeyType::kInt);
  const auto value = [](const Key& key) {
    return kv::Value{kv::ValueType::kInt, {reinterpret_cast<const char*>(&key), sizeof key}};
  };
  const std::uint64_t before = store->stats().parts[0].used_bytes;
  measure("Map", "put", keys.size(), [&](std::size_t i) { map.put(encoded(keys[i]), value(keys[i])); });
  const std::uint64_t bytes = store->stats().parts[0].used_bytes - before;
  kv::ValueBuffer buffer;
  measure("Map", "get", keys.size(), [&](std::size_t i) { sink += map.get(encoded(order[i]), buffer) ? 1 : 0; });
  measure("Map", "rank", keys.size(), [&](std::size_t i) { sink += map.rank(encoded(order[i])); });
  measure("Map", "select", keys.size(),
          [&](std::size_t i) { sink += map.select(static_cast<std::uint64_t>(i) * 7919 % keys.size())->size(); });
  const double start = thread_seconds();
  kv::Scan scan = map.scan({}, true);
  for (kv::ScanPage page; scan.next(page);) sink += page.items.size();
  std::printf("%-10s %-8s %10.1f ns\n", "Map", "scan",
              (thread_seconds() - start) / static_cast<double>(keys.size()) * 1e9);
  measure("Map", "erase", keys.size(), [&](std::size_t i) { sink += map.erase(encoded(order[i])) ? 1 : 0; });
  std::printf("%-10s %-8s %10.1f bytes\n", "Map", "memory",
              static_cast<double>(bytes) / static_cast<double>(keys.size()));
}

// Counts what the pool takes.
class Counting final : public std::pmr::memory_resource {
 public:
  std::size_t bytes = 0;

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    bytes += size;
    return std::pmr::new_delete_resource()->allocate(size, alignment);
  }
  void do_deallocate(void* at, std::size_t size, std::size_t alignment) override {
    std::pmr::new_delete_resource()->deallocate(at, size, alignment);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

void run_rb_tree(const std::vector<Key>& keys, const std::vector<Key>& order, std::uint64_t& sink) {
  Counting counting;
  std::pmr::unsynchronized_pool_resource pool(&counting);
  std::pmr::map<Key, Key> map(&pool);
  measure("std::map", "put", keys.size(), [&](std::size_t i) { map[keys[i]] = keys[i]; });
  const std::size_t bytes = counting.bytes;
  measure("std::map", "get", keys.size(), [&](std::size_t i) { sink += map.find(order[i]) != map.end() ? 1 : 0; });
  measure("std::map", "rank", kSlowOperations, [&](std::size_t i) {
    sink += static_cast<std::uint64_t>(std::distance(map.begin(), map.lower_bound(order[i])));
  });
  measure("std::map", "select", kSlowOperations, [&](std::size_t i) {
    sink +=
        static_cast<std::uint64_t>(std::next(map.begin(), static_cast<std::ptrdiff_t>(i * 7919 % keys.size()))->second);
  });
  const double start = thread_seconds();
  for (const auto& [key, value] : map) sink += static_cast<std::uint64_t>(value);
  std::printf("%-10s %-8s %10.1f ns\n", "std::map", "scan",
              (thread_seconds() - start) / static_cast<double>(keys.size()) * 1e9);
  measure("std::map", "erase", keys.size(), [&](std::size_t i) { sink += map.erase(order[i]); });
  std::printf("%-10s %-8s %10.1f bytes\n", "std::map", "memory",
              static_cast<double>(bytes) / static_cast<double>(keys.size()));
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  std::mt19937_64 random(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  for (const bool dense : {true, false}) {
    std::vector<Key> keys(entries);
    for (std::size_t i = 0; i < entries; ++i) keys[i] = dense ? static_cast<Key>(i) : static_cast<Key>(random());
    std::shuffle(keys.begin(), keys.end(), random);
    std::vector<Key> order = keys;
    std::shuffle(order.begin(), order.end(), random);
    std::printf("%s keys\n", dense ? "consecutive" : "random");
    std::uint64_t sink = 0;
    run_map(keys, order, sink);
    run_rb_tree(keys, order, sink);
    std::printf("(%llu)\n\n", static_cast<unsigned long long>(sink));
  }
}
