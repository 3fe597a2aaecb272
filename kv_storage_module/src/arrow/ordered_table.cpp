// Maps: the typed key and the value, if all values are of one type. Sets: the member.

#include <cstring>
#include <optional>

#include "arrow/table.hpp"
#include "kv_storage/error.hpp"

namespace kv::arrow {
namespace {

[[nodiscard]] Type type_of(KeyType type) noexcept {
  switch (type) {
    case KeyType::kInt:
      return Type::kInt64;
    case KeyType::kFloat:
      return Type::kFloat64;
    case KeyType::kText:
      return Type::kText;
    case KeyType::kBytes:
      return Type::kBinary;
    case KeyType::kDate:
      return Type::kDate;
    case KeyType::kDatetime:
      return Type::kTimestamp;
    case KeyType::kUnknown:
      break;
  }
  return Type::kNull;
}

// None for values that no column holds.
[[nodiscard]] std::optional<Type> type_of(ValueType type) noexcept {
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

[[nodiscard]] std::string describe(ByteView key) {
  switch (key_type_of(key)) {
    case KeyType::kInt:
      return "key " + std::to_string(ordered_key::integer(key));
    case KeyType::kFloat:
      return "key " + std::to_string(ordered_key::floating(key));
    case KeyType::kText:
    case KeyType::kBytes:
      return "key '" + std::string(ordered_key::bytes(key).substr(0, 100)) + "'";
    case KeyType::kDate:
      return "the date " + std::to_string(ordered_key::integer(key)) + " days after 1970-01-01";
    case KeyType::kDatetime:
      return "the time " + std::to_string(ordered_key::integer(key)) + " microseconds after 1970-01-01";
    case KeyType::kUnknown:
      break;
  }
  return "a key";
}

[[noreturn]] void refuse_value(ByteView key, ValueType type) {
  throw Error(ErrorCode::kTypeMismatch, "a column holds None, bool, int (64 bits), float, str or bytes; the value of " +
                                            describe(key) + " is " + name_of(type));
}

[[nodiscard]] bool convertible(Type from, Type to) noexcept {
  if ((is_text(from) || is_binary(from)) && (is_text(to) || is_binary(to))) return true;
  return from == Type::kInt64 && to == Type::kFloat64;
}

// The type of the first value that is not None.
[[nodiscard]] Type value_type(const Ordered& ordered, const Selection& selection) {
  Scan scan = ordered.scan(selection.range, true, selection.reverse);
  std::uint64_t skip = selection.offset;
  std::uint64_t left = selection.limit;
  for (ScanPage page; left != 0 && scan.next(page);) {
    for (const ScanPage::Item& item : page.items) {
      if (skip != 0) {
        --skip;
        continue;
      }
      if (left-- == 0) break;
      if (item.type == ValueType::kNone) continue;
      if (const std::optional<Type> type = type_of(item.type)) return *type;
      refuse_value(page.key(item), item.type);
    }
  }
  return Type::kNull;
}

[[nodiscard]] bool is_set(const Ordered& ordered) noexcept {
  return HandleAccess::impl(ordered)->kind() == CollectionKind::kSet;
}

[[nodiscard]] std::vector<Field> fields_of(const Ordered& ordered, const Selection& selection) {
  const Type key = type_of(ordered.key_type());
  if (is_set(ordered)) return {{"member", key, key == Type::kNull}};
  return {{"key", key, key == Type::kNull}, {"value", value_type(ordered, selection), true}};
}

class OrderedTable final : public Table {
 public:
  OrderedTable(const Ordered& ordered, const Selection& selection, const ArrowSchema* requested)
      : Table(HandleAccess::impl(ordered), as_requested(fields_of(ordered, selection), requested, &convertible),
              !is_set(ordered)),
        ordered_(ordered) {}

  void append(const ScanPage& page, std::size_t first, std::size_t last, std::vector<Column>& columns) override;

 private:
  static void append_key(ByteView key, Column& column);
  static void append_value(ByteView key, ValueType type, ByteView value, Column& column);

  Ordered ordered_;
};

void OrderedTable::append(const ScanPage& page, std::size_t first, std::size_t last, std::vector<Column>& columns) {
  ValueBuffer large;
  for (std::size_t i = first; i < last; ++i) {
    const ScanPage::Item& item = page.items[i];
    const ByteView key = page.key(item);
    if (columns.size() == 2) {
      if (item.large && !ordered_.get(key, large)) continue;  // deleted meanwhile
      append_value(key, item.large ? large.type() : item.type, item.large ? large.bytes() : page.value(item),
                   columns[1]);
    }
    append_key(key, columns[0]);
  }
}

void OrderedTable::append_key(ByteView key, Column& column) {
  if (column.field().type == Type::kNull || type_of(key_type_of(key)) == Type::kNull) {
    throw Error(ErrorCode::kClosed, "the collection got its first keys while it was being exported: export it again");
  }
  switch (key_type_of(key)) {
    case KeyType::kInt:
    case KeyType::kDatetime:
      if (column.field().type == Type::kFloat64) {
        column.append_value(static_cast<double>(ordered_key::integer(key)));
      } else {
        column.append_value(ordered_key::integer(key));
      }
      break;
    case KeyType::kDate:
      column.append_value(static_cast<std::int32_t>(ordered_key::integer(key)));  // Python's dates are of few days
      break;
    case KeyType::kFloat:
      column.append_value(ordered_key::floating(key));
      break;
    case KeyType::kText:
    case KeyType::kBytes:
      column.append_bytes(ordered_key::bytes(key));
      break;
    case KeyType::kUnknown:
      break;
  }
}

void OrderedTable::append_value(ByteView key, ValueType type, ByteView value, Column& column) {
  const Type wanted = column.field().type;
  const Type given = type_of(type).value_or(Type::kNull);
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
                                              format_of(wanted) + "' of the Arrow format; the value of " +
                                              describe(key) + " is " + name_of(type));
  }
}

}  // namespace

std::unique_ptr<Table> make_ordered_table(const Ordered& ordered, const Selection& selection,
                                          const ArrowSchema* requested) {
  return std::make_unique<OrderedTable>(ordered, selection, requested);
}

}  // namespace kv::arrow
