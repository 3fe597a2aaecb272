#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "csv/column.hpp"
#include "csv/row_filter.hpp"
#include "kv_storage/error.hpp"

using kv::Schema;
using kv::csv::Field;
using kv::csv::FieldError;
using kv::csv::FileColumn;
using kv::csv::RowFilter;

namespace {

const std::vector<std::string> kMissing = {"", "NA"};

std::vector<FileColumn> columns() {
  std::vector<FileColumn> all;
  for (const auto& [name, type] : {std::pair{"carrier", "category"},
                                   {"month", "int64"},
                                   {"delay", "float64"},
                                   {"ratio", "f4"},
                                   {"day", "date"},
                                   {"at", "datetime"},
                                   {"late", "bool"},
                                   {"id", "u8"},
                                   {"odd name", "int8"}}) {
    all.push_back({.column = Schema::parse_type(name, type)});
  }
  return all;
}

// Whether the row with these fields, all others missing, is accepted.
bool accepts(const std::string& where, const std::map<std::string, std::string>& values) {
  RowFilter filter(where);
  const std::vector<FileColumn> all = columns();
  filter.find_columns(all);
  filter.bind_types(all);
  std::vector<std::string> texts;
  for (const FileColumn& column : all) {
    const auto value = values.find(column.column.name);
    texts.push_back((value == values.end() ? "" : value->second));
  }
  std::vector<Field> fields;
  for (std::string& text : texts) {
    const std::size_t size = text.size();
    text += "12345678";
    fields.push_back({.begin = text.data(), .data = text.data(), .size = size});
  }
  std::string scratch;
  return filter.accepts(fields, kv::csv::MissingTokens(kMissing), scratch);
}

std::string refused(const std::string& where) {
  try {
    (void)accepts(where, {});
  } catch (const kv::Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("csv row filter: empty accepts all") {
  CHECK(RowFilter("").empty());
  CHECK(RowFilter(" \n").empty());
  CHECK(accepts("", {}));
}

TEST_CASE("csv row filter: comparisons by type") {
  CHECK(accepts("month == 6", {{"month", "6"}}));
  CHECK(accepts("month = 6", {{"month", "06"}}));
  CHECK_FALSE(accepts("month != 6", {{"month", "6"}}));
  CHECK(accepts("month <> 6", {{"month", "7"}}));
  CHECK(accepts("month < 6.5", {{"month", "6"}}));
  CHECK_FALSE(accepts("month == 6.5", {{"month", "6"}}));
  CHECK(accepts("month >= -3", {{"month", "-3"}}));
  CHECK(accepts("delay <= 1e2", {{"delay", "100"}}));
  CHECK(accepts("delay > .5", {{"delay", "0.75"}}));
  CHECK(accepts("ratio == 0.1", {{"ratio", "0.1"}}));
  CHECK(accepts("carrier == 'AA'", {{"carrier", "AA"}}));
  CHECK(accepts("carrier < \"B\"", {{"carrier", "AA"}}));
  CHECK(accepts("carrier == 'it''s'", {{"carrier", "it's"}}));
  CHECK(accepts("day >= '2013-06-06'", {{"day", "2013-06-06"}}));
  CHECK_FALSE(accepts("day > '2013-06-06'", {{"day", "2013-06-06"}}));
  CHECK(accepts("at < '2013-06-06 12:00'", {{"at", "2013-06-06T11:59:59.9Z"}}));
  CHECK(accepts("late == true", {{"late", "TRUE"}}));
  CHECK(accepts("late != true", {{"late", "false"}}));
  CHECK(accepts("`odd name` == 1", {{"odd name", "1"}}));
}

TEST_CASE("csv row filter: large integers are compared exactly") {
  CHECK(accepts("id == 18446744073709551615", {{"id", "18446744073709551615"}}));
  CHECK_FALSE(accepts("id == 18446744073709551614", {{"id", "18446744073709551615"}}));
  CHECK_FALSE(accepts("month == 9007199254740993", {{"month", "9007199254740992"}}));
  CHECK(accepts("month > -9223372036854775808", {{"month", "-9223372036854775807"}}));
}

TEST_CASE("csv row filter: lists and missing values") {
  CHECK(accepts("carrier in ('AA', 'UA')", {{"carrier", "UA"}}));
  CHECK_FALSE(accepts("carrier in ('AA')", {{"carrier", "UA"}}));
  CHECK(accepts("month not in (1, 2)", {{"month", "3"}}));
  CHECK(accepts("month is null", {{"month", "NA"}}));
  CHECK(accepts("month IS NOT NULL", {{"month", "0"}}));
  for (const char* where : {"month == 1", "month != 1", "month < 1", "month >= 1", "month in (1)", "month not in (1)",
                            "carrier != 'x'", "late != true", "day < '2013-01-01'"}) {
    CAPTURE(where);
    CHECK_FALSE(accepts(where, {}));
    CHECK(accepts("not " + std::string(where), {}));
  }
}

TEST_CASE("csv row filter: and binds closer than or, not closer than both") {
  for (int bits = 0; bits < 8; ++bits) {
    const bool a = (bits & 1) != 0;
    const bool b = (bits & 2) != 0;
    const bool c = (bits & 4) != 0;
    const std::map<std::string, std::string> row = {
        {"month", a ? "1" : "0"}, {"delay", b ? "1" : "0"}, {"ratio", c ? "1" : "0"}};
    CAPTURE(bits);
    CHECK(accepts("month==1 or delay==1 and ratio==1", row) == (a || (b && c)));
    CHECK(accepts("(month==1 OR delay==1) AND ratio==1", row) == ((a || b) && c));
    CHECK(accepts("not month==1 and delay==1 or ratio==1", row) == ((!a && b) || c));
    CHECK(accepts("not (month==1 and not delay==1) and ratio==1", row) == (!(a && !b) && c));
  }
}

TEST_CASE("csv row filter: mistakes are located and say what was expected") {
  CHECK(refused("mnth == 1") == "where:1: there is no column 'mnth'; did you mean 'month'?");
  CHECK(refused("month == ") == "where:10: expected a number, a text in quotes, true or false, found the end");
  CHECK(refused("month 6") == "where:7: expected a comparison (==, !=, <, <=, >, >=, in, is null), found '6'");
  CHECK(refused("month == 6 carrier == 'x'") == "where:12: expected 'and', 'or' or the end, found 'carrier'");
  CHECK(refused("(month == 6") == "where:12: expected ')', found the end");
  CHECK(refused("6 == month").starts_with("where:1: expected a column"));
  CHECK(refused("month == null").find("test for missing values with 'is null'") != std::string::npos);
  CHECK(refused("month is 5") == "where:10: expected 'null', found '5'");
  CHECK(refused("month in 5").find("expected '(' and a list of values") != std::string::npos);
  CHECK(refused("month in (1 2)") == "where:13: expected ',' or ')', found '2'");
  CHECK(refused("carrier == 'x") == "where:12: this ' is never closed");
  CHECK(refused("month == 6 & late == true") == "where:12: did not expect '&'");
  CHECK(refused("month == 5x") == "where:10: '5x' is not a number");
  CHECK(refused("month == 'x'").find("column 'month' is int64: compare it with a number") != std::string::npos);
  CHECK(refused("carrier == 5") == "where:12: column 'carrier' is text: compare it with a text in quotes, as '5'");
  CHECK(refused("day == '06-06-2013'").find("compare it with '2013-06-30', in quotes") != std::string::npos);
  CHECK(refused("late < true").find("compare it with == or !=") != std::string::npos);
  CHECK(refused("late == 1").find("column 'late' is bool") != std::string::npos);
  CHECK(refused(std::string(100'000, '(')).find("nested too deep") != std::string::npos);
}

TEST_CASE("csv row filter: a field that is not of its column's type is an error, not a refusal") {
  CHECK_THROWS_AS((void)accepts("month == 1", {{"month", "x"}}), FieldError);
  CHECK_THROWS_AS((void)accepts("day < '2013-01-01'", {{"day", "soon"}}), FieldError);
}
