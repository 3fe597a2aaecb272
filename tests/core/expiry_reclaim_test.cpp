// What has expired gives its memory back: as writers pass, with its collection, to a store that is full.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "collections/expiry.hpp"
#include "support/fake_clock.hpp"
#include "support/store_check.hpp"

namespace kv::test {

TEST_CASE("expiry: reading writes nothing, and any writer of the part reclaims a bounded slice") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB});
  Hash other = store->hash("other");  // nothing of which expires
  other.put("present", bytes_value("x"));
  Hash hash = store->root();
  const std::uint64_t empty = used_bytes(*store);
  constexpr std::uint64_t kKeys = 1000;
  for (std::uint64_t i = 0; i < kKeys; ++i) hash.put("key-" + std::to_string(i), bytes_value("x"), 100);
  clock.advance(100);

  const std::uint64_t sequence = store->impl().arena->part(0).sequence();
  ValueBuffer buffer;
  for (std::uint64_t i = 0; i < kKeys; ++i) CHECK_FALSE(hash.get("key-" + std::to_string(i), buffer));
  CHECK(keys_of(hash).empty());
  CHECK(store->impl().arena->part(0).sequence() == sequence);
  CHECK(indexed(*store) == kKeys);

  std::uint64_t left = kKeys;
  for (int writes = 0; left > 0; ++writes) {
    REQUIRE(writes < 1000);
    other.put("present", bytes_value("x"));
    CHECK(indexed(*store) + expiry::kSliceEntries >= left);
    left = indexed(*store);
  }
  hash.clear();  // gives the look-aside table back
  CHECK(used_bytes(*store) == empty);
  check_sound(*store);
}

TEST_CASE("expiry: every collection is reclaimed, also when there are more than one writer looks at") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB});
  std::vector<Hash> hashes;
  for (int i = 0; i < 200; ++i) hashes.push_back(store->hash("hash-" + std::to_string(i)));
  Hash writer = store->root();
  const std::uint64_t empty = used_bytes(*store);
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    for (Hash& hash : hashes) hash.put("key", bytes_value("x"), 1 + random() % 100);
    clock.advance(random() % 60);
    writer.put("key", bytes_value("x"));
    check_sound(*store);
  }
  writer.erase("key");
  clock.advance(100);
  for (int i = 0; i < 1000; ++i) writer.erase("absent");
  CHECK(used_bytes(*store) == empty);
  check_sound(*store);
}

TEST_CASE("expiry: cleared, dropped and renamed collections leave nothing behind") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB, .parts = 2});
  store->drop("first use makes tables");
  store->hash("a").put("x", bytes_value("x"), 5);
  store->drop("a");
  const std::uint64_t empty = used_bytes(*store);
  for (int round = 0; round < 3; ++round) {
    Hash a = store->hash("a");
    Hash b = store->hash("b");
    for (int i = 0; i < 500; ++i) {
      const std::string key = "key-" + std::to_string(i);
      a.put(key, bytes_value("a"), 50);
      b.put(key, bytes_value("b"), 100);
    }
    ValueType type{};
    const Pin pin = b.pin("key-7", type);
    if (round == 1) a.clear();
    if (round == 2) clock.advance(50);
    check_sound(*store);
    store->rename("b", "a", true);
    CHECK(get(store->hash("a"), "key-7") == "b");
    clock.advance(99);
    CHECK(store->hash("a").size() == (round == 2 ? 0 : 500));
    clock.advance(1);
    CHECK(store->hash("a").size() == 0);
    CHECK(pin.bytes() == "b");
    check_sound(*store);
    store->drop("a");
    check_sound(*store);
  }
  for (int i = 0; i < 10; ++i) store->root().erase("absent");
  CHECK(used_bytes(*store) <= empty + 1024);  // the table of pins stays
  check_sound(*store);
}

TEST_CASE("expiry: a full store refuses a put with a ttl whole, and what expires makes room") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 4 * kMiB});
  Hash hash = store->root();
  const std::string value(500, 'v');
  std::uint64_t stored = 0;
  for (;; ++stored) {
    try {
      hash.put("key-" + std::to_string(stored), bytes_value(value), 100);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kOverCapacity);
      break;
    }
  }
  CHECK(hash.size() == stored);
  check_sound(*store);
  CHECK_THROWS_AS(hash.put("key-0", bytes_value(std::string(kMiB, 'v')), 100), Error);
  CHECK(get(hash, "key-0") == value);
  clock.advance(100);
  hash.put("again", bytes_value(value), 100);
  CHECK(hash.size() == 1);
  check_sound(*store);
}

}  // namespace kv::test
