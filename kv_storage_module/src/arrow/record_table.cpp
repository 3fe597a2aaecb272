// Schema collections: the key, then the columns of the schema.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "arrow/table.hpp"
#include "collections/categories.hpp"
#include "kv_storage/error.hpp"

namespace kv::arrow {
namespace {

constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

[[nodiscard]] Type type_of(const kv::Column& column) noexcept {
  switch (column.type) {
    case ColumnType::kBool:
      return Type::kBool;
    case ColumnType::kInt8:
      return Type::kInt8;
    case ColumnType::kInt16:
      return Type::kInt16;
    case ColumnType::kInt32:
      return Type::kInt32;
    case ColumnType::kInt64:
      return Type::kInt64;
    case ColumnType::kUInt8:
      return Type::kUInt8;
    case ColumnType::kUInt16:
      return Type::kUInt16;
    case ColumnType::kUInt32:
      return Type::kUInt32;
    case ColumnType::kUInt64:
      return Type::kUInt64;
    case ColumnType::kFloat32:
      return Type::kFloat32;
    case ColumnType::kFloat64:
      return Type::kFloat64;
    case ColumnType::kDate:
      return Type::kDate;
    case ColumnType::kDatetime:
      return Type::kTimestamp;
    case ColumnType::kBytes:
      return Type::kBinary;
    case ColumnType::kCategory:
      return column.bytes == 1 ? Type::kCategory16 : Type::kCategory32;
  }
  return Type::kNull;
}

[[nodiscard]] bool may_miss(ColumnType type) noexcept {
  return type == ColumnType::kFloat32 || type == ColumnType::kFloat64 || type == ColumnType::kDate ||
         type == ColumnType::kDatetime || type == ColumnType::kCategory;
}

[[nodiscard]] bool convertible(const Field& from, Type to) noexcept {
  return (is_text(from.type) || is_binary(from.type) || is_category(from.type)) && (is_text(to) || is_binary(to));
}

// Longer than any column of that name, if the schema has one.
[[nodiscard]] std::string key_name(const Schema& schema) {
  std::string name = "key";
  while (schema.find(name) != nullptr) name.insert(name.begin(), '_');
  return name;
}

[[nodiscard]] std::vector<Field> fields_of(const Schema& schema) {
  std::vector<Field> fields = {{key_name(schema), Type::kText, false}};
  for (const kv::Column& column : schema.columns()) {
    fields.push_back({column.name, type_of(column), may_miss(column.type)});
  }
  return fields;
}

class RecordTable final : public Table {
 public:
  RecordTable(const RecordHash& records, const ArrowSchema* requested)
      : Table(HandleAccess::impl(records), as_requested(fields_of(records.schema()), requested, &convertible), true),
        schema_(records.schema()),
        texts_(fields().size()) {}

  [[nodiscard]] std::vector<Column> make_columns() const override;
  void append(const ScanPage& page, std::size_t first, std::size_t last, std::vector<Column>& columns) override;
  [[nodiscard]] bool finish(const PartScan::State& state, std::vector<Column>& columns, ArrowArray* out) override;

 private:
  [[nodiscard]] bool learn_texts(const PartScan::State& state, const std::vector<Column>& columns);

  Schema schema_;
  // Of category columns, as far as they were known with these contents.
  TextsOfColumns texts_;
  PartScan::State texts_state_;
  std::vector<std::int64_t> highest_codes_ = std::vector<std::int64_t>(fields().size(), -1);
};

// The field of each of the items.
struct Rows {
  const ScanPage& page;
  std::size_t first, last;
  std::uint32_t offset;

  template <class Stored>
  [[nodiscard]] Stored load(std::size_t i) const noexcept {
    Stored value;
    std::memcpy(&value, page.value(page.items[first + i]).data() + offset, sizeof value);
    return value;
  }
  [[nodiscard]] std::size_t size() const noexcept { return last - first; }
};

// Numbers as they are.
template <class Number>
void append_numbers(const Rows& rows, Column& column) {
  auto* to = column.append_fixed<Number>(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) to[i] = rows.load<Number>(i);
  column.mark_valid(rows.size());
}

// What may be missing: `convert` makes a value of what is there.
template <class Stored, class Given, class IsMissing, class Convert>
void append_nullable(const Rows& rows, Column& column, IsMissing&& is_missing, Convert&& convert) {
  auto* to = column.append_fixed<Given>(rows.size());
  bool any = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto value = rows.load<Stored>(i);
    const bool missing = is_missing(value);
    any |= missing;
    to[i] = missing ? Given{} : convert(value);
  }
  if (!any) {
    column.mark_valid(rows.size());
    return;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) column.mark(!is_missing(rows.load<Stored>(i)));
}

template <class Float>
void append_floats(const Rows& rows, Column& column) {
  append_nullable<Float, Float>(
      rows, column, [](Float value) { return std::isnan(value); }, [](Float value) { return value; });
}

void append_dates(const Rows& rows, Column& column) {
  append_nullable<std::int64_t, std::int32_t>(
      rows, column, [](std::int64_t days) { return days == kNoTime; },
      [&](std::int64_t days) {
        if (days != static_cast<std::int32_t>(days)) {
          throw Error(ErrorCode::kOverflow, "a date of column '" + column.field().name + "' is too far from 1970");
        }
        return static_cast<std::int32_t>(days);
      });
}

void append_times(const Rows& rows, Column& column) {
  append_nullable<std::int64_t, std::int64_t>(
      rows, column, [](std::int64_t time) { return time == kNoTime; }, [](std::int64_t time) { return time; });
}

template <class Code, class Given>
std::int64_t append_codes(const Rows& rows, Column& column) {
  std::int64_t highest = -1;
  append_nullable<Code, Given>(
      rows, column, [](Code code) { return code == std::numeric_limits<Code>::max(); },
      [&](Code code) {
        highest = std::max(highest, static_cast<std::int64_t>(code));
        return static_cast<Given>(code);
      });
  return highest;
}

// NumPy's convention, and that of Record: NULs at the end are padding.
void append_padded(const Rows& rows, std::uint32_t bytes, Column& column) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ByteView field = rows.page.value(rows.page.items[rows.first + i]).substr(rows.offset, bytes);
    while (!field.empty() && field.back() == '\0') field.remove_suffix(1);
    column.append_bytes(field);
  }
}

// The highest code, of a category column.
std::int64_t append_field(const Rows& rows, const kv::Column& stored, Column& column) {
  switch (stored.type) {
    case ColumnType::kBool:
      for (std::size_t i = 0; i < rows.size(); ++i) column.append_bool(rows.load<std::uint8_t>(i) != 0);
      break;
    case ColumnType::kInt8:
    case ColumnType::kUInt8:
      append_numbers<std::uint8_t>(rows, column);
      break;
    case ColumnType::kInt16:
    case ColumnType::kUInt16:
      append_numbers<std::uint16_t>(rows, column);
      break;
    case ColumnType::kInt32:
    case ColumnType::kUInt32:
      append_numbers<std::uint32_t>(rows, column);
      break;
    case ColumnType::kInt64:
    case ColumnType::kUInt64:
      append_numbers<std::uint64_t>(rows, column);
      break;
    case ColumnType::kFloat32:
      append_floats<float>(rows, column);
      break;
    case ColumnType::kFloat64:
      append_floats<double>(rows, column);
      break;
    case ColumnType::kDate:
      append_dates(rows, column);
      break;
    case ColumnType::kDatetime:
      append_times(rows, column);
      break;
    case ColumnType::kBytes:
      append_padded(rows, stored.bytes, column);
      break;
    case ColumnType::kCategory:
      if (stored.bytes == 1) return append_codes<std::uint8_t, std::int16_t>(rows, column);
      if (stored.bytes == 2) return append_codes<std::uint16_t, std::int32_t>(rows, column);
      return append_codes<std::uint32_t, std::int32_t>(rows, column);
  }
  return -1;
}

// Categories are codes until the texts are known.
std::vector<Column> RecordTable::make_columns() const {
  std::vector<Column> columns;
  columns.reserve(fields().size());
  columns.emplace_back(fields().front());
  for (std::size_t i = 1; i < fields().size(); ++i) {
    const kv::Column& stored = schema_.columns()[i - 1];
    Field field = fields()[i];
    if (stored.type == ColumnType::kCategory) field.type = type_of(stored);
    columns.emplace_back(std::move(field));
  }
  return columns;
}

void RecordTable::append(const ScanPage& page, std::size_t first, std::size_t last, std::vector<Column>& columns) {
  for (std::size_t i = first; i < last; ++i) columns.front().append_bytes(page.key(page.items[i]));
  for (std::size_t i = 1; i < columns.size(); ++i) {
    const kv::Column& stored = schema_.columns()[i - 1];
    const std::int64_t highest = append_field({page, first, last, stored.offset}, stored, columns[i]);
    highest_codes_[i] = std::max(highest_codes_[i], highest);
  }
}

bool RecordTable::finish(const PartScan::State& state, std::vector<Column>& columns, ArrowArray* out) {
  if (!learn_texts(state, columns)) return false;
  TextsOfColumns texts = texts_;
  for (std::size_t i = 1; i < columns.size(); ++i) {
    if (is_category(columns[i].field().type) && !is_category(fields()[i].type)) {
      columns[i] = columns[i].decoded(*texts_[i], fields()[i]);
      texts[i] = nullptr;
    }
  }
  finish_batch(columns, texts, out);
  columns = make_columns();
  return true;
}

bool RecordTable::learn_texts(const PartScan::State& state, const std::vector<Column>& columns) {
  if (!texts_state_.same_contents(state)) texts_.assign(columns.size(), nullptr);
  texts_state_ = state;
  for (std::size_t i = 1; i < columns.size(); ++i) {
    if (!is_category(columns[i].field().type)) continue;
    if (columns[i].rows() == 0) {
      texts_[i] = std::make_shared<const Texts>(std::vector<std::string>(), fields()[i].name, false);
      continue;
    }
    if (texts_[i] && highest_codes_[i] < static_cast<std::int64_t>(texts_[i]->size())) continue;
    const auto known = collection().write_home([&](Transaction& txn, const CollectionRoot& root) {
      const bool same = state.same_contents({&root, root.serial, 0});
      return same ? std::optional(categories::texts(txn.part(), root, i - 1)) : std::nullopt;
    });
    highest_codes_[i] = known ? highest_codes_[i] : -1;
    if (!known) return false;
    texts_[i] = std::make_shared<const Texts>(*known, fields()[i].name, !is_binary(fields()[i].type));
  }
  return true;
}

}  // namespace

std::unique_ptr<Table> make_record_table(const RecordHash& records, const ArrowSchema* requested) {
  return std::make_unique<RecordTable>(records, requested);
}

}  // namespace kv::arrow
