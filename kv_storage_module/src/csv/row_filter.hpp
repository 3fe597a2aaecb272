// Which rows to load: "dep_delay is not null and (month == 6 or carrier in ('AA', 'UA'))".
//
//   filter  := all ("or" all)*                       all  := item ("and" item)*
//   item    := "not" item | "(" filter ")" | column test
//   test    := op literal | ["not"] "in" "(" literal ("," literal)* ")" | "is" ["not"] "null"
//   op      := == = != <> < <= > >=                  literal := number | 'text' | "text" | true | false
//   column  := letters, digits, _ and . | `any name`
//
// Words are recognised in any case. A quote inside a text is written twice. Dates are compared with dates written as
// text: day >= '2013-06-06'. Text is compared by byte. Every comparison with a missing value, != and not in as well, is
// false; only `not` in front of a comparison turns that round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "csv/column.hpp"
#include "csv/row_reader.hpp"
#include "csv/values.hpp"

namespace kv::csv {

class RowFilter {
 public:
  struct Literal {
    enum class Kind : std::uint8_t { kNumber, kText, kBool };
    Kind kind = Kind::kNumber;
    std::string text{};        // as written, without quotes
    std::size_t position = 0;  // in the filter, from 1
    // Set when the types are known: the value as the column's type.
    long double integer = 0;  // holds every int64 and uint64
    double real = 0;
    std::int64_t time = 0;
    bool truth = false;
  };
  struct Node {
    enum class Op : std::uint8_t {
      kAnd,
      kOr,
      kNot,
      kEqual,
      kNotEqual,
      kLess,
      kAtMost,
      kMore,
      kAtLeast,
      kIn,
      kNotIn,
      kNull,
      kNotNull
    };
    Op op = Op::kAnd;
    std::vector<Node> children{};  // of kAnd, kOr, kNot
    std::string name{};            // of the column otherwise
    std::size_t position = 0;
    std::vector<Literal> literals{};
    std::size_t field = 0;
    Column column{};
  };

  // Throws Error{kParse} located in "where" (column = position in the filter, from 1). Empty = all rows.
  explicit RowFilter(std::string_view text);

  [[nodiscard]] bool empty() const noexcept { return empty_; }
  // Finds the columns; throws as above. Types need not be known yet.
  void find_columns(std::span<const FileColumn> columns);
  // Reads the literals as values of their column's type, which must be known now; throws as above.
  void bind_types(std::span<const FileColumn> columns);

  // Throws FieldError if a field it looks at is not of its column's type. Thread-safe with one scratch each.
  [[nodiscard]] bool accepts(std::span<const Field> fields, const MissingTokens& missing, std::string& scratch) const;

 private:
  Node root_;
  bool empty_;
};

// The grammar, in row_filter_parser.cpp.
[[nodiscard]] RowFilter::Node parse_filter(std::string_view text);

}  // namespace kv::csv
