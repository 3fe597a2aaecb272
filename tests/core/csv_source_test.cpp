#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "csv/source.hpp"

using kv::csv::detect_delimiter;
using kv::csv::locate;

namespace {

std::string place(std::string_view text, std::size_t at) {
  const auto location = locate(text.data(), 1, text.data() + at);
  return std::to_string(location.line) + ":" + std::to_string(location.column);
}

}  // namespace

TEST_CASE("csv source: lines end with LF, CRLF or CR") {
  const std::string_view text = "ab\ncd\r\nef\rg";
  CHECK(place(text, 0) == "1:1");
  CHECK(place(text, 2) == "1:3");
  CHECK(place(text, 3) == "2:1");
  CHECK(place(text, 7) == "3:1");
  CHECK(place(text, 10) == "4:1");
  CHECK(kv::csv::count_lines(text) == 3);
  CHECK(kv::csv::count_lines("") == 0);
  CHECK(kv::csv::count_lines("\r\n\r\n") == 2);
  CHECK(kv::csv::count_lines("\n\r") == 2);
}

TEST_CASE("csv source: the delimiter is what divides the rows alike") {
  CHECK(detect_delimiter("a,b,c\n1,2,3\n", '"') == ',');
  CHECK(detect_delimiter("a\tb\n1,5\t2,5\n", '"') == '\t');
  CHECK(detect_delimiter("a;b\n1,5;2,5\n", '"') == ';');
  CHECK(detect_delimiter("a|b\n1|2", '"') == '|');
  CHECK(detect_delimiter("\"a;x\",\"b;y\"\n1,2\n", '"') == ',');
  CHECK(detect_delimiter("a,b;c,d\n1,2;3,4\n", '"') == ',');
  CHECK(detect_delimiter("only\n1\n", '"') == ',');
  CHECK(detect_delimiter("", '"') == ',');
  CHECK(detect_delimiter("a;b\n\n1;2,3\n", '"') == ';');
}

TEST_CASE("csv source: texts in messages are short and printable") {
  CHECK(kv::csv::quoted("abc") == "'abc'");
  CHECK(kv::csv::quoted(std::string_view("a\0\n", 3)) == "'a\\x00\\x0a'");
  CHECK(kv::csv::quoted(std::string(100, 'x')) == "'" + std::string(40, 'x') + "...'");
  CHECK(kv::csv::quoted(std::string(39, 'x') + "\xC3\xA9y") == "'" + std::string(39, 'x') + "...'");
}
