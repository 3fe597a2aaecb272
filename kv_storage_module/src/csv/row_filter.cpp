#include "csv/row_filter.hpp"

#include <algorithm>
#include <charconv>
#include <compare>

#include "csv/source.hpp"
#include "kv_storage/error.hpp"

namespace kv::csv {
namespace {

using Literal = RowFilter::Literal;
using Node = RowFilter::Node;
using Op = RowFilter::Node::Op;

[[noreturn]] void refuse(std::size_t position, const std::string& what) { throw Error::at("where", 0, position, what); }

bool is_blank(std::string_view text) noexcept { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

bool is_integer(ColumnType type) noexcept { return type >= ColumnType::kInt8 && type <= ColumnType::kUInt64; }
bool is_text(ColumnType type) noexcept { return type == ColumnType::kBytes || type == ColumnType::kCategory; }

// Calls `visit` for every test of a column below `node`.
template <class Visit>
void for_each_test(Node& node, const Visit& visit) {
  if (node.op == Op::kAnd || node.op == Op::kOr || node.op == Op::kNot) {
    for (Node& child : node.children) for_each_test(child, visit);
  } else {
    visit(node);
  }
}

// A literal as the integer type that is compared: exact for every int64 and uint64.
bool to_integer(const std::string& text, long double& out) {
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* const end = text.data() + text.size();
  std::int64_t number = 0;
  std::uint64_t large = 0;
  if (const auto result = std::from_chars(begin, end, number); result.ec == std::errc() && result.ptr == end) {
    out = static_cast<long double>(number);
  } else if (const auto wide = std::from_chars(begin, end, large); wide.ec == std::errc() && wide.ptr == end) {
    out = static_cast<long double>(large);
  } else {
    return false;
  }
  return true;
}

void read_number(Literal& literal, const Column& column) {
  if (literal.kind != Literal::Kind::kNumber) {
    refuse(literal.position, "column '" + column.name + "' is " + Schema::type_name(column) +
                                 ": compare it with a number, "
                                 "without quotes");
  }
  if (!parse_float(literal.text, literal.real)) refuse(literal.position, quoted(literal.text) + " is not a number");
  if (!to_integer(literal.text, literal.integer)) literal.integer = static_cast<long double>(literal.real);
  // What the file's 0.1 becomes in a float32 column must equal the filter's 0.1.
  float narrow = 0;
  if (column.type == ColumnType::kFloat32 && parse_float(literal.text, narrow)) {
    literal.real = static_cast<double>(narrow);
  }
}

void read_time(Literal& literal, const Column& column) {
  const bool date = column.type == ColumnType::kDate;
  const bool text = literal.kind == Literal::Kind::kText;
  if (text && (date ? parse_date(literal.text, literal.time) : parse_datetime(literal.text, literal.time))) return;
  refuse(literal.position, "column '" + column.name + "' is a " + Schema::type_name(column) + ": compare it with '" +
                               (date ? "2013-06-30" : "2013-06-30 12:00") + "', in quotes; found " +
                               quoted(literal.text));
}

void read_literal(Literal& literal, const Node& test) {
  const ColumnType type = test.column.type;
  if (type == ColumnType::kDate || type == ColumnType::kDatetime) return read_time(literal, test.column);
  if (type == ColumnType::kBool) {
    const bool order =
        test.op == Op::kLess || test.op == Op::kAtMost || test.op == Op::kMore || test.op == Op::kAtLeast;
    if (literal.kind == Literal::Kind::kBool && !order) return;
    refuse(literal.position, "column '" + test.column.name + "' is bool: compare it with == or != and true or false");
  }
  if (!is_text(type)) return read_number(literal, test.column);
  if (literal.kind != Literal::Kind::kText) {
    refuse(literal.position,
           "column '" + test.column.name + "' is text: compare it with a text in quotes, as '" + literal.text + "'");
  }
}

// The value of a field, read once and then compared with any number of literals.
class Value {
 public:
  Value(const Node& test, ByteView text) : type_(test.column.type), text_(text) {
    if (is_text(type_)) return;
    if (!read()) throw wrong_value(test.field, test.column, text);
  }

  [[nodiscard]] std::partial_ordering order(const Literal& literal) const noexcept {
    if (is_text(type_)) return text_ <=> ByteView(literal.text);
    if (is_integer(type_)) return integer_ <=> literal.integer;
    if (type_ == ColumnType::kBool) return truth_ <=> literal.truth;
    if (type_ == ColumnType::kDate || type_ == ColumnType::kDatetime) return time_ <=> literal.time;
    return real_ <=> literal.real;
  }

 private:
  bool read() noexcept {
    if (is_integer(type_)) return read_integer();
    switch (type_) {
      case ColumnType::kBool:
        return parse_bool(text_, truth_);
      case ColumnType::kDate:
        return parse_date(text_, time_);
      case ColumnType::kDatetime:
        return parse_datetime(text_, time_);
      case ColumnType::kFloat32: {
        float narrow = 0;
        const bool is_number = parse_float(text_, narrow);
        real_ = static_cast<double>(narrow);
        return is_number;
      }
      default:
        return parse_float(text_, real_);
    }
  }

  bool read_integer() noexcept {
    bool negative = false;
    std::uint64_t magnitude = 0;
    if (!parse_magnitude(text_, negative, magnitude)) return false;
    integer_ = negative ? -static_cast<long double>(magnitude) : static_cast<long double>(magnitude);
    return true;
  }

  ColumnType type_;
  ByteView text_;
  long double integer_ = 0;
  double real_ = 0;
  std::int64_t time_ = 0;
  bool truth_ = false;
};

bool holds(const Node& test, ByteView text) {
  const Value value(test, text);
  const auto equal = [&](const Literal& literal) { return std::is_eq(value.order(literal)); };
  const std::vector<Literal>& literals = test.literals;
  switch (test.op) {
    case Op::kEqual:
      return equal(literals[0]);
    case Op::kNotEqual:
      return !equal(literals[0]);
    case Op::kLess:
      return std::is_lt(value.order(literals[0]));
    case Op::kAtMost:
      return std::is_lteq(value.order(literals[0]));
    case Op::kMore:
      return std::is_gt(value.order(literals[0]));
    case Op::kAtLeast:
      return std::is_gteq(value.order(literals[0]));
    case Op::kIn:
      return std::any_of(literals.begin(), literals.end(), equal);
    case Op::kNotIn:
      return std::none_of(literals.begin(), literals.end(), equal);
    default:
      return false;
  }
}

bool accepts_node(const Node& node, std::span<const Field> fields, const MissingTokens& missing, std::string& scratch) {
  const auto accepted = [&](const Node& child) { return accepts_node(child, fields, missing, scratch); };
  if (node.op == Op::kAnd) return std::all_of(node.children.begin(), node.children.end(), accepted);
  if (node.op == Op::kOr) return std::any_of(node.children.begin(), node.children.end(), accepted);
  if (node.op == Op::kNot) return !accepted(node.children[0]);
  const Field& field = fields[node.field];
  // Only a skipped column can hold such a text; its escapes are left as they are.
  const ByteView text = field.size > 2 * kMaxTextBytes ? ByteView(field.data, field.size) : field.text(scratch);
  const bool is_missing = missing.contains(text);
  if (node.op == Op::kNull) return is_missing;
  if (node.op == Op::kNotNull) return !is_missing;
  return !is_missing && holds(node, text);
}

}  // namespace

RowFilter::RowFilter(std::string_view text) : empty_(is_blank(text)) {
  if (!empty_) root_ = parse_filter(text);
}

void RowFilter::find_columns(std::span<const FileColumn> columns) {
  for_each_test(root_, [&](Node& test) { test.field = find_column(columns, test.name, "where", 0, test.position); });
}

void RowFilter::bind_types(std::span<const FileColumn> columns) {
  for_each_test(root_, [&](Node& test) {
    test.column = columns[test.field].column;
    for (Literal& literal : test.literals) read_literal(literal, test);
  });
}

bool RowFilter::accepts(std::span<const Field> fields, const MissingTokens& missing, std::string& scratch) const {
  return empty_ || accepts_node(root_, fields, missing, scratch);
}

}  // namespace kv::csv
