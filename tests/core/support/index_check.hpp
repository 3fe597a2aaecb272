// What must hold of an index under test between transactions, as assertions.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "index/verify.hpp"
#include "support/index_model.hpp"
#include "support/key_sets.hpp"

namespace kv::test {

using Model = std::map<std::string, std::string>;

// Operations until every kind of change has happened many times; each ends in a commit.
inline void run_random_operations(Part& part, Model& model, const KeySet& keys, Random& random, int operations,
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

inline void check_contents(Part& part, const Model& model, const KeySet& keys, Random& random) {
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

// Every rule of the structure; every block in use belongs to it.
inline void check_structure(Part& part, const Model& model, IndexShape shape = IndexShape::kCompact) {
  std::set<Ref> reached;
  std::size_t entries = 0;
  std::vector<std::string> violations;
  verify_index(
      part, root_of(part), [&](Ref ref) { reached.insert(ref); },
      [&](Ref ref) {
        reached.insert(ref);
        ++entries;
      },
      violations, shape);
  for (const std::string& violation : violations) FAIL_CHECK(violation);
  CHECK(entries == model.size());
  const auto in_use = blocks_in_use(part);
  CHECK(in_use.size() == reached.size());
  for (const auto& [ref, bytes] : in_use) REQUIRE(reached.contains(ref));
}

}  // namespace kv::test
