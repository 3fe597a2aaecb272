// Maps and Sets beside std::map: contents, ranks, structure and memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <thread>

#include "index/key_index.hpp"
#include "index/ranks.hpp"
#include "index/verify.hpp"
#include "kv_storage/store.hpp"
#include "support/index_model.hpp"
#include "support/key_sets.hpp"

namespace kv::test {
namespace {

using Model = std::map<std::string, std::string>;

std::shared_ptr<Store> make_store() { return Store::create({.max_memory = 512 * kMiB, .parts = 3}); }

std::string int_key(std::int64_t value) { return ordered_key::of_integer(KeyType::kInt, value); }

// Keys of several shapes: dense and sparse numbers, and texts that are prefixes of each other.
std::string draw_key(Random& random, unsigned shape) {
  switch (shape) {
    case 0:
      return int_key(static_cast<std::int64_t>(below(random, 2000)) - 1000);
    case 1:
      return int_key(static_cast<std::int64_t>(std::uint64_t{random()} << 32 | random()));
    case 2:
      return ordered_key::of_bytes(KeyType::kText,
                                   std::string(below(random, 400), 'a') + std::to_string(below(random, 3)));
    default: {
      std::string bytes(below(random, 4), '\0');
      for (char& byte : bytes) byte = static_cast<char>(below(random, 256));
      return ordered_key::of_bytes(KeyType::kBytes, bytes);
    }
  }
}

Value bytes_value(const std::string& bytes) { return {ValueType::kBytes, bytes}; }

void check_ranks(const Ordered& map, const Model& model, Random& random, unsigned shape) {
  REQUIRE(map.size() == model.size());
  std::uint64_t rank = 0;
  for (const auto& [key, value] : model) {
    REQUIRE(map.rank(key) == rank);
    REQUIRE(map.select(rank) == key);
    REQUIRE(map.select_back(model.size() - 1 - rank) == key);
    ++rank;
  }
  CHECK(map.select(rank) == std::nullopt);
  CHECK(map.select_back(rank) == std::nullopt);
  for (int i = 0; i < 200; ++i) {
    const std::string key = draw_key(random, shape), other = draw_key(random, shape);
    const auto at = model.lower_bound(key);
    REQUIRE(map.rank(key) == static_cast<std::uint64_t>(std::distance(model.begin(), at)));
    REQUIRE(map.ceiling(key) == (at == model.end() ? std::nullopt : std::optional(at->first)));
    const auto after = model.upper_bound(key);
    REQUIRE(map.floor(key) == (after == model.begin() ? std::nullopt : std::optional(std::prev(after)->first)));
    KeyRange range;
    range.start = key;
    range.stop = other;
    const auto length = key < other ? std::distance(at, model.lower_bound(other)) : 0;
    REQUIRE(map.count(range) == static_cast<std::uint64_t>(length));
    const std::uint64_t first = below(random, 10), last = below(random, 20);
    std::vector<std::string> wanted, got;
    for (auto it = at; key < other && it != model.end() && it->first < other; ++it) {
      const auto place = static_cast<std::uint64_t>(std::distance(at, it));
      if (place >= first && place < last) wanted.push_back(it->first);
    }
    Scan scan = map.scan(map.slice(range, first, last), false);
    for (ScanPage page; scan.next(page);) {
      for (const auto& item : page.items) got.emplace_back(page.key(item));
    }
    REQUIRE(got == wanted);
  }
}

}  // namespace

TEST_CASE("ordered: random operations agree with std::map, and memory comes back") {
  for (unsigned shape = 0; shape < 4; ++shape) {
    CAPTURE(shape);
    auto store = make_store();
    const std::uint64_t used =
        store->stats().parts[0].used_bytes + store->stats().parts[1].used_bytes + store->stats().parts[2].used_bytes;
    Ordered map = store->ordered("m", CollectionKind::kMap);
    Random random(shape + 1);
    Model model;
    for (const unsigned puts_in_ten : {9U, 5U, 2U}) {
      for (int i = 0; i < 1500; ++i) {
        const std::string key = draw_key(random, shape);
        if (below(random, 10) < puts_in_ten) {
          const std::string value = std::to_string(i);
          REQUIRE(map.put(key, bytes_value(value)) == !model.contains(key));
          model[key] = value;
        } else {
          REQUIRE(map.erase(key) == (model.erase(key) == 1));
        }
      }
      check_ranks(map, model, random, shape);
      CHECK(store->verify() == std::vector<std::string>{});
    }
    std::string key;
    ValueBuffer value;
    while (!model.empty()) {
      REQUIRE(map.take_first(key, value));
      REQUIRE(key == model.begin()->first);
      REQUIRE(value.bytes() == model.begin()->second);
      model.erase(model.begin());
      if (model.empty()) break;
      REQUIRE(map.take_last(key, value));
      REQUIRE(key == std::prev(model.end())->first);
      model.erase(std::prev(model.end()));
    }
    CHECK_FALSE(map.take_first(key, value));
    CHECK(store->verify() == std::vector<std::string>{});
    store->drop("m");
    std::uint64_t after = 0;
    for (const PartStats& part : store->stats().parts) after += part.used_bytes;
    CHECK(after <= used + 4096);  // the directory of collections stays
    CHECK(store->verify() == std::vector<std::string>{});
  }
}

TEST_CASE("ordered: a damaged count is found") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  for (int i = 0; i < 300; ++i) {
    Transaction txn(part);
    const Ref entry = make_entry(txn, int_key(i * 7));
    REQUIRE(insert(txn, root_word(part), entry, Counting::kOn) == kNullRef);
    txn.commit();
  }
  std::vector<std::string> violations;
  const auto ignore = [](Ref) {};
  verify_index(part, root_of(part), ignore, ignore, violations, IndexShape::kCompact);
  CHECK(violations.empty());
  {
    Transaction txn(part);
    const NodeView top(part, root_of(part));
    txn.store32(top.count_slot(0), top.count(0) + 1);
    txn.commit();
  }
  verify_index(part, root_of(part), ignore, ignore, violations, IndexShape::kCompact);
  CHECK(violations.size() == 1);
}

TEST_CASE("ordered: an operation on the longest path of nodes fits the journal, a rollback leaves the counts") {
  auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  for (std::size_t bytes = 0; bytes <= kMaxCountedKeyBytes; ++bytes) {
    Transaction txn(part);
    const std::size_t room = txn.journal_room();
    REQUIRE(insert(txn, root_word(part), make_entry(txn, std::string(bytes, 'a')), Counting::kOn) == kNullRef);
    CHECK(room - txn.journal_room() <= kInsertJournal + kMaxCountedKeyBytes);
    txn.commit();
  }
  const auto image = image_of(part);
  for (int i = 0; i < 20; ++i) {
    {
      Transaction txn(part);
      const std::string key(kMaxCountedKeyBytes - static_cast<std::size_t>(i), 'a');
      if (i % 2 == 0) {
        txn.free(erase(txn, root_word(part), key));
      } else {
        static_cast<void>(insert(txn, root_word(part), make_entry(txn, key.substr(1) + "b"), Counting::kOn));
      }
      txn.rollback();
    }
    REQUIRE(image_of(part) == image);
  }
  for (std::size_t bytes = 0; bytes <= kMaxCountedKeyBytes; ++bytes) {
    Transaction txn(part);
    CHECK(rank_of(part, root_of(part), std::string(kMaxCountedKeyBytes, 'a')) == kMaxCountedKeyBytes - bytes);
    txn.free(erase(txn, root_word(part), std::string(bytes, 'a')));
    txn.commit();
  }
  CHECK(blocks_in_use(part).empty());
}

TEST_CASE("ordered: encoded keys compare as their values") {
  const std::int64_t lowest = std::numeric_limits<std::int64_t>::min(),
                     highest = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> integers = {lowest, lowest + 1, -256, -1, 0, 1, 255, 256, highest};
  for (const std::int64_t a : integers) {
    CHECK(ordered_key::integer(int_key(a)) == a);
    for (const std::int64_t b : integers) CHECK((int_key(a) < int_key(b)) == (a < b));
  }
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> floats = {-infinity, -1e300, -1.5, -5e-324, 0.0, 5e-324, 1.0, 1.5, 1e300, infinity};
  for (const double a : floats) {
    CHECK(ordered_key::floating(ordered_key::of_float(a)) == a);
    for (const double b : floats) CHECK((ordered_key::of_float(a) < ordered_key::of_float(b)) == (a < b));
  }
  CHECK(ordered_key::of_float(-0.0) == ordered_key::of_float(0.0));
  CHECK_THROWS_AS((void)ordered_key::of_float(std::nan("")), Error);
}

TEST_CASE("ordered: one key type, fixed by the first key or before, and nothing changes on a refusal") {
  auto store = make_store();
  Ordered map = store->ordered("m", CollectionKind::kMap);
  CHECK(map.key_type() == KeyType::kUnknown);
  map.put(int_key(1), {});
  CHECK(map.key_type() == KeyType::kInt);
  CHECK_THROWS_AS(map.put(ordered_key::of_float(1), {}), Error);
  CHECK_THROWS_AS(map.put(ordered_key::of_bytes(KeyType::kText, std::string(kMaxCountedKeyBytes, 'x')), {}), Error);
  CHECK(map.size() == 1);
  map.clear();
  CHECK(map.key_type() == KeyType::kInt);
  CHECK_THROWS_AS(store->ordered("m", CollectionKind::kMap, KeyType::kText), Error);
  CHECK_THROWS_AS(store->ordered("m", CollectionKind::kSet), Error);
  CHECK_THROWS_AS((void)store->hash("m"), Error);
  Ordered typed = store->ordered("t", CollectionKind::kSet, KeyType::kText);
  CHECK_THROWS_AS(typed.put(int_key(1), {}), Error);
  CHECK(store->verify() == std::vector<std::string>{});
}

TEST_CASE("ordered: ranks stay within their bounds while others write") {
  auto store = make_store();
  Ordered map = store->ordered("m", CollectionKind::kMap);
  constexpr std::int64_t kFixed = 500;  // even keys stay, odd ones come and go
  for (std::int64_t i = 0; i < kFixed; ++i) map.put(int_key(2 * i), {});
  std::thread writer([&] {
    Random random(3);
    for (int i = 0; i < 20'000; ++i) {
      const std::string key = int_key(2 * static_cast<std::int64_t>(below(random, kFixed)) + 1);
      if (!map.erase(key)) map.put(key, {});
    }
  });
  Random random(4);
  for (int i = 0; i < 5'000; ++i) {
    const auto place = static_cast<std::int64_t>(below(random, kFixed));
    const std::uint64_t rank = map.rank(int_key(2 * place));
    REQUIRE(rank >= static_cast<std::uint64_t>(place));
    REQUIRE(rank <= static_cast<std::uint64_t>(2 * place));
    REQUIRE(map.floor(int_key(2 * place)) == int_key(2 * place));
    REQUIRE(map.select(static_cast<std::uint64_t>(place)).has_value());
  }
  writer.join();
  CHECK(store->verify() == std::vector<std::string>{});
}

}  // namespace kv::test
