// Opening merges what the log says about keys into what the checkpoint has: the order of the log counts, key by key.
#include "persist/replay.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "kv_storage/ordered.hpp"
#include "support/data_directories.hpp"
#include "support/temporary_directory.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kLongTtl = 1'000'000'000;

// Changes in no order to all kinds that have keys. Many keys are changed several times.
void change(Store& store, std::mt19937& random, int changes, bool clears) {
  Hash root = store.root();
  Hash named = store.hash("named");
  RecordHash rows = store.records("rows", carrier_schema());
  Ordered map = store.ordered("map", CollectionKind::kMap, KeyType::kInt);
  for (int i = 0; i < changes; ++i) {
    const std::string key = "key" + std::to_string(random() % 2'000);
    Hash& hash = random() % 4 == 0 ? named : root;
    switch (random() % 16) {
      case 0:
        hash.erase(key);
        break;
      case 1:
        (void)hash.expire(key, kLongTtl);
        break;
      case 2:
        hash.put(key, bytes_value("expires"), kLongTtl);
        break;
      case 3:
        put_carrier(rows, key, i, "carrier" + std::to_string(random() % 50));
        break;
      case 4:
        rows.erase(key);
        break;
      case 5:
        map.put(ordered_key::of_integer(KeyType::kInt, static_cast<int>(random() % 2'000)), bytes_value("m"));
        break;
      case 6:
        if (clears && random() % 200 == 0) hash.clear();
        break;
      case 7:
        hash.put(key, bytes_value(std::string(random() % 3'000, 'v')));  // several segments
        break;
      default:
        hash.put(key, bytes_value(std::to_string(i)));
    }
  }
}

}  // namespace

TEST_CASE("replay: keys are as the last records say, whether a checkpoint had them or not") {
  for (unsigned round = 0; round < 16; ++round) {
    CAPTURE(round);
    std::mt19937 random(round);
    const TemporaryDirectory root;
    const std::uint32_t parts = 1 + round % 2;
    const bool clears = round % 8 >= 4;
    Contents expected;
    {
      const auto store = open_store(root.path(), parts);
      change(*store, random, 3'000, clears);
      if (round % 4 != 3) store->checkpoint();
      change(*store, random, 10'000, clears);
      expected = contents_of(*store);
    }
    {
      const auto store = open_store(root.path(), parts);
      check_contents(*store, expected);
      change(*store, random, 2'000, clears);  // a log of a second epoch
      expected = contents_of(*store);
    }
    check_contents(*open_store(root.path(), parts), expected);
    check_contents(*open_store(root.path(), 3 - parts), expected);
  }
}

TEST_CASE("replay: whatever is read back is found by its key at once") {
  const TemporaryDirectory root;
  constexpr int kKeys = 5'000;
  const auto key = [](int i) { return "key" + std::to_string(i); };
  {
    const auto store = open_store(root.path());
    for (int i = 0; i < kKeys; i += 2) store->root().put(key(i), bytes_value("checkpoint"));
    store->checkpoint();
    for (int i = 0; i < kKeys; i += 3) store->root().put(key(i), bytes_value("log"));
  }
  const auto store = open_store(root.path());
  for (int i = 0; i < kKeys; ++i) {
    const std::string expected = i % 3 == 0 ? "6:log" : i % 2 == 0 ? "6:checkpoint" : "absent";
    CHECK(value_of(store->root(), key(i)) == expected);
  }
}

}  // namespace kv::test
