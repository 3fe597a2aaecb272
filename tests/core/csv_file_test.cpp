#include "csv/csv_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>

#include "fuzz/csv_oracle.hpp"
#include "support/csv_table.hpp"
#include "support/temporary_file.hpp"

using kv::CsvOptions;
using kv::Error;
using kv::ErrorCode;
using kv::test::CsvTable;
using kv::test::load_table;
using kv::test::TemporaryFile;
using Strings = std::vector<std::string>;

namespace {

CsvTable load(const std::string& text, CsvOptions options = {}) {
  const TemporaryFile file(text);
  options.path = file.path();
  if (options.key.empty()) options.key = "{k}";
  return load_table(options, 16);
}

// The message of the error that loading raises, "FILE" for the file's path.
std::string refused(const std::string& text, CsvOptions options = {}) {
  const TemporaryFile file(text);
  options.path = file.path();
  if (options.key.empty()) options.key = "{k}";
  std::string message = "accepted";
  try {
    (void)load_table(options, 16);
  } catch (const Error& error) {
    message = error.what();
  }
  const std::size_t at = message.find(file.path());
  return at == std::string::npos ? message : message.replace(at, file.path().size(), "FILE");
}

// The type of column `x` with these values, and its values in the records.
std::pair<std::string, Strings> column(const Strings& values, const std::string& type = "") {
  std::string text = "k,x\n";
  for (std::size_t i = 0; i < values.size(); ++i) text += std::to_string(i) + "," + values[i] + "\n";
  CsvOptions options;
  if (!type.empty()) options.types["x"] = type;
  const CsvTable table = load(text, options);
  Strings found;
  for (const Strings& row : table.rows) found.push_back(row.at(0));
  return {table.types.at(0).substr(2), found};
}

std::string type_of(const Strings& values) { return column(values).first; }

}  // namespace

TEST_CASE("csv file: a small table, whole") {
  const CsvTable table = load(
      "id;carrier;delay;date;ok\n"
      "1;AA;2.5;2013-01-01;true\n"
      "2;\"B;\"\"B\"\"\";NA;2013-01-02;FALSE\r\n"
      "\n"
      "3;;-1;NA;true",
      {.key = "{carrier}-{id:03}", .where = "carrier is not null"});
  CHECK(table.types == Strings{"id:int64", "carrier:category1", "delay:float64", "date:date", "ok:bool"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0] == Strings{"1", "AA", "2.5", "15706", "true"});
  CHECK(table.rows[1] == Strings{"2", "B;\"B\"", "-", "15707", "false"});
  CHECK(table.keys == Strings{"AA-001", "B;\"B\"-002"});
  CHECK(table.lines == std::vector<std::uint64_t>{2, 3});
  CHECK(table.refused == 1);
}

TEST_CASE("csv file: types are inferred from all values") {
  CHECK(type_of({"1", "-2", "+3"}) == "int64");
  CHECK(type_of({"1", "NA", "3"}) == "float64");
  CHECK(type_of({"9007199254740993", "1"}) == "int64");
  CHECK(type_of({"9007199254740993", "NA"}) == "category1");
  CHECK(type_of({"1", "9223372036854775808"}) == "category1");
  CHECK(type_of({"1.5", "9223372036854775808"}) == "float64");
  CHECK(type_of({"9223372036854775808", "1.5"}) == "float64");
  CHECK(type_of({"1", "2.5"}) == "float64");
  CHECK(type_of({"2.5", "1", "inf"}) == "float64");
  CHECK(type_of({"NA", "", "null"}) == "float64");
  CHECK(type_of({"true", "False"}) == "bool");
  CHECK(type_of({"true", "NA"}) == "category1");
  CHECK(type_of({"true", "1"}) == "category1");
  CHECK(type_of({"2013-01-01", "NA"}) == "date");
  CHECK(type_of({"2013-01-01", "2013-01-01 10:00"}) == "datetime");
  CHECK(type_of({"2013-01-01T10:00Z", "2013-01-01"}) == "datetime");
  CHECK(type_of({"2013-01-01", "5"}) == "category1");
  CHECK(type_of({"1", "2", "x"}) == "category1");
  CHECK(type_of({"x", "1"}) == "category1");
}

TEST_CASE("csv file: values that passed before a column proved to be text are in its dictionary") {
  const auto [type, values] = column({"1", "2.5", "2013-01-01", "1", "x", "NA", "true"});
  CHECK(type == "category1");
  CHECK(values == Strings{"1", "2.5", "2013-01-01", "1", "x", "-", "true"});
}

TEST_CASE("csv file: codes are as wide as needed, and follow the order of the texts") {
  const auto distinct = [](int count) {
    Strings values;
    for (int i = 0; i < count; ++i) values.push_back("t" + std::to_string((i * 7919) % count));
    return values;
  };
  CHECK(column(distinct(255)).first == "category1");
  const auto [type, values] = column(distinct(256));
  CHECK(type == "category2");
  CHECK(values == distinct(256));

  const TemporaryFile file("k,x\n1,b\n2,a\n3,c\n4,b\n");
  kv::csv::CsvFile csv({.path = file.path(), .key = "{k}"});
  csv.infer();
  CHECK(csv.categories() == std::vector<Strings>{{"a", "b", "c"}});
}

TEST_CASE("csv file: text is bytes where a dictionary would not pay, whatever the threads") {
  std::string text = "k,few,many\n";
  constexpr int kRows = 150'000;
  for (int i = 0; i < kRows; ++i) {
    text += std::to_string(i) + ",f" + std::to_string(i % 66'000) + ",a-rather-long-text-" + std::to_string(i) + "-" +
            std::string(20, 'x') + "\n";
  }
  const TemporaryFile file(text);
  for (const unsigned threads : {1U, 3U}) {
    kv::csv::CsvFile csv({.path = file.path(), .key = "{k}", .threads = threads});
    csv.infer();
    CHECK(kv::Schema::type_name(*csv.schema().find("few")) == "category");
    CHECK(csv.schema().find("few")->bytes == 4);
    CHECK(csv.categories()[0].size() == 66'000);
    CHECK(kv::Schema::type_name(*csv.schema().find("many")) == "bytes[46]");
  }
  kv::csv::CsvFile declared({.path = file.path(), .key = "{k}", .types = {{"many", "category"}, {"few", "bytes"}}});
  declared.infer();
  CHECK(declared.categories()[1].size() == kRows);
  CHECK(kv::Schema::type_name(*declared.schema().find("few")) == "bytes[6]");
}

TEST_CASE("csv file: declared types") {
  CHECK(column({"1", "-128"}, "int8") == std::pair<std::string, Strings>{"int8", {"1", "-128"}});
  CHECK(column({"255"}, "u1").second == Strings{"255"});
  CHECK(column({"65535"}, "u2").second == Strings{"65535"});
  CHECK(column({"-32768"}, "i2").second == Strings{"-32768"});
  CHECK(column({"4294967295"}, "u4").second == Strings{"4294967295"});
  CHECK(column({"-2147483648"}, "i4").second == Strings{"-2147483648"});
  CHECK(column({"18446744073709551615"}, "u8").second == Strings{"18446744073709551615"});
  CHECK(column({"0.5", "NA"}, "f4").second == Strings{"0.5", "-"});
  CHECK(column({"007", "1"}, "text") == std::pair<std::string, Strings>{"category1", {"007", "1"}});
  CHECK(column({"5", "NA"}, "category").second == Strings{"5", "-"});
  CHECK(column({"abc", "NA", "d"}, "bytes") == std::pair<std::string, Strings>{"bytes[3]", {"abc", "", "d"}});
  CHECK(column({"abc", "d"}, "S5") == std::pair<std::string, Strings>{"bytes[5]", {"abc", "d"}});
  CHECK(column({"2013-01-01", "NA"}, "datetime").second == Strings{"1356998400000000", "-"});
  const CsvTable table = load("k,x,y\n1,2,3\n", {.types = {{"x", "skip"}, {"k", "int16"}}});
  CHECK(table.types == Strings{"k:int16", "y:int64"});
  CHECK(table.rows[0] == Strings{"1", "3"});
}

TEST_CASE("csv file: a value that does not fit is located") {
  const auto refuse = [](const std::string& value, const std::string& type) {
    return refused("k,x\n1,1\n2," + value + "\n", {.types = {{"x", type}}});
  };
  CHECK(refuse("abc", "float32") == "FILE:3:3: expected float32, found 'abc' in column 'x'");
  CHECK(refuse("300", "u1") == "FILE:3:3: expected uint8, found '300' in column 'x'; it holds 0 to 255");
  CHECK(refuse("-1", "u8") == "FILE:3:3: expected uint64, found '-1' in column 'x'");
  CHECK(refuse("NA", "int32") ==
        "FILE:3:3: expected int32, found the missing value 'NA' in column 'x'; declare float64 or category, or leave "
        "such rows out with where = x is not null");
  CHECK(refuse("1.0", "int32").starts_with("FILE:3:3: expected int32, found '1.0' in column 'x'"));
  CHECK(refuse("maybe", "bool").starts_with("FILE:2:3: expected bool, found '1'"));
  CHECK(refuse("2013-02-30", "text") == "accepted");
  CHECK(refuse("abcdef", "S3") == "FILE:3:3: expected bytes[3], found 'abcdef' in column 'x', which has 6 bytes");
  CHECK(refuse("1", "flaot32").find("did you mean 'float32'?") != std::string::npos);
}

TEST_CASE("csv file: rows that the filter refuses may miss what others must have") {
  const CsvTable table = load("k,x\n1,5\n,7\n3,NA\n",
                              {.key = "{k}", .types = {{"x", "int8"}}, .where = "x is not null and k is not null"});
  CHECK(table.keys == Strings{"1"});
  CHECK(table.refused == 2);
}

TEST_CASE("csv file: malformed rows are located") {
  CHECK(refused("k,x\n1,2\n3\n") == "FILE:3:2: expected 2 fields separated by ',', the row ends after 1");
  CHECK(refused("k,x\n1,2,3\n") ==
        "FILE:2:5: expected 2 fields separated by ',', here begins one more; quote a field that holds the delimiter");
  CHECK(refused("k,x\n1,\"two\nthree\n").starts_with("FILE:2:3: this field opens with '\"' and is never closed"));
  CHECK(refused("k,x\n1,\"a\"b\n")
            .starts_with("FILE:2:6: expected a delimiter or the end of the line after the closing"));
  CHECK(refused("k,x\n1,a\"b\n").starts_with("FILE:2:4: a '\"' in a field that does not begin with it"));
  CHECK(refused(std::string("k,x\n1,\0\n", 8)).starts_with("FILE:2:3: a NUL byte"));
  CHECK(refused("k,x\n\"1\n\n\",2\r\n1\n") == "FILE:5:2: expected 2 fields separated by ',', the row ends after 1");
  CHECK(
      refused("k,x\n1," + std::string(65'536, 'y') + "\n") ==
      "FILE:2:3: a text longer than 65,535 bytes in column 'x'; leave the column out with the type skip, or check the "
      "quotes around it");
  CHECK(refused("k,x\n1," + std::string(65'535, 'y') + "\n") == "accepted");
  CHECK(refused("k,x\n1," + std::string(70'000, 'y') + "\n", {.types = {{"x", "skip"}, {"k", "int"}}}) == "accepted");
}

TEST_CASE("csv file: the header") {
  CHECK(refused("") == "FILE:1: the file is empty; expected a header line with the names of the columns");
  CHECK(refused("\xEF\xBB\xBF") == "FILE:1: the file is empty; expected a header line with the names of the columns");
  CHECK(refused("\n\r\n") == "FILE:1: nothing but blank lines; expected a header line");
  CHECK(refused("k,x,k\n") ==
        "FILE:1:5: columns 1 and 3 are both named 'k'; rename one, or give all names with columns");
  CHECK(refused("\xFF\xFEk\0", {}).find("UTF-16") != std::string::npos);
  CHECK(refused(std::string(1000, '\0')).starts_with("FILE:1:1: a NUL byte"));
  CHECK(refused("k" + std::string(4096, ',') + "\n").find("more than 4096 columns") != std::string::npos);
  CHECK(load("k,x\n").rows.empty());
  CHECK(load("k,x").types == Strings{"x:float64"});
  CHECK(load("\xEF\xBB\xBFk,x\n1,2\n").keys == Strings{"1"});
  CHECK(load("\n\nk,x\n1,2\n").lines == std::vector<std::uint64_t>{4});
  CHECK(load("\"k\",\"a \"\"b\"\"\"\n1,2\n").types == Strings{"a \"b\":int64"});
  CHECK(load(",x\n5,2\n", {.key = "{c0}"}).keys == Strings{"5"});
}

TEST_CASE("csv file: without a header") {
  const CsvTable table = load("1,a\n2,b\n", {.key = "{c0}", .header = false});
  CHECK(table.types == Strings{"c1:category1"});
  CHECK(table.keys == Strings{"1", "2"});
  CHECK(load("1,a\n", {.key = "{id}", .columns = {"id", "name"}}).types == Strings{"name:category1"});
  CHECK(load("x,y\n1,a\n", {.key = "{id}", .header = true, .columns = {"id", "name"}}).keys == Strings{"1"});
  CHECK(load("", {.key = "{id}", .columns = {"id", "name"}}).rows.empty());
  CHECK(refused("1,a\n", {.columns = {"k"}}) == "FILE:1: columns names 1 columns, the file has 2");
}

TEST_CASE("csv file: unknown columns name the nearest") {
  CHECK(refused("k,dep_delay\n", {.types = {{"dep_dely", "f4"}}}) ==
        "FILE: types: there is no column 'dep_dely'; did you mean 'dep_delay'?");
  CHECK(refused("k,dep_delay\n", {.key = "{dep_dely}"}) ==
        "key:1: there is no column 'dep_dely'; did you mean 'dep_delay'?");
  CHECK(refused("k,dep_delay\n", {.where = "zzzzzzz == 1"}) ==
        "where:1: there is no column 'zzzzzzz'; columns are k, dep_delay");
}

TEST_CASE("csv file: a key that is one column is not stored again, unless its type is declared") {
  CHECK(load("k,x\n1,2\n").types == Strings{"x:int64"});
  CHECK(load("k,x\n1,2\n", {.key = "{k:02}"}).types == Strings{"k:int64", "x:int64"});
  CHECK(load("k,x\n1,2\n", {.types = {{"k", "text"}}}).types == Strings{"k:category1", "x:int64"});
  CHECK(load("k\n1\n").types == Strings{"k:int64"});
  CHECK(load("k,x\n007,2\n", {.where = "k == 7"}).keys == Strings{"7"});
}

TEST_CASE("csv file: separators, quotes and missing values as told") {
  CHECK(load("k|x\n1|a,b\n", {.delimiter = '|'}).rows[0] == Strings{"a,b"});
  CHECK(load("k,x\n1,'a,b'\n", {.quote = '\''}).rows[0] == Strings{"a,b"});
  CHECK(load("k,x\n1,5\" pipe\n", {.quote = 0}).rows[0] == Strings{"5\" pipe"});
  CHECK(load("k,x\n1,-999\n2,3\n", {.missing = {"-999"}}).rows == std::vector<Strings>{{"-"}, {"3"}});
  CHECK(load("k,x\n1,NA\n2,\n", {.missing = {}}).rows == std::vector<Strings>{{"NA"}, {""}});
  CHECK(refused("k,x\n", {.delimiter = '"'}) == "csv: the delimiter and the quote must differ");
  CHECK(refused("k,x\n", {.delimiter = '\n'}) == "csv: a line end cannot be the delimiter or the quote");
}

TEST_CASE("csv file: what is not a readable file") {
  const auto code = [](const std::string& path) {
    try {
      (void)load_table({.path = path, .key = "{k}"});
    } catch (const Error& error) {
      CHECK(std::string(error.what()).find(path) != std::string::npos);
      return std::pair(error.code(), error.os_error());
    }
    return std::pair(ErrorCode::kBusy, 0);
  };
  CHECK(code("/no/such/file.csv") == std::pair(ErrorCode::kIo, ENOENT));
  CHECK(code("/tmp") == std::pair(ErrorCode::kIo, EISDIR));
  CHECK(code("/dev/null") == std::pair(ErrorCode::kInvalidArgument, 0));
  const TemporaryFile file("");
  ::unlink(file.path().c_str());
  REQUIRE(::mkfifo(file.path().c_str(), 0600) == 0);
  CHECK(code(file.path()) == std::pair(ErrorCode::kInvalidArgument, 0));
}

TEST_CASE("csv file: the result does not depend on threads or ranges") {
  std::string text = "k,n,t,f\n";
  for (int i = 0; i < 3000; ++i) {
    const std::string number = std::to_string(i);
    text += number + "," + (i % 11 == 0 ? "NA" : number) + ",\"t\"\"" + std::to_string(i * 31 % 401) + "\n\"," +
            std::to_string(i) + ".25\n";
  }
  const TemporaryFile file(text);
  CsvOptions options{.path = file.path(), .key = "{k:>06}", .where = "n != 17"};
  options.threads = 1;
  const CsvTable expected = load_table(options);
  CHECK(expected.rows.size() == 2726);
  CHECK(std::is_sorted(expected.lines.begin(), expected.lines.end()));
  for (const unsigned threads : {1U, 2U, 5U}) {
    for (const std::size_t range_bytes : {std::size_t{1}, std::size_t{50}, std::size_t{1000}, std::size_t{20'000}}) {
      options.threads = threads;
      CHECK(load_table(options, range_bytes) == expected);
    }
  }
}

TEST_CASE("csv file: the first error of the file is reported, whatever the threads") {
  std::string text = "k,x\n";
  for (int i = 0; i < 2000; ++i) text += std::to_string(i) + (i % 300 == 299 ? ",bad\n" : ",1\n");
  const TemporaryFile file(text);
  for (int repeat = 0; repeat < 20; ++repeat) {
    try {
      (void)load_table({.path = file.path(), .key = "{k}", .types = {{"x", "int8"}}, .threads = 4}, 256);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.line() == 301);
      CHECK(error.column() == 5);
      CHECK(error.path() == file.path());
      CHECK(error.code() == ErrorCode::kParse);
    }
  }
}

TEST_CASE("csv file: progress grows to the whole, on the calling thread, and can stop the load") {
  std::string text = "k,x\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + ",1\n";
  const TemporaryFile file(text);
  kv::csv::CsvFile csv({.path = file.path(), .key = "{k}"}, 64);
  csv.infer();
  std::uint64_t last = 0;
  std::uint64_t rows = 0;
  (void)csv.parse([](unsigned, kv::csv::CsvBatch&&) {},
                  [&](std::uint64_t done, std::uint64_t total, std::uint64_t parsed) {
                    CHECK(done >= last);
                    CHECK(total == text.size());
                    last = done;
                    rows = parsed;
                    return true;
                  });
  CHECK(last == text.size());
  CHECK(rows == 1000);
  try {
    (void)csv.parse([](unsigned, kv::csv::CsvBatch&&) {},
                    [](std::uint64_t, std::uint64_t, std::uint64_t) { return false; });
    FAIL("not interrupted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInterrupted);
  }
}

TEST_CASE("csv file: what the sink throws ends the load; a batch it takes is replaced") {
  std::string text = "k,x\n";
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i) + ",1\n";
  const TemporaryFile file(text);
  kv::csv::CsvFile csv({.path = file.path(), .key = "{k}", .threads = 2});
  csv.infer();
  CHECK_THROWS_AS((void)csv.parse([](unsigned, kv::csv::CsvBatch&&) { throw std::bad_alloc(); }), std::bad_alloc);
  std::vector<kv::csv::CsvBatch> kept;
  (void)csv.parse([&](unsigned, kv::csv::CsvBatch&& batch) { kept.push_back(std::move(batch)); });
  REQUIRE(kept.size() > 3);
  std::set<std::string> keys;
  for (const auto& batch : kept) {
    for (std::size_t i = 0; i < batch.rows; ++i) keys.emplace(batch.key(i));
  }
  CHECK(keys.size() == 20'000);
}

TEST_CASE("csv file: a file that changes while it is loaded is refused") {
  const TemporaryFile file("k,x\n1,2\n");
  kv::csv::CsvFile csv({.path = file.path(), .key = "{k}"});
  csv.infer();
  std::ofstream(file.path(), std::ios::app) << "2,3\n";
  try {
    (void)csv.parse([](unsigned, kv::csv::CsvBatch&&) {});
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("was changed while it was loaded") != std::string::npos);
  }
}

TEST_CASE("csv file: a quoted field as long as the file costs linear time and no copy of it") {
  std::string text = "k,x\n1,\"" + std::string(30'000'000, ',') + "\n";
  CHECK(refused(text).starts_with("FILE:2:3: this field opens with"));
  text[text.size() - 1] = '"';
  CHECK(refused(text).starts_with("FILE:2:3: a text longer than 65,535 bytes"));
  CHECK(refused("k\n" + std::string(30'000'000, ',')).starts_with("FILE:2:2: expected 1 field"));
}

TEST_CASE("csv file: real flights, every value against the oracle") {
  const std::string path = KV_TEST_DATA_DIR "/flights_sample.csv";
  std::ifstream stream(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const kv::test::CsvContent expected = kv::test::CsvOracle(text, {}).read();
  REQUIRE(expected.rows.size() > 50);
  const CsvTable table =
      load_table({.path = path, .key = "{origin}-{dest}-{day:02}-{month:02}-{year}-{carrier}{flight}"}, 512);
  REQUIRE(table.rows.size() == expected.rows.size() - 1);
  CHECK(table.types[0] == "year:int64");
  CHECK(table.types[5] == "dep_delay:float64");
  CHECK(table.types[9] == "carrier:category1");
  CHECK(table.types[18] == "time_hour:datetime");
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const Strings& fields = expected.rows[row + 1].fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      CAPTURE(row);
      CAPTURE(i);
      const std::string& found = table.rows[row][i];
      if (fields[i] == "NA") {
        CHECK(found == "-");
      } else if (i == 18) {
        struct tm parts {};
        REQUIRE(::strptime(fields[i].c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts) != nullptr);
        CHECK(std::stoll(found) == ::timegm(&parts) * 1'000'000LL);
      } else {
        CHECK(found == fields[i]);
      }
    }
    char key[100];
    (void)std::snprintf(key, sizeof(key), "%s-%s-%02d-%02d-%s-%s%s", fields[12].c_str(), fields[13].c_str(),
                        std::atoi(fields[2].c_str()), std::atoi(fields[1].c_str()), fields[0].c_str(),
                        fields[9].c_str(), fields[10].c_str());
    CHECK(table.keys[row] == key);
    CHECK(table.lines[row] == row + 2);
  }
}
