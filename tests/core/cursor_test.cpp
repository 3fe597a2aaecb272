#include "index/cursor.hpp"

#include <algorithm>
#include <functional>

#include "support/index_model.hpp"
#include "support/key_sets.hpp"

namespace kv::test {
namespace {

using Keys = std::vector<std::string>;
using Model = std::map<std::string, std::string>;

struct Query {
  std::optional<std::string> start = {};
  std::optional<std::string> stop = {};
  std::optional<std::string> pattern = {};
  bool reverse = false;
};

std::optional<ByteView> view(const std::optional<std::string>& text) {
  return text ? std::optional<ByteView>(*text) : std::nullopt;
}

Keys expected(const Model& model, const Query& query) {
  Keys keys;
  const GlobPattern glob(query.pattern.value_or("*"));
  for (const auto& [key, value] : model) {
    const bool inside = (!query.start || key >= *query.start) && (!query.stop || key < *query.stop);
    if (inside && glob.matches(key)) keys.push_back(key);
  }
  if (query.reverse) std::reverse(keys.begin(), keys.end());
  return keys;
}

// Walks by pages; `between(page)` runs after each and may change the index. Takes a random part of each page if
// `random`.
Keys walk(
    Part& part, const Query& query, Random* random = nullptr, const std::function<void()>& between = [] {},
    Cursor* used = nullptr) {
  const GlobPattern glob(query.pattern.value_or(""));
  Cursor own(view(query.start), view(query.stop), query.pattern ? &glob : nullptr, query.reverse);
  Cursor& cursor = used != nullptr ? *used : own;
  Keys keys;
  for (bool more = true; more;) {
    Keys page;
    part.read([&] {
      page.clear();
      const std::size_t limit = random != nullptr ? 1 + below(*random, Cursor::kPageEntries) : Cursor::kPageEntries;
      for (const Ref entry : cursor.collect(part, root_of(part), limit, true)) {
        page.emplace_back(key_of(part, entry));
      }
      return true;
    });
    if (random != nullptr && !page.empty()) page.resize(below(*random, static_cast<unsigned>(page.size()) + 1));
    more = cursor.advance(page.size(), page.empty() ? ByteView() : ByteView(page.back()));
    keys.insert(keys.end(), page.begin(), page.end());
    if (more) between();
  }
  return keys;
}

std::string pattern_from(const std::string& key, Random& random) {
  std::string pattern = key.substr(0, std::min<std::size_t>(key.size(), 60));
  for (char& byte : pattern) {
    const unsigned draw = below(random, 12);
    if (draw == 0) byte = '*';
    if (draw == 1) byte = '?';
  }
  if (below(random, 2) == 0) pattern += '*';
  if (below(random, 4) == 0) pattern.insert(below(random, static_cast<unsigned>(pattern.size()) + 1), "[!a-p5]");
  return pattern;
}

Query random_query(const KeySet& keys, Random& random) {
  Query query;
  if (below(random, 2) == 0) query.start = keys.draw(random);
  if (below(random, 2) == 0) query.stop = keys.draw(random);
  if (query.start && below(random, 4) == 0) query.stop = *query.start + "\xff";
  if (below(random, 2) == 0) query.pattern = pattern_from(keys.draw(random), random);
  query.reverse = below(random, 2) == 0;
  return query;
}

struct Index {
  std::shared_ptr<Arena> arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  Model model;

  void put(const std::string& key) {
    Transaction txn(part);
    kv::test::put(txn, key);
    txn.commit();
    model[key] = "";
  }
  void remove(const std::string& key) {
    Transaction txn(part);
    kv::test::remove(txn, key);
    txn.commit();
    model.erase(key);
  }
};

}  // namespace

TEST_CASE("cursor: ranges and globs in both directions agree with std::map for every kind of keys") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    Random random(5);
    Index index;
    CHECK(walk(index.part, {}).empty());
    const int count = keys.draw(random).size() > 60'000 ? 30 : 1500;
    for (int i = 0; i < count; ++i) {
      index.put(keys.draw(random));
      if (i % 20 != 0 && i > 30) continue;
      const Query query = random_query(keys, random);
      CAPTURE(query.pattern.value_or("none"));
      REQUIRE(walk(index.part, query) == expected(index.model, query));
      REQUIRE(walk(index.part, query, &random) == expected(index.model, query));
    }
    for (const bool reverse : {false, true}) {
      const Query all{.reverse = reverse};
      CHECK(walk(index.part, all) == expected(index.model, all));
    }
  }
}

TEST_CASE("cursor: while others write, no key comes twice and none is missed that was there all along") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    Random random(6);
    Index index;
    const int count = keys.draw(random).size() > 60'000 ? 30 : 1500;
    for (int i = 0; i < count; ++i) index.put(keys.draw(random));
    for (int round = 0; round < 20; ++round) {
      const Query query = random_query(keys, random);
      const Keys before = expected(index.model, query);
      Model always = index.model;
      const Keys walked = walk(index.part, query, &random, [&] {
        const std::string key = keys.draw(random);
        if (below(random, 2) == 0) {
          index.put(key);
        } else {
          index.remove(key);
          always.erase(key);
        }
      });
      Keys sorted = walked;
      if (query.reverse) std::reverse(sorted.begin(), sorted.end());
      CHECK(std::is_sorted(sorted.begin(), sorted.end()));
      CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
      Query forward = query;
      forward.reverse = false;
      const Keys kept = expected(always, forward);
      CHECK(std::includes(sorted.begin(), sorted.end(), kept.begin(), kept.end()));
    }
  }
}

TEST_CASE("cursor: a glob's cost does not grow with keys that cannot match") {
  struct Growth {
    const char* pattern;
    std::function<std::string(unsigned)> unmatched;
  };
  const std::vector<Growth> growths = {
      {"hash-?\?-06-2018-*", [](unsigned i) { return dated_key(i % 28 + 1, 5, 2018, i); }},
      {"hash-*-06-2018-*", [](unsigned i) { return dated_key(i % 28 + 1, 5, 2018, i); }},
      {"hash-*-06-2018-*", [](unsigned i) { return "other-" + std::to_string(i); }},
      {"hash-0[1-5]-06-*", [](unsigned i) { return dated_key(i % 20 + 6, 6, 2018, i); }},
      {"*-06-2018-*", [](unsigned i) { return "plain" + std::to_string(i); }},
  };
  for (const Growth& growth : growths) {
    CAPTURE(growth.pattern);
    Index index;
    for (unsigned i = 0; i < 200; ++i) index.put(dated_key(i % 5 + 1, 6, 2018, i));
    std::vector<std::uint64_t> visited;
    unsigned grown = 0;
    for (const unsigned target : {300U, 30'000U}) {
      for (; grown < target; ++grown) index.put(growth.unmatched(grown));
      const GlobPattern glob(growth.pattern);
      Cursor cursor(std::nullopt, std::nullopt, &glob, false);
      CHECK(walk(
                index.part, {}, nullptr, [] {}, &cursor)
                .size() == 200);
      visited.push_back(cursor.nodes_visited() + cursor.entries_visited());
    }
    CHECK(visited[1] <= visited[0] * 12 / 10);
  }
}

TEST_CASE("cursor: a prefix costs what it matches") {
  Index index;
  for (unsigned i = 0; i < 20'000; ++i) index.put(dated_key(i % 28 + 1, i % 12 + 1, 2018, i));
  const GlobPattern glob("hash-06-06-2018-*");
  Cursor cursor(std::nullopt, std::nullopt, &glob, false);
  const Keys keys = walk(
      index.part, {}, nullptr, [] {}, &cursor);
  CHECK(keys == expected(index.model, {.pattern = "hash-06-06-2018-*"}));
  CHECK(cursor.entries_visited() == keys.size());
  CHECK(cursor.nodes_visited() < keys.size() / 2 + 10);
}

TEST_CASE("cursor: a step that finds too much to remember is made again, and what it had found comes once") {
  Index index;
  constexpr int kBytes = 256;
  const auto key = [](std::initializer_list<int> bytes) { return std::string(bytes.begin(), bytes.end()); };
  for (int first = 0; first < kBytes; ++first) {
    if (first > 1) index.put(key({first}));
    for (int second = 0; first < 4 && second < kBytes; ++second) {
      if (second % 2 == 0) index.put(key({first, second}));
      for (int third = 0; second % 2 != 0 && second < 8 && third < kBytes; ++third) {
        index.put(key({first, second, third}));
      }
    }
  }
  for (const bool reverse : {false, true}) {
    const Query all{.reverse = reverse};
    CHECK(walk(index.part, all) == expected(index.model, all));
  }
}

TEST_CASE("cursor: a search that finds nothing goes on over many pages, also while others write") {
  Index index;
  for (unsigned i = 0; i < 30'000; ++i) index.put(dated_key(1, 1, 2018, i));
  index.put("hash-02-02-2018-found");
  for (const bool reverse : {false, true}) {
    int pages = 0;
    const Query query{.pattern = "*[!0-9]", .reverse = reverse};
    const Keys keys = walk(index.part, query, nullptr, [&] {
      index.put("999");  // each page descends anew
      ++pages;
      REQUIRE(pages < 1000);
    });
    CHECK(keys == Keys{"hash-02-02-2018-found"});
    CHECK(pages > 5);
  }
}

}  // namespace kv::test
