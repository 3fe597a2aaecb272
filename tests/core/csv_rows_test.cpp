#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <string>

#include "csv/ranges.hpp"
#include "csv/row_reader.hpp"
#include "fuzz/csv_oracle.hpp"

using kv::csv::Dialect;
using kv::test::compare_csv;
using kv::test::CsvContent;
using kv::test::parse_csv;

namespace {

constexpr std::size_t kRangeSizes[] = {1, 2, 3, 7, 63, 64, 65, 100, 4096};

void check(std::string_view text, Dialect dialect = {}) {
  for (const std::size_t range_bytes : kRangeSizes) {
    const auto difference = compare_csv(text, dialect, range_bytes);
    INFO(difference.value_or(""));
    CHECK_FALSE(difference.has_value());
  }
}

// Text in which every rule of the grammar has a chance, fields longer than a block included.
std::string random_csv(std::mt19937& random) {
  static constexpr std::string_view kPieces[] = {",", ",",  ",",    "\n",      "\n",     "\r\n", "\r", "\"", "\"",
                                                 "a", "bc", "\"\"", "\"x,y\"", "\"\n\"", ";",    " ",  "é"};
  const std::size_t pieces = random() % 60;
  const bool valid = random() % 4 != 0;  // mostly without stray quotes, to get far
  std::string text;
  for (std::size_t i = 0; i < pieces; ++i) {
    const std::string_view piece = kPieces[random() % std::size(kPieces)];
    if (valid && piece == "\"") {
      text += ",\"q" + std::string(random() % 90, 'z') + "\"\"\r\n\"\n";
    } else {
      text += piece;
    }
    if (random() % 16 == 0) text.append(random() % 150, 'w');
  }
  return text;
}

// A table of `columns` columns, so that many rows get past the check of their number of fields.
std::string random_table(std::mt19937& random) {
  static constexpr std::string_view kFields[] = {"",    "1",          "abc",     "\"\"",   "\"a\"\"b\"",
                                                 "x y", "\"a\r\nb\"", "\"1,2\"", "\"\n\"", "\"\"\"\""};
  static constexpr std::string_view kLineEnds[] = {"\n", "\r\n", "\r", "\n\n"};
  const std::size_t columns = 1 + random() % 5;
  std::string text;
  for (std::size_t row = random() % 40; row > 0; --row) {
    for (std::size_t i = 0; i < columns; ++i) {
      if (i != 0) text += ',';
      text += kFields[random() % std::size(kFields)];
    }
    text += kLineEnds[random() % std::size(kLineEnds)];
  }
  return text;
}

}  // namespace

TEST_CASE("csv rows: the grammar, by example") {
  const CsvContent content = parse_csv("a,b\r\n1,\"x, \"\"y\"\"\"\r\n\r\n\"two\nlines\",\r3,last", {}, 4);
  REQUIRE(content.error_line == 0);
  REQUIRE(content.rows.size() == 4);
  CHECK(content.rows[0].fields == std::vector<std::string>{"a", "b"});
  CHECK(content.rows[1].fields == std::vector<std::string>{"1", "x, \"y\""});
  CHECK(content.rows[2].fields == std::vector<std::string>{"two\nlines", ""});
  CHECK(content.rows[2].line == 4);
  CHECK(content.rows[3].fields == std::vector<std::string>{"3", "last"});
  CHECK(content.rows[3].line == 6);
}

TEST_CASE("csv rows: the parser agrees with the oracle on chosen texts") {
  for (const char* text : {"",
                           "\n",
                           "\r",
                           "\r\n\r\n",
                           "a",
                           "a\n",
                           "a,b",
                           "a,b\n1,2",
                           ",",
                           ",\n",
                           "\"\"",
                           "\"\"\n\"\"",
                           "\"a",
                           "\"a\n",
                           "a\"b",
                           "\"a\"b",
                           "\"a\" ,b",
                           "\"a\"\"",
                           "\"a\"\"\"",
                           "a,b\n1",
                           "a,b\n1,2,3",
                           "a,b\n1\r\n2,3",
                           "a\n\"\n",
                           "a,\"\r\n\"",
                           "a\r\"\r\"\r",
                           "x\n\n\n\"y\nz\"\n\"\n",
                           "\"\r\n",
                           "\n\"",
                           "a,b\n\"1\",\"2\"\"\n3,4\n"}) {
    CAPTURE(text);
    check(text);
  }
  check(std::string_view("a\0b", 3));
  check(std::string_view("a,b\n\"\0\",1", 10));
  check("it's|\"x\"\n1|2\n", {.delimiter = '|', .quote = 0});
  check("a;'x;''y'\n1;2\n", {.delimiter = ';', .quote = '\''});
}

TEST_CASE("csv rows: structure on every position around a block's end") {
  for (std::size_t before = 55; before < 75; ++before) {
    for (const char* middle : {"\"\",\"x\"", ",", "\r\n", "\"a\"\"b\",", "\"\n\"\n", "\"", "\"x\"y", ",\""}) {
      CAPTURE(before);
      CAPTURE(middle);
      check(std::string(before, 'p') + "," + middle + std::string(70, 's'));
      check(std::string(before, '\n') + middle + "\n");
      check("\"" + std::string(before, 'p') + "\"" + middle);
    }
  }
}

TEST_CASE("csv rows: the parser agrees with the oracle on random texts") {
  std::mt19937 random(1);
  for (int i = 0; i < 4000; ++i) {
    const std::string text = i % 2 == 0 ? random_csv(random) : random_table(random);
    CAPTURE(text);
    check(text);
  }
}

TEST_CASE("csv rows: ranges cover the text in order, begin at rows and know their line") {
  std::string text;
  for (int i = 0; i < 500; ++i) text += i % 7 == 0 ? "\"quoted\r\nover\nlines\",1\n" : "plain,2\r\n";
  const std::size_t size = text.size();
  text.append(64, '\n');
  const kv::csv::Source source{.path = "", .text = std::string_view(text).substr(0, size), .dialect = {}};
  const kv::csv::RowRange all{.begin = source.begin(), .end = source.end(), .line = 1};
  const auto split = kv::csv::split_rows(source, all, 100, kv::csv::Workers(2));
  const auto& ranges = split.ranges;
  CHECK(split.rows_at_most == 500);
  REQUIRE(ranges.size() > 20);
  const char* at = source.begin();
  for (const auto& range : ranges) {
    CHECK(range.begin == at);
    CHECK(range.begin < range.end);
    CHECK(range.line == 1 + kv::csv::count_lines({source.begin(), static_cast<std::size_t>(at - source.begin())}));
    const std::string_view rest(range.begin, static_cast<std::size_t>(source.end() - range.begin));
    CHECK((rest.starts_with("plain") || rest.starts_with("\"quoted")));
    at = range.end;
  }
  CHECK(at == source.end());
}

TEST_CASE("csv rows: one line longer than any range is one range") {
  std::string text = "a\n" + std::string(100'000, 'x') + "\nb\n";
  const std::size_t size = text.size();
  text.append(64, ' ');
  const kv::csv::Source source{.path = "", .text = std::string_view(text).substr(0, size), .dialect = {}};
  const auto ranges =
      kv::csv::split_rows(source, {.begin = source.begin(), .end = source.end(), .line = 1}, 64, kv::csv::Workers(2))
          .ranges;
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[0].bytes() == 100'003);
  CHECK(ranges[1].line == 3);
}
