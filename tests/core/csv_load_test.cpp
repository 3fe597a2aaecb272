// CSV files in a store: what the loader makes of rows, by an oracle that reads the same rows in file order.
#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "collections/collection.hpp"
#include "collections/records.hpp"
#include "index/lookaside.hpp"
#include "support/child_process.hpp"
#include "support/key_sets.hpp"
#include "support/store_check.hpp"
#include "support/temporary_file.hpp"

namespace kv::test {
namespace {

struct Row {
  std::string key;
  std::int64_t number;
};

// More than one partition of keys, and rows of one key far from each other.
[[nodiscard]] std::vector<Row> make_rows(Random& random, std::size_t count) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned number = below(random, static_cast<unsigned>(count * 4));
    rows.push_back({dated_key(number % 28 + 1, number / 28 % 12 + 1, 2018, number), static_cast<std::int64_t>(i)});
  }
  return rows;
}

[[nodiscard]] std::string text_of(const std::vector<Row>& rows) {
  std::string text = "key,number\n";
  for (const Row& row : rows) text += row.key + "," + std::to_string(row.number) + "\n";
  return text;
}

[[nodiscard]] CsvOptions options_for(const std::string& path, OnDuplicate on_duplicate, unsigned threads) {
  CsvOptions options;
  options.path = path;
  options.into = "rows";
  options.key = "{key}";
  options.types = {{"number", "int64"}};
  options.on_duplicate = on_duplicate;
  options.threads = threads;
  return options;
}

[[nodiscard]] std::map<std::string, std::int64_t> expected_of(const std::vector<Row>& rows, OnDuplicate on_duplicate) {
  std::map<std::string, std::int64_t> expected;
  for (const Row& row : rows) {
    const bool is_new = expected.emplace(row.key, row.number).second;
    if (!is_new && on_duplicate == OnDuplicate::kLast) expected[row.key] = row.number;
  }
  return expected;
}

struct Slots {
  std::size_t used = 0;
  std::size_t all = 0;
};

// Of the look-aside table of the collection "rows". That they lead to the right entries is what verification looks at.
[[nodiscard]] Slots lookaside_slots(Store& store) {
  Slots slots;
  for (const auto& [name, record] : store.impl().catalog.all()) {
    if (name != "rows") continue;
    Part& part = store.impl().arena->part(record.home_part);
    Transaction txn(part);
    const Lookaside lookaside(part, find_root(txn, record.binding)->lookaside);
    slots.all = std::size_t{lookaside.buckets()} * Lookaside::kSlots;
    lookaside.for_each([&](std::uint32_t, Ref) { ++slots.used; });
  }
  return slots;
}

}  // namespace

TEST_CASE("csv load: the rows that an oracle keeps, whatever the threads and the duplicates") {
  Random random(31);
  const std::vector<Row> rows = make_rows(random, 60'000);
  const TemporaryFile file(text_of(rows));
  for (const OnDuplicate on_duplicate : {OnDuplicate::kFirst, OnDuplicate::kLast}) {
    const auto expected = expected_of(rows, on_duplicate);
    REQUIRE(expected.size() < rows.size());
    for (const unsigned threads : {1U, 2U, 5U}) {
      CAPTURE(threads);
      const auto store = Store::create({.max_memory = 256 << 20, .parts = 2});
      const CsvReport report = store->load_csv(options_for(file.path(), on_duplicate, threads));
      CHECK(report.rows == expected.size());
      CHECK(report.duplicates == rows.size() - expected.size());
      const auto loaded = store->find_records("rows");
      REQUIRE(loaded);
      CHECK(loaded->size() == expected.size());
      auto next = expected.begin();
      std::size_t wrong = 0;
      Scan scan = loaded->scan({}, true);
      for (ScanPage page; scan.next(page);) {
        for (const ScanPage::Item& item : page.items) {
          REQUIRE(next != expected.end());
          std::int64_t number = 0;
          REQUIRE(page.value(item).size() >= sizeof number);
          std::memcpy(&number, page.value(item).data(), sizeof number);
          if (page.key(item) != next->first || number != next->second) ++wrong;
          ++next;
        }
      }
      CHECK(wrong == 0);
      CHECK(next == expected.end());
      std::size_t missed = 0;
      std::vector<char> record(loaded->schema().record_bytes());
      for (const auto& [key, number] : expected) missed += loaded->get(key, record.data()) ? 0 : 1;
      CHECK(missed == 0);
      const Slots slots = lookaside_slots(*store);
      CHECK(slots.used <= expected.size());
      CHECK(slots.used > expected.size() * 99 / 100);
      CHECK(slots.all < expected.size() * 5 / 3);  // although there were more rows
      check_sound(*store);
    }
  }
}

TEST_CASE("csv load: of duplicates that are an error, the least key is reported, with its first two lines") {
  Random random(32);
  std::vector<Row> rows = make_rows(random, 40'000);
  std::map<std::string, std::vector<std::size_t>> lines;
  for (std::size_t i = 0; i < rows.size(); ++i) lines[rows[i].key].push_back(i + 2);
  const auto least = std::find_if(lines.begin(), lines.end(), [](const auto& key) { return key.second.size() > 1; });
  REQUIRE(least != lines.end());
  const TemporaryFile file(text_of(rows));
  for (const unsigned threads : {1U, 4U}) {
    const auto store = Store::create({.max_memory = 256 << 20, .parts = 1});
    const std::uint64_t before = store->impl().arena->part(0).control().allocator.used_bytes;
    try {
      store->load_csv(options_for(file.path(), OnDuplicate::kError, threads));
      FAIL("loaded");
    } catch (const Error& error) {
      const std::string message = error.what();
      CHECK(message.find("'" + least->first + "' stands already in line " + std::to_string(least->second[0]) + ";") !=
            std::string::npos);
      CHECK(message.find(":" + std::to_string(least->second[1])) != std::string::npos);
    }
    CHECK_FALSE(store->find_records("rows"));
    CHECK(store->impl().arena->part(0).control().allocator.used_bytes <= before + 64 * 1024);
    check_sound(*store);
  }
}

TEST_CASE("csv load: a file large enough to be read by a guess, which the last row may prove wrong") {
  Random random(34);
  const std::vector<Row> rows = make_rows(random, 200'000);
  std::string text = "key,number,text\n";
  for (const Row& row : rows) {
    text += row.key + "," + std::to_string(row.number) + ",a text that makes the file longer " +
            std::to_string(row.number % 9'000) + "\n";
  }
  REQUIRE(text.size() > 10U << 20U);
  const auto expected = expected_of(rows, OnDuplicate::kLast);
  for (const bool is_wrong : {false, true}) {
    CAPTURE(is_wrong);
    const TemporaryFile file(is_wrong ? text + "~last,0.5,a\n" : text);
    CsvOptions options = options_for(file.path(), OnDuplicate::kLast, 3);
    options.types.clear();
    const auto store = Store::create({.max_memory = 256 << 20, .parts = 2});
    const CsvReport report = store->load_csv(options);
    CHECK(report.rows == expected.size() + (is_wrong ? 1 : 0));
    CHECK(report.duplicates == rows.size() - expected.size());
    const auto loaded = store->find_records("rows");
    REQUIRE(loaded);
    const Column& number = *loaded->schema().find("number");
    const Column& category = *loaded->schema().find("text");
    CHECK(number.type == (is_wrong ? ColumnType::kFloat64 : ColumnType::kInt64));
    REQUIRE(category.type == ColumnType::kCategory);
    const std::vector<std::string> texts = loaded->categories(1);
    CHECK(std::is_sorted(texts.begin(), texts.end()));
    std::size_t wrong = 0;
    std::vector<char> record(loaded->schema().record_bytes());
    for (const auto& [key, wanted] : expected) {
      if (!loaded->get(key, record.data())) {
        ++wrong;
        continue;
      }
      std::int64_t integer = 0;
      double real = 0;
      std::uint32_t code = 0;
      std::memcpy(&integer, record.data() + number.offset, sizeof integer);
      std::memcpy(&real, record.data() + number.offset, sizeof real);
      std::memcpy(&code, record.data() + category.offset, category.bytes);
      const bool same = is_wrong ? real == static_cast<double>(wanted) : integer == wanted;
      if (!same || texts.at(code) != "a text that makes the file longer " + std::to_string(wanted % 9'000)) ++wrong;
    }
    CHECK(wrong == 0);
    check_sound(*store);
  }
}

TEST_CASE("csv load: processes killed at any time leave nothing of what they loaded") {
  Random random(33);
  const TemporaryFile file(text_of(make_rows(random, 100'000)));
  const auto store = Store::create({.max_memory = 256 << 20, .parts = 1});
  static_cast<void>(store->hash("other"));
  const std::uint64_t before = store->impl().arena->part(0).control().allocator.used_bytes;
  int loaded = 0;
  for (int kill = 0; kill < 30; ++kill) {
    ChildProcess loader([&] {
      store->load_csv(options_for(file.path(), OnDuplicate::kLast, 2));
      return 0;
    });
    std::this_thread::sleep_for(std::chrono::microseconds(below(random, 150'000)));
    check_sound(*store);  // beside it
    loader.kill();
    check_sound(*store);
    if (store->find_records("rows")) ++loaded;
    store->drop("rows");
    static_cast<void>(
        store->hash("other" + std::to_string(kill)));  // who makes a collection drops what was left behind
    CHECK(store->drop("other" + std::to_string(kill)));
    check_sound(*store);
    CHECK(store->impl().arena->part(0).control().allocator.used_bytes <= before + 64 * 1024);
  }
  CHECK(loaded < 30);
}

}  // namespace kv::test
