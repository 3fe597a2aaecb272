// Sets beside std::set: operations between two, in one store and over two.
#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "kv_storage/store.hpp"
#include "support/fake_clock.hpp"
#include "support/key_sets.hpp"
#include "support/memory_check.hpp"

namespace kv::test {
namespace {

std::shared_ptr<Store> make_store() { return Store::create({.max_memory = 512 * kMiB, .parts = 3}); }

std::string int_key(std::int64_t value) { return ordered_key::of_integer(KeyType::kInt, value); }

std::vector<std::string> members(const std::set<std::string>& set) { return {set.begin(), set.end()}; }

// What left.walk(right, visit) visits, in that order.
template <class Walk>
std::vector<std::string> visited(const Ordered& left, const Ordered& right, Walk walk) {
  std::vector<std::string> keys;
  (left.*walk)(right, [&](ByteView key) { keys.emplace_back(key); });
  return keys;
}

}  // namespace

TEST_CASE("set algebra: operations agree with std::set, also over two stores") {
  for (const bool same_store : {true, false}) {
    CAPTURE(same_store);
    auto store = make_store();
    auto other_store = same_store ? store : make_store();
    Random random(5);
    for (int round = 0; round < 12; ++round) {
      Ordered left = store->ordered("l", CollectionKind::kSet), right = other_store->ordered("r", CollectionKind::kSet);
      left.clear();
      right.clear();
      std::set<std::string> a, b;
      const unsigned few = round % 3 == 0 ? 10 : 300;
      for (unsigned i = 0; i < 300; ++i) a.insert(int_key(below(random, 600)));
      for (unsigned i = 0; i < few; ++i) b.insert(int_key(below(random, 600)));
      for (const std::string& key : a) left.put(key, {});
      for (const std::string& key : b) right.put(key, {});
      std::set<std::string> expected;
      const auto out = std::inserter(expected, expected.end());
      std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), out);
      CHECK(left.intersection_count(right) == expected.size());
      CHECK(right.intersection_count(left) == expected.size());
      CHECK(visited(left, right, &Ordered::for_each_common) == members(expected));
      CHECK(visited(right, left, &Ordered::for_each_common) == members(expected));
      std::set<std::string> only_left, only_right;
      std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(only_left, only_left.end()));
      std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::inserter(only_right, only_right.end()));
      CHECK(visited(left, right, &Ordered::for_each_only_here) == members(only_left));
      CHECK(visited(right, left, &Ordered::for_each_only_here) == members(only_right));
      if (round % 4 == 0) left.intersect(right);
      if (round % 4 != 0) expected.clear();
      if (round % 4 == 1) std::set_union(a.begin(), a.end(), b.begin(), b.end(), out), left.unite(right);
      if (round % 4 == 2) std::set_difference(a.begin(), a.end(), b.begin(), b.end(), out), left.subtract(right);
      if (round % 4 == 3) {
        std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), out);
        left.symmetric_difference(right);
      }
      CHECK(left.size() == expected.size());
      for (const std::string& key : expected) CHECK(left.contains(key));
    }
    CHECK(store->verify() == std::vector<std::string>{});
  }
}

TEST_CASE("set algebra: members come for good, those that stay keep their ttl, and what has expired is in no result") {
  FakeClock clock;
  auto store = make_store();
  Ordered left = store->ordered("l", CollectionKind::kSet), right = store->ordered("r", CollectionKind::kSet);
  const auto expires = [](const Ordered& set, std::int64_t number) {
    const auto left_over = set.time_to_live(int_key(number));
    REQUIRE(left_over);
    return left_over->expires;
  };
  CHECK(left.add(int_key(1), 50));
  CHECK_FALSE(left.add(int_key(1), 100));
  CHECK(left.time_to_live(int_key(1))->ms == 100);
  CHECK_FALSE(left.add(int_key(1)));
  CHECK_FALSE(expires(left, 1));
  const std::uint64_t writes = store->stats().parts[0].transactions + store->stats().parts[1].transactions +
                               store->stats().parts[2].transactions;
  CHECK_FALSE(left.add(int_key(1)));  // there for good: a read
  std::uint64_t after = 0;
  for (const PartStats& part : store->stats().parts) after += part.transactions;
  CHECK(after == writes);

  for (std::int64_t i = 2; i < 100; ++i) left.add(int_key(i), i % 2 == 0 ? 100 : kNoTtl);
  for (std::int64_t i = 50; i < 150; ++i) right.add(int_key(i), 100);
  left.subtract(right);
  CHECK(expires(left, 2));
  left.unite(right);
  CHECK_FALSE(expires(left, 50));
  CHECK(expires(left, 2));
  clock.advance(100);
  CHECK(right.size() == 0);
  CHECK(left.size() == 25 + 100);  // odd ones up to 49, and what came from the other
  CHECK(left.intersection_count(right) == 0);

  Ordered third = store->ordered("t", CollectionKind::kSet);
  for (std::int64_t i = 0; i < 200; ++i) third.add(int_key(i), 10 + static_cast<std::uint64_t>(i % 2) * 10);
  clock.advance(10);
  CHECK(third.intersection_count(left) == 25 + 50);
  left.intersect(third);
  CHECK(left.size() == 25 + 50);
  left.symmetric_difference(third);
  CHECK(left.size() == 100 - 25 - 50);
  CHECK(store->verify() == std::vector<std::string>{});
}

}  // namespace kv::test
