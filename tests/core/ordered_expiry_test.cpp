// Map entries and Set members that expire, against std::map and a clock that the test moves: they have no position.
#include <doctest/doctest.h>

#include <iterator>
#include <map>
#include <optional>
#include <string>

#include "collections/expiry.hpp"
#include "support/fake_clock.hpp"
#include "support/key_sets.hpp"
#include "support/store_check.hpp"

namespace kv::test {
namespace {

std::string int_key(std::int64_t value) { return ordered_key::of_integer(KeyType::kInt, value); }

using Model = std::map<std::string, std::uint64_t>;  // key -> when it is due; kNeverDue = stays

void forget_due(Model& model) {
  std::erase_if(model, [](const auto& item) { return item.second <= FakeClock::now(); });
}

void check_positions(const Ordered& map, const Model& model, Random& random) {
  const std::string probe = int_key(static_cast<std::int64_t>(below(random, 400)));
  const auto at = model.lower_bound(probe), after = model.upper_bound(probe);
  const auto rank = static_cast<std::uint64_t>(std::distance(model.begin(), at));
  switch (below(random, 8)) {  // each asks first in its turn, when something has just become due
    case 0:
      REQUIRE(map.rank(probe) == rank);
      break;
    case 1:
      REQUIRE(map.select(rank) == (at == model.end() ? std::nullopt : std::optional(at->first)));
      break;
    case 2:
      REQUIRE(map.select_back(0) == (model.empty() ? std::nullopt : std::optional(model.rbegin()->first)));
      break;
    case 3:
      REQUIRE(map.floor(probe) == (after == model.begin() ? std::nullopt : std::optional(std::prev(after)->first)));
      break;
    case 4:
      REQUIRE(map.ceiling(probe) == (at == model.end() ? std::nullopt : std::optional(at->first)));
      break;
    case 5: {
      KeyRange range;
      range.start = probe;
      REQUIRE(map.count(range) == model.size() - rank);
      break;
    }
    case 6: {
      Scan scan = map.scan(map.slice({}, rank, rank + 1), false);
      ScanPage page;
      REQUIRE(scan.next(page) == (at != model.end()));
      if (at != model.end()) REQUIRE(page.key(page.items.front()) == at->first);
      break;
    }
    default:
      REQUIRE(map.size() == model.size());
  }
}

}  // namespace

TEST_CASE("ordered expiry: positions agree with std::map while time passes") {
  for (const CollectionKind kind : {CollectionKind::kMap, CollectionKind::kSet}) {
    FakeClock clock;
    auto store = Store::create({.max_memory = 64 * kMiB, .parts = 2});
    Ordered map = store->ordered("m", kind);
    Model model;
    Random random(7);
    for (int step = 0; step < 8'000; ++step) {
      const std::string key = int_key(static_cast<std::int64_t>(below(random, 300)));
      const std::uint64_t ttl = below(random, 3) == 0 ? kNoTtl : 1 + below(random, 100);
      const std::uint64_t due = ttl == kNoTtl ? kNeverDue : FakeClock::now() + ttl;
      switch (below(random, 8)) {
        case 0:
          clock.advance(below(random, 20));
          forget_due(model);
          break;
        case 1:
          REQUIRE(map.erase(key) == (model.erase(key) == 1));
          break;
        case 2:
          if (ttl == kNoTtl) break;
          REQUIRE(map.expire(key, ttl) == model.contains(key));
          if (model.contains(key)) model[key] = due;
          break;
        case 3: {
          const auto at = model.find(key);
          REQUIRE(map.persist(key) == (at != model.end() && at->second != kNeverDue));
          if (at != model.end()) at->second = kNeverDue;
          break;
        }
        default:
          REQUIRE(map.add(key, ttl) == !model.contains(key));
          model[key] = due;
      }
      check_positions(map, model, random);
      if (step % 500 == 0) check_sound(*store);
    }
    clock.advance(100);
    forget_due(model);
    CHECK(map.size() == model.size());
    check_sound(*store);
  }
}

TEST_CASE("ordered expiry: the ends that are taken have not expired") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB});
  Ordered map = store->ordered("m", CollectionKind::kMap);
  for (std::int64_t i = 0; i < 400; ++i) map.put(int_key(i), {}, i % 4 == 1 ? kNoTtl : 10);
  clock.advance(10);
  std::string key;
  ValueBuffer value;
  REQUIRE(map.take_first(key, value));
  CHECK(key == int_key(1));
  map.put(int_key(500), {}, 1);
  clock.advance(1);
  REQUIRE(map.take_last(key, value));
  CHECK(key == int_key(397));
  CHECK(map.size() == 98);
  check_sound(*store);
}

TEST_CASE("ordered expiry: reading by key and in order writes nothing, any writer of the part reclaims a slice") {
  FakeClock clock;
  auto store = Store::create({.max_memory = 64 * kMiB});
  Ordered map = store->ordered("m", CollectionKind::kMap);
  Hash other = store->hash("other");
  other.put("present", bytes_value("x"));
  const std::uint64_t empty = used_bytes(*store);
  constexpr std::int64_t kKeys = 500;
  for (std::int64_t i = 0; i < kKeys; ++i) map.put(int_key(i), bytes_value("x"), 100);
  clock.advance(100);
  const std::uint64_t sequence = store->impl().arena->part(0).sequence();
  ValueBuffer buffer;
  for (std::int64_t i = 0; i < kKeys; ++i) CHECK_FALSE(map.get(int_key(i), buffer));
  CHECK(keys_of(map).empty());
  CHECK(store->impl().arena->part(0).sequence() == sequence);

  std::uint64_t writes = 0;
  for (std::uint64_t used = 0; used != used_bytes(*store); ++writes) {
    used = used_bytes(*store);
    other.put("present", bytes_value("x"));
    CHECK(used_bytes(*store) <= used);
  }
  CHECK(writes >= kKeys / expiry::kSliceEntries);
  CHECK(writes <= 2 * kKeys / expiry::kSliceEntries);
  const std::uint64_t reclaimed = store->impl().arena->part(0).sequence();
  CHECK(map.rank(int_key(kKeys)) == 0);
  CHECK(store->impl().arena->part(0).sequence() == reclaimed);  // nothing was left to do
  map.clear();
  CHECK(used_bytes(*store) <= empty);
  check_sound(*store);
}

}  // namespace kv::test
