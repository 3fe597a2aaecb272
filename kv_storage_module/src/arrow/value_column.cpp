#include "arrow/value_column.hpp"

#include <cstring>

#include "kv_storage/error.hpp"

namespace kv::arrow {
namespace {

// What Python calls the values of a type; packed ones are of many.
[[nodiscard]] const char* name_of(ValueType type) noexcept {
  switch (type) {
    case ValueType::kNone:
      return "None";
    case ValueType::kBool:
      return "bool";
    case ValueType::kInt:
      return "int";
    case ValueType::kFloat:
      return "float";
    case ValueType::kText:
      return "str";
    case ValueType::kBytes:
      return "bytes";
    case ValueType::kArray:
      return "array";
    case ValueType::kPacked:
    case ValueType::kRecord:
      break;
  }
  return "compound, or a date, Decimal, UUID or int of more than 64 bits";
}

}  // namespace

std::optional<Type> type_of_value(ValueType type) noexcept {
  switch (type) {
    case ValueType::kNone:
      return Type::kNull;
    case ValueType::kBool:
      return Type::kBool;
    case ValueType::kInt:
      return Type::kInt64;
    case ValueType::kFloat:
      return Type::kFloat64;
    case ValueType::kText:
      return Type::kText;
    case ValueType::kBytes:
      return Type::kBinary;
    case ValueType::kPacked:
    case ValueType::kArray:
    case ValueType::kRecord:
      break;
  }
  return std::nullopt;
}

bool value_convertible(Type from, Type to) noexcept {
  if ((is_text(from) || is_binary(from)) && (is_text(to) || is_binary(to))) return true;
  return from == Type::kInt64 && to == Type::kFloat64;
}

void refuse_value(const std::string& what, ValueType type) {
  throw Error(ErrorCode::kTypeMismatch,
              "a column holds None, bool, int (64 bits), float, str or bytes; " + what + " is " + name_of(type));
}

void append_value(ValueType type, ByteView value, Column& column, const std::function<std::string()>& what) {
  const Type wanted = column.field().type;
  const Type given = type_of_value(type).value_or(Type::kNull);
  if (type == ValueType::kNone) {
    column.append_null();
  } else if (given == Type::kBool && wanted == Type::kBool) {
    column.append_bool(value.front() != 0);
  } else if ((given == Type::kInt64 || given == Type::kFloat64) && wanted == given) {
    std::memcpy(column.append_fixed<std::int64_t>(1), value.data(), sizeof(std::int64_t));
    column.mark(true);
  } else if (given == Type::kInt64 && wanted == Type::kFloat64) {
    std::int64_t number = 0;
    std::memcpy(&number, value.data(), sizeof number);
    column.append_value(static_cast<double>(number));
  } else if ((given == Type::kText || given == Type::kBinary) && (is_text(wanted) || is_binary(wanted))) {
    column.append_bytes(value);
  } else {
    throw Error(ErrorCode::kTypeMismatch, std::string("the first value decides on the type of a column, '") +
                                              format_of(wanted) + "' of the Arrow format; " + what() + " is " +
                                              name_of(type));
  }
}

}  // namespace kv::arrow
