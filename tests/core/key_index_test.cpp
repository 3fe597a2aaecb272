#include "index/key_index.hpp"

#include <algorithm>

#include "index/dismantle.hpp"
#include "kv_storage/error.hpp"
#include "support/index_check.hpp"
#include "support/key_sets.hpp"

namespace kv::test {
namespace {

void put_one(Part& part, ByteView key) {
  Transaction txn(part);
  put(txn, key);
  txn.commit();
}

bool remove_one(Part& part, ByteView key) {
  Transaction txn(part);
  const bool removed = remove(txn, key);
  txn.commit();
  return removed;
}

}  // namespace

TEST_CASE("key index: random operations agree with std::map for every kind of keys") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Random random(7);
    Model model;
    const int operations = keys.draw(random).size() > 60'000 ? 300 : 3000;
    for (const unsigned puts_in_ten : {9U, 5U, 1U}) {
      run_random_operations(part, model, keys, random, operations, puts_in_ten);
      check_contents(part, model, keys, random);
      check_structure(part, model);
    }
    while (!model.empty()) {
      REQUIRE(remove_one(part, model.begin()->first));
      model.erase(model.begin());
    }
    CHECK(root_of(part) == kNullRef);
    CHECK(blocks_in_use(part).empty());
  }
}

TEST_CASE("key index: every form of node comes into use and goes again, with and without a terminal") {
  for (const bool terminal : {false, true}) {
    CAPTURE(terminal);
    auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Random random(2);
    Model model;
    std::vector<std::string> keys;
    for (unsigned byte = 0; byte < 256; ++byte) keys.push_back(std::string("p") + static_cast<char>(byte));
    std::shuffle(keys.begin(), keys.end(), random);
    if (terminal) keys.insert(keys.begin(), "p");
    std::map<unsigned, unsigned> capacities;  // by form
    const auto note_form = [&] {
      const NodeView node(part, root_of(part));
      if (node) capacities[static_cast<unsigned>(node.shape().form)] |= node.shape().capacity;
      if (model.size() > 2) CHECK(node.has_terminal() == terminal);
    };
    for (const std::string& key : keys) {
      put_one(part, key);
      model[key] = "";
      note_form();
      check_structure(part, model);
    }
    const auto grown = capacities;
    CHECK(grown.size() == 3);
    CHECK(NodeView(part, root_of(part)).shape().form == NodeForm::kFull);
    std::reverse(keys.begin(), keys.end());
    for (const std::string& key : keys) {
      CHECK(remove_one(part, key));
      model.erase(key);
      note_form();
      check_structure(part, model);
    }
    CHECK(capacities == grown);
    CHECK(blocks_in_use(part).empty());
  }
}

TEST_CASE("key index: an insertion at the bound between two sizes and its erasure rebuild nothing") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  for (unsigned count = 0; count < 256; ++count) {
    const std::string key(1, static_cast<char>(count));
    put_one(part, key);
    const Ref after_growth = root_of(part);
    if (count == 0) continue;
    remove_one(part, key);
    put_one(part, key);
    if (count > 1) CHECK(root_of(part) == after_growth);
  }
}

TEST_CASE("key index: what an operation journals is bounded") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Random random(8);
    const int operations = keys.draw(random).size() > 60'000 ? 100 : 4000;
    std::size_t journaled = 0;
    for (int i = 0; i < operations; ++i) {
      Transaction txn(part);
      const std::string key = keys.draw(random);
      const std::size_t room = txn.journal_room();
      if (below(random, 3) != 0) {
        put(txn, key);
      } else {
        remove(txn, key);
      }
      const std::size_t used = room - txn.journal_room();
      CHECK(used <= kInsertJournal);
      journaled += used;
      txn.commit();
    }
    CHECK(journaled <= static_cast<std::size_t>(operations) * 24);
  }
}

TEST_CASE("key index: thousands of levels") {
  auto arena = Arena::create({.max_memory = 512 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  Model model;
  const auto add = [&](const std::string& key) {
    Transaction txn(part);
    const std::size_t room = txn.journal_room();
    put(txn, key);
    CHECK(room - txn.journal_room() <= kInsertJournal);
    txn.commit();
    model[key] = "";
  };
  for (std::size_t bytes = 0; bytes < 2500; ++bytes) add(std::string(bytes, 'a'));
  for (std::size_t bytes = 0; bytes < 2500; bytes += 50) add(std::string(bytes, 'a') + static_cast<char>(bytes));
  check_structure(part, model);
  for (const auto& [key, value] : model) REQUIRE(find(part, root_of(part), key) != kNullRef);
  for (std::size_t bytes = 0; bytes < 2500; bytes += 2) {
    CHECK(remove_one(part, std::string(bytes, 'a')));
    model.erase(std::string(bytes, 'a'));
  }
  check_structure(part, model);
}

TEST_CASE("key index: a rollback leaves every bit as it was") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    Random random(9);
    if (keys.draw(random).size() > 60'000) continue;
    auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Model model;
    run_random_operations(part, model, keys, random, 400, 7);
    for (int i = 0; i < 60; ++i) {
      const auto image = image_of(part);
      {
        Transaction txn(part);
        if (below(random, 2) == 0) {
          put(txn, keys.draw(random), "another value");
        } else {
          remove(txn, keys.draw(random));
        }
        if (below(random, 2) == 0) txn.rollback();
      }
      REQUIRE(image_of(part) == image);
      run_random_operations(part, model, keys, random, 3, 5);
    }
    check_structure(part, model);
  }
}

TEST_CASE("key index: in a full store insertions fail and change nothing, erasures succeed") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    auto arena = Arena::create({.max_memory = 16 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Random random(10);
    Model model;
    const int operations = keys.draw(random).size() > 60'000 ? 40 : 600;
    run_random_operations(part, model, keys, random, operations, 7);
    const MemoryHog hog(part);
    int refused = 0;
    for (int i = 0; i < operations; ++i) {
      const std::string key = keys.draw(random);
      Transaction txn(part);
      if (below(random, 3) != 0) {
        REQUIRE(remove(txn, key) == (model.erase(key) == 1));
      } else {
        try {
          put(txn, key, "v");
          model[key] = "v";
        } catch (const Error& error) {
          CHECK(error.code() == ErrorCode::kOverCapacity);
          ++refused;
        }
      }
      txn.commit();
      if (below(random, 8) == 0) hog.fill(txn);
    }
    CHECK(refused > 0);
    check_contents(part, model, keys, random);
    hog.release();
    check_structure(part, model, IndexShape::kAny);

    // With memory again, the loose nodes that remain do no harm.
    run_random_operations(part, model, keys, random, operations, 5);
    check_contents(part, model, keys, random);
    check_structure(part, model, IndexShape::kAny);
  }
}

TEST_CASE("key index: dismantling frees all in steps, and can be interrupted after any of them") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Random random(12);
    Model model;
    run_random_operations(part, model, keys, random, keys.draw(random).size() > 60'000 ? 50 : 3000, 8);
    std::size_t released = 0;
    for (bool more = true; more;) {
      Transaction txn(part);
      const std::size_t before = released;
      more = dismantle_index(txn, root_word(part), 1 + below(random, 100), [&](Ref entry) {
        CHECK(load8(part.at(entry, 8)) == kEntryKind);
        txn.free(entry);
        ++released;
      });
      if (below(random, 4) == 0) {
        txn.rollback();
        released = before;
        more = true;
      } else {
        txn.commit();
        if (below(random, 10) == 0) {
          std::vector<std::string> violations;
          std::set<Ref> reached;
          const auto reach = [&](Ref ref) { reached.insert(ref); };
          verify_index(part, root_of(part), reach, reach, violations, IndexShape::kDismantled);
          CHECK(violations.empty());
        }
      }
    }
    CHECK(released == model.size());
    CHECK(root_of(part) == kNullRef);
    CHECK(blocks_in_use(part).empty());
  }
}

TEST_CASE("key index: verification notices broken structures") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  Model model;
  Random random(13);
  for (const KeySet& keys : key_sets()) {
    if (keys.draw(random).size() < 60'000) run_random_operations(part, model, keys, random, 100, 9);
  }
  std::set<Ref> nodes, entries;
  const auto is_sound = [&] {
    nodes.clear(), entries.clear();
    std::vector<std::string> violations;
    verify_index(
        part, root_of(part), [&](Ref ref) { nodes.insert(ref); }, [&](Ref ref) { entries.insert(ref); }, violations,
        IndexShape::kCompact);
    return violations.empty() && entries.size() == model.size();
  };
  REQUIRE(is_sound());
  for (const Ref ref : std::set<Ref>(nodes)) {
    const NodeView node(part, ref);
    std::vector<std::byte*> places = {node.base() + 1, node.base() + 2, node.edges(), node.slot(0)};
    if (node.prefix_bytes() != 0) places.push_back(node.prefix());
    for (std::byte* const place : places) {
      const std::uint8_t old = load8(place);
      store_relaxed<std::uint8_t>(place, static_cast<std::uint8_t>(old ^ 1U));
      CHECK_FALSE(is_sound());
      store_relaxed<std::uint8_t>(place, old);
    }
    const std::uint64_t header = load64(node.base());
    store_relaxed<std::uint64_t>(node.base(), header | 0x70);  // no such kind
    CHECK_FALSE(is_sound());
    store_relaxed<std::uint64_t>(node.base(), header & 0xffffffff);  // no bytes below
    CHECK_FALSE(is_sound());
    store_relaxed<std::uint64_t>(node.base(), header);
  }
  CHECK(is_sound());
}

}  // namespace kv::test
