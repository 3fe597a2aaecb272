// Entries that expire, against std::map and a clock that the tests move.
#include "collections/expiry.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "index/glob.hpp"
#include "kv_storage/hash.hpp"
#include "kv_storage/store.hpp"
#include "store/store_impl.hpp"
#include "support/fake_clock.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

Value bytes_value(ByteView bytes) { return {ValueType::kBytes, bytes}; }

std::optional<std::string> get(const Hash& hash, const std::string& key) {
  ValueBuffer buffer;
  if (!hash.get(key, buffer)) return std::nullopt;
  return std::string(buffer.bytes());
}

std::vector<std::string> keys_of(const Hash& hash, const KeyRange& range = {}, bool reverse = false) {
  std::vector<std::string> keys;
  Scan scan = hash.scan(range, false, reverse);
  for (ScanPage page; scan.next(page);) {
    for (const ScanPage::Item& item : page.items) keys.emplace_back(page.key(item));
  }
  return keys;
}

void check_sound(const Store& store) {
  for (const std::string& violation : store.verify()) FAIL_CHECK(violation);
}

// std::map with due times, which forgets what is due whenever it is asked.
class Oracle {
 public:
  struct Held {
    std::string value;
    std::optional<std::uint64_t> due_ms;
  };

  void put(const std::string& key, const std::string& value, std::uint64_t ttl_ms) {
    held_[key] = {value, ttl_ms == kNoTtl ? std::nullopt : std::optional(FakeClock::now() + ttl_ms)};
  }
  Held* find(const std::string& key) {
    forget_due();
    const auto at = held_.find(key);
    return at == held_.end() ? nullptr : &at->second;
  }
  bool erase(const std::string& key) {
    forget_due();
    return held_.erase(key) == 1;
  }
  const std::map<std::string, Held>& living() {
    forget_due();
    return held_;
  }
  std::vector<std::string> keys() {
    std::vector<std::string> keys;
    for (const auto& [key, held] : living()) keys.push_back(key);
    return keys;
  }

 private:
  void forget_due() {
    std::erase_if(held_,
                  [](const auto& item) { return item.second.due_ms && *item.second.due_ms <= FakeClock::now(); });
  }
  std::map<std::string, Held> held_;
};

// A Hash and its oracle, changed alike by random operations and compared after each.
class Pair {
 public:
  Pair(const Hash& hash, std::uint32_t seed) : hash_(hash), random_(seed) {}

  void step() {
    const std::string key = "key-" + std::to_string(random_() % 120);
    const std::string value(random_() % 30 == 0 ? random_() % 9'000 : random_() % 60, static_cast<char>(random_()));
    const std::uint64_t ttl = random_() % 3 == 0 ? kNoTtl : 1 + random_() % 200;
    Oracle::Held* const held = oracle_.find(key);
    ValueBuffer buffer;
    switch (random_() % 12) {
      case 0:
      case 1:
      case 2:
        CHECK(hash_.put(key, bytes_value(value), ttl) == (held == nullptr));
        oracle_.put(key, value, ttl);
        break;
      case 3:
        CHECK(hash_.erase(key) == oracle_.erase(key));
        break;
      case 4:
        REQUIRE(hash_.take(key, buffer) == (held != nullptr));
        if (held != nullptr) CHECK(std::string(buffer.bytes()) == held->value);
        oracle_.erase(key);
        break;
      case 5:
        REQUIRE(hash_.put_if_absent(key, bytes_value(value), buffer) == (held == nullptr));
        if (held == nullptr) oracle_.put(key, value, kNoTtl);
        break;
      case 6: {
        const std::optional<Value> expected = held == nullptr ? std::nullopt : std::optional(bytes_value(held->value));
        CHECK(hash_.compare_and_set(key, expected, bytes_value("swapped")));
        if (held == nullptr) {
          oracle_.put(key, "swapped", kNoTtl);
        } else {
          held->value = "swapped";  // keeps its due time
        }
        break;
      }
      case 7: {
        const std::uint64_t seconds = 1 + random_() % 300;
        CHECK(hash_.expire(key, seconds) == (held != nullptr));
        if (held != nullptr) held->due_ms = FakeClock::now() + seconds;
        break;
      }
      case 8:
        CHECK(hash_.persist(key) == (held != nullptr && held->due_ms));
        if (held != nullptr) held->due_ms.reset();
        break;
      case 9:
        if (random_() % 40 == 0) pins_.push_back(pin(key));
        if (random_() % 60 == 0) pins_.clear();
        break;
      default:
        clock_.advance(random_() % 12);
    }
    compare(key);
  }

  void compare_all() {
    CHECK(hash_.size() == oracle_.living().size());
    CHECK(keys_of(hash_) == oracle_.keys());
    std::vector<std::string> backwards = oracle_.keys();
    std::reverse(backwards.begin(), backwards.end());
    CHECK(keys_of(hash_, {}, true) == backwards);
    const KeyRange pattern = KeyRange::matching("key-*7");
    const auto matches = [&](const std::string& key) { return pattern.glob->matches(key); };
    const std::vector<std::string> all = oracle_.keys();
    CHECK(hash_.count(pattern) == static_cast<std::uint64_t>(std::count_if(all.begin(), all.end(), matches)));
    compare_many(all);
  }

 private:
  [[nodiscard]] Pin pin(const std::string& key) const {
    ValueType type{};
    Pin pin = hash_.pin(key, type);
    return pin;
  }

  void compare(const std::string& key) {
    const Oracle::Held* const held = oracle_.find(key);
    CHECK(get(hash_, key) == (held != nullptr ? std::optional(held->value) : std::nullopt));
    CHECK(hash_.contains(key) == (held != nullptr));
    CHECK(static_cast<bool>(pin(key)) == (held != nullptr));
    const std::optional<TimeToLive> left = hash_.time_to_live(key);
    REQUIRE(left.has_value() == (held != nullptr));
    if (held == nullptr) return;
    REQUIRE(left->expires == held->due_ms.has_value());
    if (left->expires) CHECK(left->ms == *held->due_ms - FakeClock::now());
  }

  void compare_many(const std::vector<std::string>& living) {
    std::vector<std::string> names;
    for (int i = 0; i < 120; ++i) names.push_back("key-" + std::to_string(i));
    const std::vector<ByteView> views(names.begin(), names.end());
    std::vector<std::size_t> found;
    const auto note = [](void* to, std::size_t i) { static_cast<std::vector<std::size_t>*>(to)->push_back(i); };
    hash_.get_many(
        views, &found,
        [](void* to, std::size_t i, ValueType, ByteView) { static_cast<std::vector<std::size_t>*>(to)->push_back(i); },
        note);
    CHECK(found.size() == living.size());
    for (const std::size_t i : found) CHECK(oracle_.find(names[i]) != nullptr);
  }

  Hash hash_;
  Oracle oracle_;
  FakeClock clock_;
  std::mt19937 random_;
  std::vector<Pin> pins_;
};

}  // namespace

TEST_CASE("expiry: random operations agree with std::map while time passes") {
  for (const std::uint32_t parts : {1U, 4U}) {
    CAPTURE(parts);
    auto store = Store::create({.max_memory = 256 * kMiB, .parts = parts});
    Pair pair(parts == 1 ? store->root() : store->hash("named"), parts);
    for (int step = 0; step < 20'000; ++step) {
      pair.step();
      if (step % 50 == 0) pair.compare_all();
      if (step % 2'000 == 0) check_sound(*store);
    }
    pair.compare_all();
    check_sound(*store);
  }
}

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

namespace {

// Entries in the index, expired ones included, as no public call says.
std::uint64_t indexed(const Store& store, Binding binding = kRootBinding) {
  std::uint64_t entries = 0;
  Arena& arena = *store.impl().arena;
  for (std::uint32_t i = 0; i < arena.part_count(); ++i) {
    const Part::Lock lock(arena.part(i));
    if (const CollectionRoot* root = find_root(arena.part(i), binding)) entries += root->entries;
  }
  return entries;
}

std::uint64_t used_bytes(const Store& store) {
  std::uint64_t bytes = 0;
  Arena& arena = *store.impl().arena;
  for (std::uint32_t i = 0; i < arena.part_count(); ++i) bytes += arena.part(i).control().allocator.used_bytes;
  return bytes;
}

}  // namespace

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
