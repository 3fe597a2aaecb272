#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "csv/column.hpp"
#include "csv/key_template.hpp"
#include "kv_storage/error.hpp"

using kv::Schema;
using kv::csv::Field;
using kv::csv::FieldError;
using kv::csv::FileColumn;
using kv::csv::KeyTemplate;

namespace {

const std::vector<std::string> kMissing = {"", "NA"};

std::vector<FileColumn> columns() {
  std::vector<FileColumn> all;
  for (const auto& [name, type] : {std::pair{"name", "category"},
                                   {"day", "int64"},
                                   {"price", "float64"},
                                   {"when", "date"},
                                   {"at", "datetime"},
                                   {"flag", "bool"},
                                   {"big", "uint64"}}) {
    all.push_back({.column = Schema::parse_type(name, type)});
  }
  return all;
}

// The key of a row whose every field has this text; "name: what" if it is refused.
std::string render(const std::string& key_template, const std::string& text) {
  KeyTemplate key(key_template);
  const std::vector<FileColumn> all = columns();
  key.find_columns(all);
  key.bind_types(all);
  const std::string padded = text + "12345678";
  const std::vector<Field> fields(all.size(),
                                  Field{.begin = padded.data(), .data = padded.data(), .size = text.size()});
  std::string scratch;
  std::string out = "before";
  try {
    key.append(fields, kv::csv::MissingTokens(kMissing), scratch, out);
  } catch (const FieldError& error) {
    return all[error.field].column.name + ": " + error.what;
  }
  REQUIRE(out.starts_with("before"));
  return out.substr(6);
}

std::string refused(const std::string& key_template) {
  try {
    (void)render(key_template, "1");
  } catch (const kv::Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("csv key template: text, escapes, several fields") {
  CHECK(render("{name}", "AA") == "AA");
  CHECK(render("hash-{name}-x-{name}!", "AA") == "hash-AA-x-AA!");
  CHECK(render("{{{name}}}", "AA") == "{AA}");
  CHECK(render("{name}", " x ") == " x ");
  CHECK(render("{flag}", "True") == "True");
}

TEST_CASE("csv key template: integers as Python formats them") {
  CHECK(render("{day}", "007") == "7");
  CHECK(render("{day}", "-0") == "0");
  CHECK(render("{day}", " +5 ") == "5");
  CHECK(render("{big}", "18446744073709551615") == "18446744073709551615");
  CHECK(render("{day:02}", "6") == "06");
  CHECK(render("{day:02}", "123") == "123");
  CHECK(render("{day:05}", "-42") == "-0042");
  CHECK(render("{day:5d}", "42") == "   42");
  CHECK(render("{day:<5}|", "42") == "42   |");
  CHECK(render("{day:^5}|", "42") == " 42  |");
  CHECK(render("{day:*>5}", "-42") == "**-42");
  CHECK(render("{day:*=5}", "-42") == "-**42");
  CHECK(render("{day:<05}", "42") == "42000");
  CHECK(render("{day:x}", "255") == "ff");
  CHECK(render("{day:04X}", "255") == "00FF");
  CHECK(render("{day:08b}", "5") == "00000101");
  CHECK(render("{day:o}", "-8") == "-10");
  CHECK(render("{day:.2f}", "5") == "5.00");
  CHECK(render("{day:é>4}", "5") == "ééé5");
}

TEST_CASE("csv key template: floats") {
  CHECK(render("{price}", "5.50") == "5.50");
  CHECK(render("{price}", " 1e3") == "1e3");
  CHECK(render("{price}", "007") == "7");  // integers of a column that has missing values
  CHECK(render("{price:02}", "6") == "06");
  CHECK(render("{price:02d}", "6") == "06");
  CHECK(render("{price:.2f}", "5.125") == "5.12");
  CHECK(render("{price:.0f}", "2.5") == "2");
  CHECK(render("{price:f}", "1") == "1.000000");
  CHECK(render("{price:08.2f}", "-3.14159") == "-0003.14");
  CHECK(render("{price:06}", "-1.5") == "-001.5");
  CHECK(render("{price:.1f}", "inf") == "inf");
  CHECK(render("{price:d}", "1.5").starts_with("price: expected float64, found '1.5'"));
}

TEST_CASE("csv key template: text is padded by characters") {
  CHECK(render("{name:5}|", "ab") == "ab   |");
  CHECK(render("{name:>5}", "\xC3\xA9") == "    \xC3\xA9");
  CHECK(render("{name:_^6}", "ab") == "__ab__");
  CHECK(render("{name:05}", "ab") == "ab000");
  CHECK(render("{name:s}", "ab") == "ab");
}

TEST_CASE("csv key template: dates") {
  CHECK(render("{when}", "2018-06-07") == "2018-06-07");
  CHECK(render("{when:%d-%m-%Y}", "2018-06-07") == "07-06-2018");
  CHECK(render("{when:%H%%}", "2018-06-07") == "00%");
  CHECK(render("{at}", "2018-06-07 08:09Z") == "2018-06-07T08:09:00");
  CHECK(render("{at}", "2018-06-07T08:09:10.25") == "2018-06-07T08:09:10.250000");
  CHECK(render("{at:%Y%m%dT%H%M%S}", "1969-12-31 23:59:58.5") == "19691231T235958");
}

TEST_CASE("csv key template: a field that cannot be in a key") {
  CHECK(render("{day:02}-{name}", "NA") ==
        "day: the key needs column 'day', which is missing here ('NA'); leave such rows out with where = day is not "
        "null");
  CHECK(render("{name}", "").find("is missing here") != std::string::npos);
  CHECK(render("{day}", "x") == "day: expected int64, found 'x' in column 'day'");
  CHECK(render("{when}", "x").starts_with("when: expected date, found 'x'"));
  CHECK(render("{name}", std::string(65'535, 'k')).size() == 65'535);
  CHECK(render("{name}", std::string(65'536, 'k')) == "name: the key of this row is longer than 65,535 bytes");
  CHECK(render("{name}{name}", std::string(40'000, 'k')) == "name: the key of this row is longer than 65,535 bytes");
}

TEST_CASE("csv key template: mistakes are located") {
  CHECK(refused("") == "key: a key template is needed, such as {origin}-{dest}-{day:02}");
  CHECK(refused("fixed").find("names no column") != std::string::npos);
  CHECK(refused("a{name") == "key:2: this { is never closed; write {{ for the character itself");
  CHECK(refused("a}b{name}") == "key:2: a } without {; write }} for the character itself");
  CHECK(refused("x{}") == "key:2: name a column between { and }");
  CHECK(refused("{name}{dya}") == "key:7: there is no column 'dya'; did you mean 'day'?");
  CHECK(refused("{day:q}").starts_with("key:1: in the format 'q': 'q' is not understood"));
  CHECK(refused("{day:.2}").find("a precision needs the type f") != std::string::npos);
  CHECK(refused("{day:99999}").find("the width is over 1,000") != std::string::npos);
  CHECK(refused("{name:d}").find("column 'name' is category; its format 'd' must be one for text") !=
        std::string::npos);
  CHECK(refused("{name:=5}").find("must be one for text") != std::string::npos);
  CHECK(refused("{day:s}").find("must be one for numbers") != std::string::npos);
  CHECK(refused("{day:%Y}").find("without %, which is for dates") != std::string::npos);
  CHECK(refused("{when:%y}").find("'%y' is not understood; accepted are %Y %m %d %H %M %S %%") != std::string::npos);
  CHECK(refused("{when:%}").find("'%' is not understood") != std::string::npos);
  CHECK(refused("{when:05}").find("must be made of %Y %m %d") != std::string::npos);
}

TEST_CASE("csv key template: the whole key is one column, or not") {
  const std::vector<FileColumn> all = columns();
  const auto whole = [&](const char* text) {
    KeyTemplate key(text);
    key.find_columns(all);
    return key.whole_column();
  };
  CHECK(whole("{price}") == 2U);
  CHECK_FALSE(whole("x{price}").has_value());
  CHECK_FALSE(whole("{price}x").has_value());
  CHECK_FALSE(whole("{price:5}").has_value());
  CHECK_FALSE(whole("{price}{day}").has_value());
}
