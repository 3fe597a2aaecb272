// Maps: the typed key and the value, if all values are of one type. Sets: the member.

#include <optional>

#include "arrow/table.hpp"
#include "arrow/value_column.hpp"
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

[[nodiscard]] bool convertible(const Field& from, Type to) noexcept { return value_convertible(from.type, to); }

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
      if (const std::optional<Type> type = type_of_value(item.type)) return *type;
      refuse_value("the value of " + describe(page.key(item)), item.type);
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

  Ordered ordered_;
};

void OrderedTable::append(const ScanPage& page, std::size_t first, std::size_t last, std::vector<Column>& columns) {
  ValueBuffer large;
  for (std::size_t i = first; i < last; ++i) {
    const ScanPage::Item& item = page.items[i];
    const ByteView key = page.key(item);
    if (columns.size() == 2) {
      if (item.large && !ordered_.get(key, large)) continue;  // deleted meanwhile
      append_value(item.large ? large.type() : item.type, item.large ? large.bytes() : page.value(item), columns[1],
                   [&] { return "the value of " + describe(key); });
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

}  // namespace

std::unique_ptr<Table> make_ordered_table(const Ordered& ordered, const Selection& selection,
                                          const ArrowSchema* requested) {
  return std::make_unique<OrderedTable>(ordered, selection, requested);
}

}  // namespace kv::arrow
