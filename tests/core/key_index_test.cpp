#include "index/key_index.hpp"

#include <set>

#include "index/node_writer.hpp"
#include "kv_storage/error.hpp"
#include "support/index_model.hpp"
#include "support/key_sets.hpp"

namespace kv::test {
namespace {

using Model = std::map<std::string, std::string>;

// Operations until every kind of change has happened many times; each ends in a commit.
void run_random_operations(Part& part, Model& model, const KeySet& keys, Random& random, int operations,
                           unsigned puts_in_ten) {
  for (int i = 0; i < operations; ++i) {
    const std::string key = keys.draw(random);
    Transaction txn(part);
    if (below(random, 10) < puts_in_ten) {
      const std::string value = std::to_string(below(random, 1000));
      REQUIRE(put(txn, key, value) == !model.contains(key));
      model[key] = value;
    } else {
      REQUIRE(remove(txn, key) == (model.erase(key) == 1));
    }
    txn.commit();
  }
}

void check_contents(Part& part, const Model& model, const KeySet& keys, Random& random) {
  for (const auto& [key, value] : model) {
    const Ref entry = find(part, root_of(part), key);
    REQUIRE(entry != kNullRef);
    REQUIRE(key_of(part, entry) == key);
    REQUIRE(value_of(part, entry) == value);
  }
  for (int i = 0; i < 300; ++i) {
    const std::string key = keys.draw(random);
    REQUIRE((find(part, root_of(part), key) != kNullRef) == model.contains(key));
    REQUIRE((find(part, root_of(part), key + "x") != kNullRef) == model.contains(key + "x"));
  }
}

}  // namespace

TEST_CASE("key index: random operations agree with std::map for every kind of keys") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Random random(7);
    Model model;
    const int operations = keys.draw(random).size() > 60'000 ? 300 : 6000;
    for (const unsigned puts_in_ten : {9U, 5U, 1U}) {
      run_random_operations(part, model, keys, random, operations, puts_in_ten);
      check_contents(part, model, keys, random);
    }
    while (!model.empty()) {
      Transaction txn(part);
      REQUIRE(remove(txn, model.begin()->first));
      txn.commit();
      model.erase(model.begin());
    }
    CHECK(root_of(part) == kNullRef);
    CHECK(blocks_in_use(part).empty());
  }
}

}  // namespace kv::test
