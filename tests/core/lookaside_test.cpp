#include "index/lookaside.hpp"

#include <map>
#include <span>
#include <thread>
#include <vector>

#include "support/index_model.hpp"
#include "support/key_sets.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kSeed = 42;

struct Table {
  std::shared_ptr<Arena> arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  std::map<std::string, Ref> entries;

  Lookaside view() { return {part, root_of(part)}; }
  void resize() {
    Transaction txn(part);
    resize_lookaside(txn, root_word(part), entries.size());
  }
  void add(const std::string& key) {
    Transaction txn(part);
    const Ref entry = make_entry(txn, key);
    txn.commit();
    entries[key] = entry;
    view().insert(hash_key(key, kSeed), entry);
  }
  void remove(const std::string& key) {
    Transaction txn(part);
    view().remove(hash_key(key, kSeed), entries.at(key));
    txn.free(entries.at(key));
    txn.commit();
    entries.erase(key);
  }
  Ref find(const std::string& key) { return view().find(hash_key(key, kSeed), key); }
  std::size_t hits() {
    std::size_t hits = 0;
    for (const auto& [key, entry] : entries) {
      const Ref found = find(key);
      REQUIRE((found == kNullRef || found == entry));
      if (found == entry) ++hits;
    }
    return hits;
  }
};

}  // namespace

TEST_CASE("look-aside: grows, shrinks, hits nearly always, and never answers with another key's entry") {
  Table table;
  Random random(3);
  CHECK(table.find("absent") == kNullRef);  // without a table
  for (unsigned i = 0; i < 50'000; ++i) {
    table.add(dated_key(1, 1, 2018, i));
    if (lookaside_wants_resize(table.view().buckets(), table.entries.size())) table.resize();
  }
  const std::size_t bytes = table.part.control().allocator.used_bytes;
  CHECK(table.hits() > table.entries.size() * 995 / 1000);
  CHECK(std::size_t{table.view().buckets()} * Lookaside::kBucketBytes < table.entries.size() * 13);
  for (unsigned i = 50'000; i < 60'000; ++i) REQUIRE(table.find(dated_key(1, 1, 2018, i)) == kNullRef);

  while (table.entries.size() > 10) {
    table.remove(table.entries.begin()->first);
    if (lookaside_wants_resize(table.view().buckets(), table.entries.size())) table.resize();
    if (table.entries.size() % 5000 == 0) CHECK(table.hits() > table.entries.size() * 995 / 1000);
  }
  CHECK(table.part.control().allocator.used_bytes < bytes);
  while (!table.entries.empty()) table.remove(table.entries.begin()->first);
  table.resize();
  CHECK(root_of(table.part) == kNullRef);
  CHECK(blocks_in_use(table.part).empty());
}

TEST_CASE("look-aside: hits survive insertions and removals in random order") {
  Table table;
  Random random(5);
  for (int i = 0; i < 60'000; ++i) {
    const std::string key = std::to_string(below(random, 9000));
    if (table.entries.contains(key)) {
      table.remove(key);
    } else {
      table.add(key);
    }
    if (lookaside_wants_resize(table.view().buckets(), table.entries.size())) table.resize();
  }
  std::size_t slots = 0;
  table.view().for_each([&](std::uint32_t, Ref) { ++slots; });
  CHECK(table.hits() == slots);  // each slot lies where a search finds it
  CHECK(slots > table.entries.size() * 995 / 1000);
}

TEST_CASE("look-aside: a full bucket forgets one entry, and only that") {
  Table table;
  for (unsigned i = 0; i < 32; ++i) table.add(std::to_string(i));
  table.resize();
  for (unsigned i = 32; i < 4000; ++i) table.add(std::to_string(i));  // never resized
  CHECK(table.hits() >= std::size_t{table.view().buckets()} * Lookaside::kSlots);
  table.view().for_each(
      [&](std::uint32_t tag, Ref entry) { CHECK(tag == tag_of_hash(hash_key(key_of(table.part, entry), kSeed))); });
}

TEST_CASE("look-aside: buckets are cache lines, in small tables too") {
  Table table;
  for (unsigned i = 0; i < 3000; ++i) {
    table.add(std::to_string(i));
    if (lookaside_wants_resize(table.view().buckets(), table.entries.size())) table.resize();
    std::uint64_t blocks = 0;
    for_each_lookaside_block(table.part, root_of(table.part), [&](Ref ref) {
      ++blocks;
      CHECK(blocks_in_use(table.part).contains(ref));
    });
    CHECK(blocks == (table.view().buckets() != 0 ? 1 : 0));
    if (i > 100) i += 97;
  }
}

TEST_CASE("look-aside: without memory to grow it stays as it is") {
  Table table;
  for (unsigned i = 0; i < 100; ++i) {
    table.add(std::to_string(i));
    if (lookaside_wants_resize(table.view().buckets(), table.entries.size())) table.resize();
  }
  const std::uint32_t buckets = table.view().buckets();
  const std::size_t hits = table.hits();
  const auto blocks = blocks_in_use(table.part);
  {
    Transaction txn(table.part);
    resize_lookaside(txn, root_word(table.part), 1'000'000'000);
  }
  CHECK(table.view().buckets() == buckets);
  CHECK(table.hits() == hits);
  CHECK(blocks_in_use(table.part) == blocks);
}

TEST_CASE("look-aside: a table left by a process that died while growing is given back") {
  Table table;
  for (unsigned i = 0; i < 100; ++i) table.add(std::to_string(i));
  table.resize();
  {
    Transaction txn(table.part);
    txn.store32(root_of(table.part), 4, txn.allocate(10'000));
    txn.commit();
  }
  for (unsigned i = 100; i < 1000; ++i) table.add(std::to_string(i));
  table.resize();
  CHECK(blocks_in_use(table.part).size() == table.entries.size() + 1);
}

TEST_CASE("look-aside: threads fill a table that nobody else knows") {
  for (const unsigned overload : {1U, 4U}) {  // with four times the entries it is for, most are in another's place
    CAPTURE(overload);
    Table table;
    std::vector<std::uint64_t> words;
    {
      Transaction txn(table.part);
      for (unsigned i = 0; i < 40'000 * overload; ++i) {
        const std::string key = dated_key(1, 1, 2018, i);
        const Ref entry = make_entry(txn, key);
        table.entries[key] = entry;
        words.push_back(Lookaside::word_of(hash_key(key, kSeed), entry));
        txn.commit();
      }
      resize_lookaside(txn, root_word(table.part), 40'000);
    }
    std::vector<std::thread> threads;
    const std::size_t share = words.size() / 4;
    for (std::size_t i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] { table.view().insert_words(std::span(words).subspan(i * share, share)); });
    }
    for (std::thread& thread : threads) thread.join();
    std::size_t slots = 0;
    table.view().for_each([&](std::uint32_t, Ref) { ++slots; });
    CHECK(table.hits() == slots);
    if (overload == 1) CHECK(slots == words.size());
    if (overload > 1) CHECK(slots > 60'000);
  }
  Lookaside(Table().part, kNullRef).insert_words(std::vector<std::uint64_t>{1, 2, 3});  // without a table
}

}  // namespace kv::test
