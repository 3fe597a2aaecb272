// Loading in one pass by a guess, compared with inference of the whole file followed by parsing: the same table, or the
// same error, whatever the sample did not show.
#include <doctest/doctest.h>

#include <array>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "csv/values.hpp"
#include "support/csv_table.hpp"
#include "support/temporary_file.hpp"

using kv::CsvOptions;
using kv::Error;
using kv::test::CsvTable;
using kv::test::guess_table;
using kv::test::GuessOutcome;
using kv::test::load_table;
using kv::test::TemporaryFile;
using Strings = std::vector<std::string>;

namespace {

constexpr std::size_t kRangeBytes = 64;

struct Loaded {
  CsvTable table;
  std::string error;
  GuessOutcome outcome = GuessOutcome::kNotTried;
};

template <class Load>
Loaded attempt(const Load& load) {
  Loaded loaded;
  try {
    load(loaded);
  } catch (const Error& error) {
    loaded.error = error.what();
  }
  return loaded;
}

// Loads both ways and compares; returns how the guess turned out.
GuessOutcome compare(const std::string& text, CsvOptions options, std::size_t range_bytes = kRangeBytes) {
  const TemporaryFile file(text);
  options.path = file.path();
  if (options.key.empty()) options.key = "{k}";
  const Loaded expected = attempt([&](Loaded& to) { to.table = load_table(options, range_bytes); });
  GuessOutcome outcome = GuessOutcome::kNotTried;
  for (const unsigned threads : {1U, 3U}) {
    CAPTURE(threads);
    options.threads = threads;
    const Loaded found =
        attempt([&](Loaded& to) { std::tie(to.table, to.outcome) = guess_table(options, range_bytes); });
    CHECK(found.error == expected.error);
    CHECK(found.table.types == expected.table.types);
    CHECK(found.table == expected.table);
    outcome = found.outcome;
  }
  return outcome;
}

// The type that documentation gives a column of these values, all looked at one after the other.
std::string type_of(const Strings& values) {
  using namespace kv::csv;
  static const std::set<std::string> kMissing = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"};
  unsigned kinds = 0;
  bool missing = false;
  std::set<std::string> texts;
  for (std::string value : values) {
    if (kMissing.contains(value)) {
      missing = true;
      continue;
    }
    texts.insert(value);
    value.reserve(value.size() + 8);
    kinds |= classify(value);
  }
  const auto all_are = [&](unsigned allowed) { return kinds != 0 && (kinds & ~allowed) == 0; };
  const unsigned integers = kKindInt | kKindWideInt;
  if (kinds == 0) return "float64";
  if (all_are(integers) && !missing) return "int64";
  if (all_are(kKindInt)) return "float64";
  if (all_are(integers | kKindHugeInt | kKindFloat) && (kinds & kKindFloat) != 0) return "float64";
  if (all_are(kKindDate)) return "date";
  if (all_are(kKindDate | kKindDatetime)) return "datetime";
  if (all_are(kKindBool) && !missing) return "bool";
  return "category" + std::to_string(texts.size() <= 255 ? 1 : 2);
}

std::string text_of(const Strings& values) {
  std::string text = "k,x\n";
  for (std::size_t i = 0; i < values.size(); ++i) text += std::to_string(i) + "," + values[i] + "\n";
  return text;
}

// Loads a column of these values both ways; it must be of the type that the oracle gives it.
GuessOutcome compare_column(const Strings& values, std::size_t range_bytes = kRangeBytes) {
  const std::string text = text_of(values);
  const TemporaryFile file(text);
  const auto [table, outcome] = guess_table({.path = file.path(), .key = "{k}", .threads = 2}, range_bytes);
  CHECK(table.types == Strings{"x:" + type_of(values)});
  CHECK(compare(text, {}, range_bytes) == outcome);
  return outcome;
}

}  // namespace

TEST_CASE("csv guess: one value that the sample did not show decides on the type of the column") {
  struct Case {
    Strings usual;
    std::string odd;
  };
  const std::vector<Case> cases = {
      {{"1", "-2", "345678"}, "x"},
      {{"1", "-2", "345678"}, "NA"},
      {{"1", "-2", "345678"}, "2.5"},
      {{"1", "-2", "345678"}, "9223372036854775807"},
      {{"1", "-2", "345678"}, "9223372036854775808"},
      {{"1", "-2", "345678"}, "-9223372036854775809"},
      {{"1", "-2", "345678"}, "2013-01-01"},
      {{"1", "-2", "345678"}, "true"},
      {{"1", "-2", "345678"}, "1e3"},
      {{"12345678", "1234567890123456", "-0"}, "123456789012345678901234567890"},
      {{"9007199254740993", "4"}, "NA"},
      {{"9007199254740993", "4"}, "1.5"},
      {{"9007199254740993", "NA"}, "1.5"},
      {{"9007199254740993", "NA"}, "x"},
      {{"9223372036854775808", "1"}, "0.5"},
      {{"9223372036854775808", "1"}, "NA"},
      {{"NA", ""}, "1"},
      {{"NA", ""}, "x"},
      {{"NA", ""}, "true"},
      {{"NA", ""}, "9007199254740993"},
      {{"1", "NA"}, "9007199254740993"},
      {{"1", "NA"}, "0.1"},
      {{"1", "NA"}, "x"},
      {{"1.5", "-2", "inf"}, "NA"},
      {{"1.5", "-2", "inf"}, "x"},
      {{"1.5", "-2", "inf"}, "9223372036854775808"},
      {{"1.5", "-2", "inf"}, "-0"},
      {{"true", "FALSE"}, "NA"},
      {{"true", "FALSE"}, "1"},
      {{"true", "FALSE"}, "x"},
      {{"true", "NA"}, "x"},
      {{"2013-01-01", "2014-02-28"}, "2013-01-01 10:00"},
      {{"2013-01-01", "2014-02-28"}, "2013-02-29"},
      {{"2013-01-01", "2014-02-28"}, "NA"},
      {{"2013-01-01 10:00", "2014-02-28"}, "5"},
      {{"a", "b", "cc"}, "1"},
      {{"a", "b", "cc"}, "NA"},
      {{"a", "b", "cc"}, "AA"},
      {{"a", "1", "2.5"}, "true"},
  };
  std::map<GuessOutcome, int> outcomes;
  for (const Case& wanted : cases) {
    CAPTURE(wanted.usual.front());
    CAPTURE(wanted.odd);
    constexpr std::size_t kRows = 200;
    for (const std::size_t place : {std::size_t{0}, std::size_t{1}, kRows / 2, kRows - 2, kRows - 1}) {
      CAPTURE(place);
      Strings values;
      for (std::size_t i = 0; i < kRows; ++i) values.push_back(wanted.usual[i % wanted.usual.size()]);
      values[place] = wanted.odd;
      ++outcomes[compare_column(values)];
    }
  }
  // The comparison is worth something only if both happen.
  CHECK(outcomes[GuessOutcome::kRight] > 50);
  CHECK(outcomes[GuessOutcome::kWrong] > 20);
}

TEST_CASE("csv guess: missing values only at the beginning, only at the end") {
  for (const bool at_end : {false, true}) {
    Strings values(300, "7");
    for (std::size_t i = 0; i < 100; ++i) values[at_end ? 200 + i : i] = "NA";
    (void)compare_column(values);
  }
}

TEST_CASE("csv guess: texts that the sample did not show have their codes, in the order of the texts") {
  std::mt19937 random(2);
  for (const std::size_t distinct : {3U, 200U, 254U, 255U, 256U, 257U, 3000U}) {
    CAPTURE(distinct);
    Strings values;
    for (std::size_t i = 0; i < 4000; ++i) {
      const std::string number = std::to_string(random() % distinct);
      values.push_back(i % 5 == 0 ? "\"t\"\"" + number + "\n\"" : "t" + number);
    }
    const GuessOutcome outcome = compare(text_of(values), {}, 1000);
    if (distinct == 3 || distinct == 3000) CHECK(outcome == GuessOutcome::kRight);
  }
}

TEST_CASE("csv guess: a code more than a byte holds, in the last row") {
  Strings values;
  for (std::size_t i = 0; i < 4000; ++i) values.push_back("t" + std::to_string(i % 255));
  CHECK(compare_column(values, 1000) == GuessOutcome::kRight);
  values.back() = "another";
  CHECK(compare_column(values, 1000) == GuessOutcome::kWrong);
}

TEST_CASE("csv guess: text that no dictionary holds is bytes, as wide as the longest") {
  std::string text = "k,few,many\n";
  constexpr int kRows = 150'000;
  for (int i = 0; i < kRows; ++i) {
    text += std::to_string(i) + ",f" + std::to_string(i % 66'000) + ",a-rather-long-text-" +
            std::to_string(100'000 + i) + "-" + std::string(20, 'x') + "\n";
  }
  CHECK(compare(text, {.types = {{"few", "skip"}}}, 1U << 16U) == GuessOutcome::kRight);
  CHECK(compare(text, {}, 1U << 16U) != GuessOutcome::kNotTried);
  text += "last,f1,one that is longer than any of the others by far: " + std::string(50, 'y') + "\n";
  CHECK(compare(text, {.types = {{"few", "skip"}}}, 1U << 16U) == GuessOutcome::kWrong);
}

TEST_CASE("csv guess: declared types, filters and keys") {
  std::string text = "k,n,t,d\n";
  for (int i = 0; i < 2000; ++i) {
    text += std::to_string(i) + "," + (i % 11 == 0 ? "NA" : std::to_string(i)) + ",t" + std::to_string(i % 31) +
            ",2018-06-0" + std::to_string(i % 9 + 1) + "\n";
  }
  CHECK(compare(text, {.types = {{"n", "int32"}}, .where = "n is not null"}, 500) == GuessOutcome::kRight);
  (void)compare(text, {.types = {{"n", "int32"}}}, 500);  // a missing value in integers
  CHECK(compare(text, {.types = {{"n", "category"}, {"t", "bytes"}}}, 500) == GuessOutcome::kRight);
  CHECK(compare(text, {.key = "{d:%d-%m-%Y}-{k:>06}", .where = "t != 't7' and n > 100"}, 500) == GuessOutcome::kRight);
  CHECK(compare(text, {.key = "{n}-{k}", .where = "n is not null"}, 500) == GuessOutcome::kRight);
  (void)compare(text, {.key = "{n}-{k}"}, 500);                        // a missing value in a key
  (void)compare(text, {.key = "{t:d}-{k}"}, 500);                      // a format that text does not have
  (void)compare(text, {.where = "t > 5"}, 500);                        // text compared with a number
  (void)compare(text + "x,1,t,2018-06-01\n", {.key = "{k:06}"}, 500);  // an integer no more, in the last row
  (void)compare(text + "2001,1,t,5\n", {.where = "d > '2018-06-05'"}, 500);
}

TEST_CASE("csv guess: of several errors, the one that inference and parsing report") {
  std::string text = "k,x,y\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + ",1,2\n";
  const std::string bad_value = text + "1000,300,2\n";
  const CsvOptions options{.types = {{"x", "uint8"}}};
  for (const char* const rest : {"", "1,2\n", "1,2,3,4\n", "1,2,\"open\n", "1,\"a\"b,3\n", "1,a\"b,3\n"}) {
    CAPTURE(rest);
    (void)compare(bad_value + rest, options);
    (void)compare(bad_value + text.substr(6) + rest, options);
    (void)compare(text + rest + bad_value.substr(6), options);
  }
  (void)compare(text + "1,2," + std::string(70'000, 'x') + "\n" + bad_value.substr(6), options);
  (void)compare(text + "1,2," + std::string(70'000, 'x') + "\n1,2\n", {});
  (void)compare(text + "1,2," + std::string(70'000, 'x') + "\n1,2,3\n", {.types = {{"y", "skip"}}});
}

TEST_CASE("csv guess: random tables") {
  std::mt19937 random(3);
  const auto any = [&](std::size_t count) { return static_cast<std::size_t>(random() % count); };
  const std::vector<Strings> kinds = {{"1", "22", "-333", "+4", "55555555", "666666666"},
                                      {"9007199254740993", "1"},
                                      {"9223372036854775808"},
                                      {"1.5", "2", "1e5", ".5", "nan"},
                                      {"NA", "", "null"},
                                      {"2018-01-02", "2018-01-03"},
                                      {"2018-01-02 10:00", "2018-01-02T11:00:01.5Z"},
                                      {"true", "false", "TRUE"},
                                      {"a", "b", " c", "\"q,\"\"\n\"", "\"quoted\"", "\xC3\xA4"},
                                      {"\"12\"", "\"1.5\"", "\"\""}};
  std::map<GuessOutcome, int> outcomes;
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const std::size_t columns = 1 + any(4);
    std::vector<std::array<std::size_t, 2>> main(columns);
    for (auto& column : main) column = {any(kinds.size()), any(kinds.size())};
    const std::size_t rare = 1 + any(400);
    std::string text = "k";
    for (std::size_t i = 0; i < columns; ++i) text += ",x" + std::to_string(i);
    text += "\n";
    const std::size_t rows = 50 + any(400);
    for (std::size_t row = 0; row < rows; ++row) {
      text += "k" + std::to_string(row);
      for (std::size_t i = 0; i < columns; ++i) {
        const Strings& values = any(rare) == 0 ? kinds[main[i][1]] : kinds[main[i][0]];
        text += "," + values[any(values.size())];
      }
      text += any(10) == 0 ? "\r\n" : any(20) == 0 ? "\n\n" : "\n";
    }
    CsvOptions options;
    if (any(4) == 0) options.where = "x0 is not null";
    if (any(6) == 0) options.types["x0"] = any(2) == 0 ? "int64" : "float64";
    ++outcomes[compare(text, options, 40 + any(200))];
  }
  CHECK(outcomes[GuessOutcome::kRight] > 100);
  CHECK(outcomes[GuessOutcome::kWrong] > 30);
}

TEST_CASE("csv guess: progress grows to the whole, whether the guess is right or wrong") {
  std::string text = "k,x\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + ",1\n";
  for (const bool right : {true, false}) {
    const TemporaryFile file(right ? text : text + "1000,x\n");
    kv::csv::CsvFile csv({.path = file.path(), .key = "{k}"}, kRangeBytes);
    std::uint64_t last = 0;
    std::uint64_t rows = 0;
    const auto progress = [&](std::uint64_t done, std::uint64_t total, std::uint64_t parsed) {
      CHECK(done >= last);
      CHECK(total == csv.bytes());
      last = done;
      rows = parsed;
      return true;
    };
    const auto ignore = [](unsigned, kv::csv::CsvBatch&&) {};
    REQUIRE(csv.guess(progress));
    CHECK(csv.parse_guessed(ignore, progress).has_value() == right);
    if (!right) (void)csv.parse(ignore, progress);
    CHECK(last == csv.bytes());
    CHECK(rows == (right ? 1000 : 1001));
    CHECK(csv.rows() == rows);
  }
}
