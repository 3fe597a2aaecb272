#include "arrow/list_source.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "arrow/value_column.hpp"
#include "kv_storage/error.hpp"

namespace kv::arrow {
namespace {

constexpr std::uint64_t kBatchBytes = 64 << 20;  // of the distinct values of a batch

[[nodiscard]] std::string what_of(std::uint64_t count) {
  return "a value that the list has at " + std::to_string(count) + (count == 1 ? " position" : " positions");
}

// The type of all values but None.
[[nodiscard]] Type values_type(const List& list) {
  ListValues values;
  list.read_values(values);
  std::optional<ValueType> type;
  for (const ListValues::Item& item : values.items) {
    if (!item.used || item.type == ValueType::kNone) continue;
    if (!type_of_value(item.type)) refuse_value(what_of(item.count), item.type);
    if (type.value_or(item.type) != item.type) {
      throw Error(ErrorCode::kTypeMismatch,
                  "the values of a column are of one type; " + what_of(item.count) + " is of another than the first");
    }
    type = item.type;
  }
  return type ? *type_of_value(*type) : Type::kNull;
}

[[nodiscard]] std::vector<Field> fields_of(const List& list) {
  const Type values = values_type(list);
  // A dictionary of nothing but nulls is of no use, and not everybody reads one.
  if (values == Type::kNull) return {{"value", Type::kNull, true}};
  return {{"value", Type::kCategory32, true, values}};
}

[[nodiscard]] bool convertible(const Field& from, Type to) noexcept {
  return is_category(from.type) && (to == from.values || value_convertible(from.values, to));
}

class ListSource final : public Source {
 public:
  ListSource(const List& list, const ArrowSchema* requested)
      : list_(list), fields_(as_requested(fields_of(list), requested, &convertible)) {}

  [[nodiscard]] const std::vector<Field>& fields() const noexcept override { return fields_; }
  bool next(ArrowArray* out) override;
  void rest(ArrowArray* out) override;

 private:
  void read(std::int64_t stop, std::uint64_t bytes);
  void finish(ArrowArray* out);

  List list_;
  std::vector<Field> fields_;
  std::int64_t next_ = 0;  // position
  ListItems items_;
};

void ListSource::read(std::int64_t stop, std::uint64_t bytes) {
  items_ = {};
  items_.codes.resize(
      std::min<std::uint64_t>(kBatchRows, list_.size()));  // with a bound, it reads what there is room for
  list_.read({.start = next_, .stop = stop}, items_, bytes);
}

bool ListSource::next(ArrowArray* out) {
  read(next_ + static_cast<std::int64_t>(kBatchRows), kBatchBytes);
  if (items_.codes.empty()) return false;
  finish(out);
  return true;
}

void ListSource::rest(ArrowArray* out) {
  read(std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::uint64_t>::max());
  finish(out);
}

void ListSource::finish(ArrowArray* out) {
  const auto rows = static_cast<std::int64_t>(items_.codes.size());
  const Field& field = fields_.front();
  Column column(field);
  if (is_category(field.type)) {
    // The codes of the list leave a place for None; those of Arrow do not, as a null has none.
    Column dictionary({"", field.values, false});
    std::vector<std::int32_t> places;
    for (const ListValues::Item& item : items_.values.items) {
      const bool is_value = item.type != ValueType::kNone;
      places.push_back(is_value ? static_cast<std::int32_t>(dictionary.rows()) : -1);
      if (is_value) {
        append_value(item.type, items_.values.bytes_of(item), dictionary, [&] { return what_of(item.count); });
      }
    }
    for (const std::uint32_t code : items_.codes) {
      if (const std::int32_t place = places[code]; place >= 0) {
        column.append_value(place);
      } else {
        column.append_null();
      }
    }
    finish_batch(column, &dictionary, out);
  } else {
    for (const std::uint32_t code : items_.codes) {
      const ListValues::Item& item = items_.values.items[code];
      append_value(item.type, items_.values.bytes_of(item), column, [&] { return what_of(item.count); });
    }
    finish_batch(column, nullptr, out);
  }
  next_ += rows;
}

}  // namespace

std::unique_ptr<Source> make_list_source(const List& list, const ArrowSchema* requested) {
  return std::make_unique<ListSource>(list, requested);
}

}  // namespace kv::arrow
