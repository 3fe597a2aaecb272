#include "index/append_sorted.hpp"

#include <algorithm>
#include <iterator>

#include "support/index_check.hpp"

namespace kv::test {
namespace {

[[nodiscard]] Ref make_entry(BlockSupply& blocks, ByteView key, ByteView value) {
  const EntryHeader header{kEntryKind, ValueType::kBytes, static_cast<std::uint16_t>(key.size()),
                           static_cast<std::uint32_t>(value.size())};
  const Ref ref = blocks.allocate(header.total_bytes());
  std::byte* const at = blocks.txn().fresh(ref);
  store_relaxed<std::uint64_t>(at, header.encode());
  copy_in(at + kEntryHeaderBytes, key.data(), key.size());
  copy_in(at + header.value_offset(), value.data(), value.size());
  return ref;
}

enum class Ending : std::uint8_t { kCommit, kRollBack };

// One step that appends from [from, to), at most `most` entries. Returns where it stopped.
Model::const_iterator append_step(Part& part, Model::const_iterator from, Model::const_iterator to, std::size_t most,
                                  Ending ending = Ending::kCommit) {
  Transaction txn(part);
  BlockSupply blocks(txn);
  SortedAppender appender(blocks, root_word(part));
  for (; from != to && most != 0 && txn.journal_room() >= appender.journal_needed(); ++from, --most) {
    REQUIRE(appender.fits(from->first));
    appender.add(make_entry(blocks, from->first, from->second));
    REQUIRE_FALSE(appender.fits(from->first));
  }
  appender.finish();
  blocks.settle();
  if (ending == Ending::kCommit) txn.commit();
  return from;
}

void append_all(Part& part, const Model& model) {
  for (auto at = model.begin(); at != model.end();) at = append_step(part, at, model.end(), model.size());
}

[[nodiscard]] Model draw_model(const KeySet& keys, Random& random) {
  Model model;
  const int draws = keys.draw(random).size() > 60'000 ? 30 : 3000;
  for (int i = 0; i < draws; ++i) model[keys.draw(random)] = std::to_string(below(random, 1000));
  return model;
}

}  // namespace

TEST_CASE("append: steps of any length make a sound tree of any kind of keys") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    Random random(14);
    for (const unsigned step : {1U, 7U, 300U, 1'000'000U}) {
      CAPTURE(step);
      auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
      Part& part = arena->part(0);
      Model model = draw_model(keys, random);
      for (auto at = model.cbegin(); at != model.cend();) {
        const std::size_t length = step > 1 ? below(random, step) + 1 : 1;
        if (below(random, 4) == 0) append_step(part, at, model.end(), length, Ending::kRollBack);
        at = append_step(part, at, model.end(), length);
      }
      check_contents(part, model, keys, random);
      check_structure(part, model);
      run_random_operations(part, model, keys, random, 200, 5);
      check_contents(part, model, keys, random);
      check_structure(part, model);
    }
  }
}

TEST_CASE("append: behind keys that came one by one, and with changes between the steps") {
  for (const KeySet& keys : key_sets()) {
    CAPTURE(keys.name);
    auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Random random(15);
    const Model all = draw_model(keys, random);
    Model model;
    for (auto at = all.cbegin(); at != all.cend();) {
      const auto upto = std::next(at, std::min<std::ptrdiff_t>(std::distance(at, all.cend()), below(random, 200) + 1));
      if (below(random, 2) == 0) {
        for (auto from = at; from != upto;) from = append_step(part, from, upto, 1000);
        model.insert(at, upto);
      } else {
        std::vector<std::pair<std::string, std::string>> shuffled(at, upto);
        std::shuffle(shuffled.begin(), shuffled.end(), random);
        for (const auto& [key, value] : shuffled) {
          Transaction txn(part);
          REQUIRE(put(txn, key, value));
          txn.commit();
        }
        model.insert(at, upto);
        for (auto from = at; from != upto; ++from) {
          if (below(random, 3) != 0) continue;
          Transaction txn(part);
          REQUIRE(remove(txn, from->first));
          txn.commit();
          model.erase(from->first);
        }
      }
      at = upto;
      check_structure(part, model);
    }
    check_contents(part, model, keys, random);
  }
}

TEST_CASE("append: a path of thousands of nodes, in steps that the journal bounds") {
  for (const std::size_t most : {std::size_t{3}, std::size_t{1'000'000}}) {
    CAPTURE(most);
    auto arena = Arena::create({.max_memory = 512 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    Model model;
    for (std::size_t bytes = 0; bytes < 2000; ++bytes) {
      model[std::string(bytes, 'a')] = "";
      if (bytes % 5 == 0) model[std::string(bytes, 'a') + static_cast<char>(bytes)] = "1";
    }
    for (auto at = model.cbegin(); at != model.cend();) at = append_step(part, at, model.cend(), most);
    check_structure(part, model);
    for (const auto& [key, value] : model) REQUIRE(value_of(part, find(part, root_of(part), key)) == value);
  }
}

TEST_CASE("append: one key, and keys that do not fit") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  append_all(part, {{"b", "1"}});
  check_structure(part, {{"b", "1"}});
  {
    Transaction txn(part);
    BlockSupply blocks(txn);
    const SortedAppender appender(blocks, root_word(part));
    CHECK_FALSE(appender.fits(""));
    CHECK_FALSE(appender.fits("a"));
    CHECK_FALSE(appender.fits("b"));
    CHECK(appender.fits(ByteView("b\0", 2)));
    CHECK(appender.fits("c"));
  }
  append_all(part, {{"ba", "2"}, {"c", "3"}});
  check_structure(part, {{"b", "1"}, {"ba", "2"}, {"c", "3"}});
}

TEST_CASE("append: without memory for a step, a rollback leaves every bit as it was") {
  auto arena = Arena::create({.max_memory = 4 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  Model model;
  for (unsigned number = 0; number < 200'000; ++number) model[dated_key(1, 2, 2018, number * 7)] = "value";
  Model appended;
  bool refused = false;
  for (auto at = model.cbegin(); at != model.cend() && !refused;) {
    const auto image = image_of(part);
    const auto from = at;
    try {
      at = append_step(part, at, model.cend(), 1000);
      appended.insert(from, at);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kOverCapacity);
      CHECK(image_of(part) == image);
      refused = true;
    }
  }
  CHECK(refused);
  check_structure(part, appended);
}

TEST_CASE("append: the tree is as small as that of single insertions") {
  Random random(16);
  Model model;
  for (int i = 0; i < 20'000; ++i) {
    model[dated_key(below(random, 28) + 1, below(random, 12) + 1, 2018, below(random, 10'000'000))] = "";
  }
  const auto bytes_of = [&](bool append) {
    auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
    Part& part = arena->part(0);
    if (append) {
      append_all(part, model);
    } else {
      for (const auto& [key, value] : model) {
        Transaction txn(part);
        put(txn, key, value);
        txn.commit();
      }
    }
    std::size_t bytes = 0;
    for (const auto& [ref, block] : blocks_in_use(part)) bytes += block;
    return static_cast<double>(bytes);
  };
  CHECK(bytes_of(true) < bytes_of(false) * 1.01);
}

}  // namespace kv::test
