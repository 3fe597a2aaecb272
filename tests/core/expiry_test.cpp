// Entries that expire, by a clock that the tests move.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/fake_clock.hpp"
#include "support/store_check.hpp"

namespace kv::test {

TEST_CASE("expiry: an entry is there until the instant it is due, and absent to every call from then on") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB});
  Hash hash = store->root();
  ValueBuffer buffer;
  hash.put("a", bytes_value("1"), 1000);
  clock.advance(999);
  CHECK(hash.contains("a"));
  CHECK(hash.time_to_live("a")->ms == 1);
  clock.advance(1);
  CHECK_FALSE(hash.contains("a"));
  CHECK_FALSE(hash.get("a", buffer));
  CHECK_FALSE(hash.time_to_live("a").has_value());
  CHECK_FALSE(hash.expire("a", 10));
  CHECK_FALSE(hash.persist("a"));
  CHECK_FALSE(hash.compare_and_set("a", bytes_value("1"), bytes_value("2")));
  std::string key;
  CHECK_FALSE(hash.take_last(key, buffer));
  CHECK(keys_of(hash).empty());
  CHECK(hash.size() == 0);
  CHECK(hash.increment("a", 5) == 5);
  CHECK_FALSE(hash.time_to_live("a")->expires);
}

TEST_CASE("expiry: put without a ttl clears it, incr and compare_and_set keep it, also of a pinned value") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB});
  Hash hash = store->root();
  hash.put("n", bytes_value("x"), 100);
  hash.put("n", bytes_value("x"));
  CHECK_FALSE(hash.time_to_live("n")->expires);

  const std::int64_t one = 1;
  hash.put("n", {ValueType::kInt, {reinterpret_cast<const char*>(&one), sizeof one}}, 100);
  CHECK(hash.increment("n", 1) == 2);
  CHECK(hash.time_to_live("n")->ms == 100);
  ValueType type{};
  const Pin pin = hash.pin("n", type);
  CHECK(hash.increment("n", 1) == 3);
  CHECK(hash.expire("n", 50));
  CHECK(hash.time_to_live("n")->ms == 50);
  clock.advance(50);
  CHECK_FALSE(hash.contains("n"));
  hash.put("other", bytes_value("x"));  // reclaims, and the pin keeps what it sees
  std::int64_t seen = 0;
  std::memcpy(&seen, pin.bytes().data(), sizeof seen);
  CHECK(seen == 2);
  check_sound(*store);
}

TEST_CASE("expiry: expire and persist keep the value, whatever its size, with and without room in its block") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 256 * kMiB});
  Hash hash = store->root();
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string key = "key-" + std::to_string(size), value(size, 'v');
    hash.put(key, bytes_value(value));
    CHECK(hash.expire(key, 10));
    CHECK(get(hash, key) == value);
    CHECK(hash.persist(key));
    CHECK(get(hash, key) == value);
    CHECK(hash.expire(key, 20));
    CHECK(hash.expire(key, 5));
  }
  const std::string large(5 * kMiB, 'l');
  hash.put("large", bytes_value(large));
  CHECK(hash.expire("large", 6));
  CHECK(get(hash, "large") == large);
  CHECK(hash.size() == 201);
  clock.advance(5);
  CHECK(hash.size() == 1);
  clock.advance(1);
  CHECK(hash.size() == 0);
  check_sound(*store);
}

TEST_CASE("expiry: a ttl that would overflow is refused and changes nothing") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Hash hash = store->root();
  hash.put("a", bytes_value("1"));
  CHECK_THROWS_AS(hash.put("a", bytes_value("2"), kMaxTtlMs + 1), Error);
  CHECK_THROWS_AS(hash.expire("a", ~std::uint64_t{0}), Error);
  CHECK(get(hash, "a") == "1");
  CHECK_FALSE(hash.time_to_live("a")->expires);
  CHECK(hash.put("a", bytes_value("2"), kMaxTtlMs) == false);
}

TEST_CASE("expiry: when the clock goes back, due times stay what they were") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB});
  Hash hash = store->root();
  hash.put("a", bytes_value("1"), 1000);
  FakeClock::now() -= 5000;
  CHECK(hash.time_to_live("a")->ms == 6000);
  hash.put("b", bytes_value("1"), 1000);
  clock.advance(1000);
  CHECK(keys_of(hash) == std::vector<std::string>{"a"});
  CHECK(hash.size() == 1);
  clock.advance(1'000'000);
  CHECK(hash.size() == 0);
  check_sound(*store);
}

TEST_CASE("expiry: records of a schema collection expire with their slots") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB});
  const Schema schema({Schema::parse_type("n", "i8")});
  RecordHash records = store->records("records", schema);
  const auto put = [&](const std::string& key, std::int64_t n, std::uint64_t ttl_ms) {
    return records.put(key, &n, ttl_ms);
  };
  for (int i = 0; i < 300; ++i) CHECK(put("key-" + std::to_string(i), i, i % 3 == 0 ? kNoTtl : i % 3 * 10U));
  std::int64_t n = 5;
  const RecordHash::Field field{0, sizeof n, &n};
  CHECK(records.set_fields("key-1", {&field, 1}));
  CHECK(records.time_to_live("key-1")->ms == 10);
  CHECK(records.persist("key-4"));
  CHECK(records.expire("key-0", 15));
  clock.advance(10);
  CHECK_FALSE(records.set_fields("key-1", {&field, 1}));
  CHECK_FALSE(records.get("key-1", &n));
  CHECK(put("key-1", 1, kNoTtl));
  CHECK(records.size() == 202);
  std::uint64_t used = 0;
  for (const RecordHash::Slab& slab : records.slabs()) {
    for (const char byte : slab.used)
      used += static_cast<std::uint64_t>(std::popcount(static_cast<unsigned char>(byte)));
  }
  CHECK(used == 202);
  clock.advance(10);
  std::vector<char> column;
  records.gather({}, 0, sizeof n, column);
  CHECK(column.size() == 101 * sizeof n);
  CHECK(records.count({}) == 101);
  CHECK(records.size() == 101);
  check_sound(*store);
}

TEST_CASE("expiry: threads see their keys until they are due and not after, whoever moves the clock and reclaims") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB, .parts = 2});
  std::vector<std::thread> threads;
  std::atomic<int> late{0};
  std::atomic<int> early{0};
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Hash hash = store->root();
      std::mt19937 random(t);
      struct Window {  // the due time lies in it, whenever put read the clock
        std::uint64_t first = 0, last = 0;
      };
      std::array<Window, 20> due;
      for (int i = 0; i < 10'000; ++i) {
        const std::size_t k = random() % due.size();
        const std::string key = std::to_string(t) + "-" + std::to_string(k);
        if (random() % 4 == 0) clock.advance(1);
        if (random() % 4 == 0) {
          const std::uint64_t ttl = 1 + random() % 20;
          due[k].first = FakeClock::now() + ttl;
          hash.put(key, bytes_value(key), ttl);
          due[k].last = FakeClock::now() + ttl;
        }
        const std::uint64_t before = FakeClock::now();
        const bool found = hash.contains(key);
        const std::uint64_t after = FakeClock::now();
        if (found && before >= due[k].last) ++late;
        if (!found && after < due[k].first) ++early;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(late == 0);
  CHECK(early == 0);
  clock.advance(100);
  CHECK(store->root().size() == 0);
  check_sound(*store);
}

}  // namespace kv::test
