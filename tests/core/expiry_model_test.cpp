// Entries that expire, against std::map and a clock that the test moves: random operations.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "index/glob.hpp"
#include "support/fake_clock.hpp"
#include "support/store_check.hpp"

namespace kv::test {
namespace {

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

}  // namespace kv::test
