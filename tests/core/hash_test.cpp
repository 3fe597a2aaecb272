#include "kv_storage/hash.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "kv_storage/store.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

using Oracle = std::map<std::string, std::string>;

Value bytes_value(ByteView bytes) { return {ValueType::kBytes, bytes}; }

std::optional<std::string> get(const Hash& hash, const std::string& key) {
  ValueBuffer buffer;
  if (!hash.get(key, buffer)) return std::nullopt;
  return std::string(buffer.bytes());
}

Oracle contents(const Hash& hash, const KeyRange& range = {}, bool reverse = false) {
  Oracle found;
  Scan scan = hash.scan(range, true, reverse);
  ScanPage page;
  std::string last;
  while (scan.next(page)) {
    for (const ScanPage::Item& item : page.items) {
      const std::string key(page.key(item));
      if (!found.empty()) CHECK((reverse ? key < last : key > last));
      last = key;
      found[key] = item.large ? get(hash, key).value_or("gone") : std::string(page.value(item));
    }
  }
  return found;
}

std::string random_key(std::mt19937& random) {
  switch (random() % 4) {
    case 0:
      return "user:" + std::to_string(random() % 300);
    case 1:
      return "hash-" + std::to_string(random() % 28 + 1) + "-06-" + std::to_string(random() % 50);
    case 2:
      return std::string(random() % 5, '\0') + std::string(random() % 3, 'x');
    default:
      return std::string(random() % 40, static_cast<char>('a' + random() % 2));
  }
}

std::string random_value(std::mt19937& random) {
  const std::size_t size = random() % 20 == 0 ? random() % 20'000 : random() % 200;
  return std::string(size, static_cast<char>(random()));
}

void check_sound(const Store& store) {
  for (const std::string& violation : store.verify()) FAIL_CHECK(violation);
}

}  // namespace

TEST_CASE("hash: random operations agree with std::map") {
  for (const std::uint32_t parts : {1U, 4U}) {
    CAPTURE(parts);
    auto store = Store::create({.max_memory = 256 * kMiB, .parts = parts});
    Hash hash = parts == 1 ? store->root() : store->hash("named");
    Oracle oracle;
    std::mt19937 random(parts);
    ValueBuffer buffer;
    for (int step = 0; step < 20'000; ++step) {
      const std::string key = random_key(random);
      const std::string value = random_value(random);
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
          CHECK(hash.put(key, bytes_value(value)) == !oracle.contains(key));
          oracle[key] = value;
          break;
        case 3:
          CHECK(hash.erase(key) == (oracle.erase(key) == 1));
          break;
        case 4: {
          const bool present = oracle.contains(key);
          REQUIRE(hash.take(key, buffer) == present);
          if (present) CHECK(std::string(buffer.bytes()) == oracle[key]);
          oracle.erase(key);
          break;
        }
        case 5: {
          const bool present = oracle.contains(key);
          REQUIRE(hash.put_if_absent(key, bytes_value(value), buffer) == !present);
          if (present) CHECK(std::string(buffer.bytes()) == oracle[key]);
          oracle.emplace(key, value);
          break;
        }
        case 6: {
          std::optional<Value> expected, wanted;
          const std::string held = oracle.contains(key) && random() % 2 == 0 ? oracle[key] : value;
          if (random() % 3 != 0) expected = bytes_value(held);
          if (random() % 3 != 0) wanted = bytes_value("swapped");
          const bool matches = oracle.contains(key) ? expected && held == oracle[key] : !expected;
          REQUIRE(hash.compare_and_set(key, expected, wanted) == matches);
          if (matches && wanted) oracle[key] = "swapped";
          if (matches && !wanted) oracle.erase(key);
          break;
        }
        default:
          CHECK(get(hash, key) == (oracle.contains(key) ? std::optional(oracle[key]) : std::nullopt));
          CHECK(hash.contains(key) == oracle.contains(key));
      }
      if (step % 4000 == 0) check_sound(*store);
    }
    CHECK(hash.size() == oracle.size());
    CHECK(contents(hash) == oracle);
    CHECK(contents(hash, {}, true) == oracle);
    Oracle users;
    for (const auto& [key, value] : oracle) {
      if (key.starts_with("user:1")) users[key] = value;
    }
    CHECK(contents(hash, KeyRange::prefix("user:1")) == users);
    CHECK(hash.count(KeyRange::matching("user:1*")) == users.size());
    CHECK(hash.erase_range(KeyRange::matching("user:1*")) == users.size());
    CHECK(hash.count(KeyRange::prefix("user:1")) == 0);
    check_sound(*store);
    hash.clear();
    CHECK(hash.size() == 0);
    CHECK(contents(hash).empty());
    check_sound(*store);
  }
}

TEST_CASE("hash: many keys at once") {
  for (const std::uint32_t parts : {1U, 3U}) {
    auto store = Store::create({.max_memory = 256 * kMiB, .parts = parts});
    Hash hash = store->root();
    std::vector<std::string> keys, values;
    for (int i = 0; i < 5000; ++i) {
      keys.push_back("key-" + std::to_string(i));
      values.push_back(std::string(static_cast<std::size_t>(i % 7 == 0 ? 6000 : i % 300), static_cast<char>(i)));
    }
    const std::vector<ByteView> key_views(keys.begin(), keys.end());
    std::vector<Value> value_views;
    for (const std::string& value : values) value_views.push_back(bytes_value(value));
    CHECK(hash.put_many(key_views, value_views) == 5000);
    CHECK(hash.put_many(key_views, value_views) == 0);
    std::vector<ByteView> wanted(key_views);
    wanted.emplace_back("absent");
    struct Result {
      std::map<std::size_t, std::string> small;
      std::vector<std::size_t> large;
    } result;
    hash.get_many(
        wanted, &result,
        [](void* r, std::size_t i, ValueType type, ByteView bytes) {
          CHECK(type == ValueType::kBytes);
          static_cast<Result*>(r)->small.emplace(i, bytes);
        },
        [](void* r, std::size_t i) { static_cast<Result*>(r)->large.push_back(i); });
    CHECK(result.small.size() + result.large.size() == 5000);
    for (const auto& [i, value] : result.small) CHECK(value == values[i]);
    for (const std::size_t i : result.large) CHECK(get(hash, keys[i]) == values[i]);
    for (int i = 0; i < 5000; i += 7) {
      CHECK(std::count(result.large.begin(), result.large.end(), static_cast<std::size_t>(i)) == 1);
    }
  }
}

TEST_CASE("hash: integers are added to atomically and within 64 bits") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Hash hash = store->root();
  CHECK(hash.increment("n", 5) == 5);
  CHECK(hash.increment("n", -7) == -2);
  hash.increment("max", std::numeric_limits<std::int64_t>::max());
  CHECK_THROWS_AS(hash.increment("max", 1), Error);
  CHECK(hash.increment("max", 0) == std::numeric_limits<std::int64_t>::max());
  hash.put("text", {ValueType::kText, "5"});
  CHECK_THROWS_AS(hash.increment("text", 1), Error);
  CHECK(get(hash, "text") == "5");
}

TEST_CASE("hash: a pin shows what it showed, whatever happens to the key") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Hash hash = store->hash("h");
  ValueType type{};
  const auto pinned = [&](const std::string& value, auto&& change) {
    hash.put("k", bytes_value(value));
    const Pin pin = hash.pin("k", type);
    change();
    for (int i = 0; i < 200; ++i) hash.put("other" + std::to_string(i), bytes_value(std::string(value.size(), '!')));
    CHECK(pin.bytes() == value);
    check_sound(*store);
  };
  pinned(std::string(50, 'a'), [&] { hash.put("k", bytes_value("new")); });
  pinned(std::string(50'000, 'b'), [&] { hash.erase("k"); });
  pinned("c", [&] { hash.clear(); });
  hash.put("n", {ValueType::kInt, std::string_view("\1\0\0\0\0\0\0\0", 8)});
  const Pin number = hash.pin("n", type);
  hash.increment("n", 1);
  CHECK(number.bytes()[0] == 1);
  const Pin kept = hash.pin("other1", type);
  store->drop("h");
  CHECK(kept.bytes()[0] == '!');
  CHECK(store->stats().parts[0].pinned_bytes > 0);
  store->close();
  CHECK(kept.bytes()[0] == '!');
}

TEST_CASE("hash: a full store raises, keeps what it had, and goes on after a delete") {
  auto store = Store::create({.max_memory = 8 * kMiB});
  Hash hash = store->root();
  Oracle oracle;
  const auto fill = [&] {
    for (int i = 0;; ++i) {
      const std::string key = "key" + std::to_string(i);
      const std::string value(1000, static_cast<char>(i));
      hash.put(key, bytes_value(value));
      oracle[key] = value;
    }
  };
  CHECK_THROWS_AS(fill(), Error);
  CHECK(contents(hash) == oracle);
  check_sound(*store);
  CHECK_THROWS_AS(hash.put("key1", bytes_value(std::string(5 * kMiB, 'x'))), Error);
  CHECK(get(hash, "key1") == oracle["key1"]);
  hash.clear();
  hash.put("again", bytes_value(std::string(kMiB, 'x')));
  check_sound(*store);
}

TEST_CASE("hash: keys and values of every legal length, and one more") {
  auto store = Store::create({.max_memory = 256 * kMiB});
  Hash hash = store->root();
  const std::string longest(kMaxKeyBytes, 'k');
  hash.put(longest, bytes_value("long"));
  hash.put("", bytes_value("empty"));
  hash.put(std::string("a\0b", 3), bytes_value("nul"));
  CHECK(get(hash, longest) == "long");
  CHECK(get(hash, "") == "empty");
  CHECK(get(hash, std::string("a\0b", 3)) == "nul");
  CHECK_THROWS_AS(hash.put(longest + "k", bytes_value("x")), Error);
  CHECK_FALSE(hash.contains(longest + "k"));
  CHECK(hash.size() == 3);
  check_sound(*store);
}

TEST_CASE("scan: it is current until somebody writes, if nothing that it read can expire") {
  for (const std::uint32_t parts : {1U, 3U}) {
    auto store = Store::create({.max_memory = 256 * kMiB, .parts = parts});
    Hash hash = store->root();
    for (int i = 0; i < 200; ++i) hash.put("key-" + std::to_string(i), bytes_value("value"));
    const auto walked = [&] {
      Scan scan = hash.scan(KeyRange::prefix("key-"), true);
      for (ScanPage page; scan.next(page);) {
      }
      return scan;
    };
    CHECK_FALSE(hash.scan({}, false).current());
    const Scan first = walked();
    CHECK(first.current());
    CHECK(get(hash, "key-7") == "value");
    CHECK(first.current());
    hash.put("another", bytes_value("value"));
    hash.erase("another");
    const bool all_parts_changed = parts == 1;
    if (all_parts_changed) CHECK_FALSE(first.current());
    const Scan second = walked();
    hash.clear();
    CHECK_FALSE(first.current());
    CHECK_FALSE(second.current());
    hash.put("key-1", bytes_value("value"), 1'000'000'000);
    CHECK_FALSE(walked().current());
  }
}

TEST_CASE("scan: pages put together are what they were one by one") {
  auto store = Store::create({.max_memory = 256 * kMiB});
  Hash hash = store->root();
  for (int i = 0; i < 300; ++i) {
    hash.put("key-" + std::to_string(i), bytes_value(std::string(i % 7 == 0 ? 5'000 : i, 'x')));
  }
  ScanPage all;
  all.append({});
  std::vector<std::pair<std::string, std::string>> expected;
  Scan scan = hash.scan({}, true);
  for (ScanPage page; scan.next(page);) {
    all.append(page);
    for (const ScanPage::Item& item : page.items) expected.emplace_back(page.key(item), page.value(item));
  }
  REQUIRE(all.items.size() == 300);
  for (std::size_t i = 0; i < all.items.size(); ++i) {
    CHECK(all.key(all.items[i]) == expected[i].first);
    CHECK(all.value(all.items[i]) == expected[i].second);
    CHECK(all.items[i].large == expected[i].second.empty());
  }
}

TEST_CASE("store: handles follow their name over rename, and tell of a drop") {
  auto store = Store::create({.max_memory = 64 * kMiB, .parts = 2});
  Hash a = store->hash("a");
  Hash b = store->hash("b");
  a.put("from", bytes_value("a"));
  b.put("from", bytes_value("b"));
  CHECK_THROWS_AS(store->rename("a", "b", false), Error);
  store->rename("a", "b", true);
  CHECK(get(b, "from") == "a");
  CHECK_THROWS_AS(static_cast<void>(a.size()), Error);
  CHECK(store->collections().size() == 1);
  CHECK(store->drop("b"));
  CHECK_FALSE(store->drop("b"));
  CHECK_THROWS_AS(static_cast<void>(b.size()), Error);
  CHECK(get(store->hash("b"), "from") == std::nullopt);
  check_sound(*store);
}

TEST_CASE("store: names of collections are checked") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  CHECK_THROWS_AS(static_cast<void>(store->hash("")), Error);
  CHECK_THROWS_AS(static_cast<void>(store->hash(std::string("a\0b", 3))), Error);
  CHECK_THROWS_AS(static_cast<void>(store->hash(std::string(256, 'n'))), Error);
  CHECK_THROWS_AS(store->rename("absent", "b", false), Error);
  CHECK(store->collections().empty());
}

TEST_CASE("store: a closed handle refuses") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Hash hash = store->root();
  store->close();
  CHECK_THROWS_AS(hash.put("k", bytes_value("v")), Error);
  CHECK_THROWS_AS(static_cast<void>(store->stats()), Error);
}

}  // namespace kv::test
