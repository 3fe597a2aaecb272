#include "kv_storage/schema.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "kv_storage/error.hpp"

using kv::Column;
using kv::ColumnType;
using kv::Schema;

namespace {

Schema sample() {
  return Schema({Schema::parse_type("flag", "bool"), Schema::parse_type("delay", "f4"),
                 Schema::parse_type("tail", "S5"), Schema::parse_type("when", "datetime"),
                 Column{.name = "carrier", .type = ColumnType::kCategory, .bytes = 2}});
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const kv::Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("schema: each field is aligned to its size and the record to 8") {
  const Schema schema = sample();
  const std::vector<std::uint32_t> offsets = {0, 4, 8, 16, 24};
  for (std::size_t i = 0; i < offsets.size(); ++i) CHECK(schema.columns()[i].offset == offsets[i]);
  CHECK(schema.record_bytes() == 32);
}

TEST_CASE("schema: find by name") {
  const Schema schema = sample();
  REQUIRE(schema.find("tail") != nullptr);
  CHECK(schema.find("tail")->bytes == 5);
  CHECK(schema.find("Tail") == nullptr);
  CHECK(Schema().find("x") == nullptr);
  CHECK(Schema().empty());
}

TEST_CASE("schema: impossible ones are refused by name") {
  const auto refuse = [](std::vector<Column> columns) {
    return message_of([&] { Schema schema(std::move(columns)); });
  };
  CHECK(refuse({}) == "schema: there must be at least one column");
  CHECK(refuse({Column{.name = ""}}) == "schema: a column has an empty name");
  CHECK(refuse({Column{.name = "a"}, Column{.name = "a"}}) == "schema: two columns are named 'a'");
  CHECK(refuse({Column{.name = "a", .type = ColumnType::kInt32, .bytes = 8}}) ==
        "schema: column 'a' cannot be 8 bytes wide");
  CHECK(refuse({Column{.name = "a", .type = ColumnType::kCategory, .bytes = 3}}) ==
        "schema: column 'a' cannot be 3 bytes wide");
  CHECK(refuse({Column{.name = "a", .type = static_cast<ColumnType>(99), .bytes = 8}}) ==
        "schema: column 'a' cannot be 8 bytes wide");
  std::vector<Column> many(4'097);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].name = "c" + std::to_string(i);
  CHECK(refuse(many) == "schema: 4097 columns; at most 4096 are possible");
  many.resize(17);
  for (Column& column : many) {
    column.type = ColumnType::kBytes;
    column.bytes = 65'535;
  }
  CHECK(refuse(many) == "schema: a record is larger than 1 MiB at column 'c16'");
}

TEST_CASE("schema: decode(encode(x)) == x") {
  const Schema schema = sample();
  const Schema again = Schema::decode(schema.encode());
  CHECK(again == schema);
  CHECK(again.record_bytes() == schema.record_bytes());
  CHECK(again.columns()[4].offset == schema.columns()[4].offset);
  CHECK(Schema::decode(Schema().encode()) == Schema());
}

TEST_CASE("schema: a damaged encoding is refused, whatever is cut off or changed") {
  const std::string good = sample().encode();
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_AS((void)Schema::decode(good.substr(0, size)), kv::Error);
  }
  CHECK_THROWS_AS((void)Schema::decode(good + "x"), kv::Error);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string damaged = good;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    try {
      (void)Schema::decode(damaged);  // a changed letter of a name is still a schema
    } catch (const kv::Error& error) {
      CHECK(error.code() == kv::ErrorCode::kCorrupt);
    }
  }
}

TEST_CASE("schema: equality looks at names, types and sizes, not at the width of codes") {
  const Schema a({Schema::parse_type("x", "i4")});
  CHECK(a == Schema({Schema::parse_type("x", "int32")}));
  CHECK_FALSE(a == Schema({Schema::parse_type("y", "i4")}));
  CHECK_FALSE(a == Schema({Schema::parse_type("x", "f4")}));
  CHECK_FALSE(Schema({Schema::parse_type("x", "S4")}) == Schema({Schema::parse_type("x", "S5")}));
  Column narrow = Schema::parse_type("x", "category");
  narrow.bytes = 1;
  CHECK(Schema({narrow}) == Schema({Schema::parse_type("x", "category")}));
}

TEST_CASE("schema: types by name") {
  struct Case {
    const char* text;
    ColumnType type;
    std::uint32_t bytes;
    const char* canonical;
  };
  const std::vector<Case> cases = {
      {"bool", ColumnType::kBool, 1, "bool"},
      {"?", ColumnType::kBool, 1, "bool"},
      {"i1", ColumnType::kInt8, 1, "int8"},
      {"int", ColumnType::kInt64, 8, "int64"},
      {"<u2", ColumnType::kUInt16, 2, "uint16"},
      {"uint64", ColumnType::kUInt64, 8, "uint64"},
      {"f4", ColumnType::kFloat32, 4, "float32"},
      {"float", ColumnType::kFloat64, 8, "float64"},
      {"date", ColumnType::kDate, 8, "date"},
      {"M8[us]", ColumnType::kDatetime, 8, "datetime"},
      {"S12", ColumnType::kBytes, 12, "bytes[12]"},
      {"|S12", ColumnType::kBytes, 12, "bytes[12]"},
      {"bytes[65535]", ColumnType::kBytes, 65'535, "bytes[65535]"},
      {"category", ColumnType::kCategory, 4, "category"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const Column column = Schema::parse_type("x", c.text);
    CHECK(column.name == "x");
    CHECK(column.type == c.type);
    CHECK(column.bytes == c.bytes);
    CHECK(Schema::type_name(column) == c.canonical);
    CHECK(Schema::parse_type("x", Schema::type_name(column)).type == c.type);
  }
}

TEST_CASE("schema: a misspelt type names the nearest") {
  const auto refuse = [](const char* type) { return message_of([&] { (void)Schema::parse_type("x", type); }); };
  CHECK(refuse("flaot32") == "schema: column 'x' has the unknown type 'flaot32'; did you mean 'float32'?");
  CHECK(refuse("Category") == "schema: column 'x' has the unknown type 'Category'; did you mean 'category'?");
  CHECK(refuse("zzzzzzzzzzzz").find("accepted types are bool, int8") != std::string::npos);
  CHECK(refuse("").find("unknown type ''") != std::string::npos);
  CHECK(refuse(">f4").find("unknown type '>f4'") != std::string::npos);
  CHECK(refuse("S0") == "schema: column 'x' has type 'S0'; its size must be 1 to 65,535");
  CHECK(refuse("bytes[99999999999999]").find("its size must be 1 to 65,535") != std::string::npos);
  CHECK(refuse("S12x").find("unknown type") != std::string::npos);
}
