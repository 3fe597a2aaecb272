#include "csv/record_writer.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

namespace kv::csv {
namespace {

constexpr std::size_t kQueueLength = 64;

template <class T>
void store(char* at, T value) noexcept {
  std::memcpy(at, &value, sizeof(T));
}

// Stores an integer read as `Wide` (int64 or uint64) as the narrower T; false = not one, or out of T's range.
template <class T, class Wide>
bool store_integer(ByteView text, bool (*parse)(ByteView, Wide&) noexcept, char* at) noexcept {
  Wide value = 0;
  if (!parse(text, value)) return false;
  if (value < Wide{std::numeric_limits<T>::min()} || value > Wide{std::numeric_limits<T>::max()}) return false;
  store(at, static_cast<T>(value));
  return true;
}

template <class T>
bool store_parsed(ByteView text, bool (*parse)(ByteView, T&) noexcept, char* at) noexcept {
  T value{};
  if (!parse(text, value)) return false;
  store(at, value);
  return true;
}

void store_code(const Dictionary& dictionary, ByteView text, std::uint64_t hash, char* at, std::uint32_t bytes) {
  const std::optional<std::uint32_t> code = dictionary.find(text, hash);
  // The first pass saw every text.
  if (!code) throw Error(ErrorCode::kParse, "csv: the file was changed while it was loaded; load it again");
  std::memcpy(at, &*code, bytes);  // little endian: the low bytes come first
}

bool store_bytes(std::size_t index, const Column& column, ByteView text, char* at) {
  if (text.size() > column.bytes) {
    throw wrong_value(index, column, text, ", which has " + std::to_string(text.size()) + " bytes");
  }
  std::memcpy(at, text.data(), text.size());
  std::memset(at + text.size(), 0, column.bytes - text.size());
  return true;
}

}  // namespace

RecordWriter::RecordWriter(const Schema& schema, const std::vector<FileColumn>& columns,
                           const std::vector<Dictionary>& dictionaries, const MissingTokens& missing)
    : missing_(missing) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!columns[i].stored) continue;
    targets_.push_back({.field = i, .column = schema.columns()[targets_.size()], .dictionary = &dictionaries[i]});
  }
}

void RecordWriter::write(std::span<const Field> fields, char* record, std::string& scratch, CodeQueue& queue) const {
  for (const Target& target : targets_) {
    const Field& field = fields[target.field];
    const ByteView text = field.text(scratch);
    char* const at = record + target.column.offset;
    if (missing_.contains(text)) {
      write_missing(target.field, target.column, text, at);
    } else if (target.column.type == ColumnType::kCategory) {
      write_code(target, field, text, at, queue);
    } else {
      write_value(target.field, target.column, text, at);
    }
  }
}

void RecordWriter::write_code(const Target& target, const Field& field, ByteView text, char* at, CodeQueue& queue) {
  const std::uint64_t hash = Dictionary::hash(text);
  if (field.escaped != 0) {  // the text lies in the scratch, which the next field overwrites
    return store_code(*target.dictionary, text, hash, at, target.column.bytes);
  }
  target.dictionary->prefetch_slot(hash);
  queue.items_.push_back(
      {.dictionary = target.dictionary, .text = text, .hash = hash, .at = at, .bytes = target.column.bytes});
  if (queue.items_.size() == kQueueLength) finish(queue);
}

void RecordWriter::finish(CodeQueue& queue) {
  for (const CodeQueue::Item& item : queue.items_) item.dictionary->prefetch_text(item.hash);
  for (const CodeQueue::Item& item : queue.items_) {
    store_code(*item.dictionary, item.text, item.hash, item.at, item.bytes);
  }
  queue.items_.clear();
}

void RecordWriter::write_value(std::size_t field, const Column& column, ByteView text, char* at) {
  const auto stored = [&]() -> bool {
    switch (column.type) {
      case ColumnType::kBool:
        return store_parsed<bool>(text, parse_bool, at);
      case ColumnType::kInt8:
        return store_integer<std::int8_t>(text, parse_int, at);
      case ColumnType::kInt16:
        return store_integer<std::int16_t>(text, parse_int, at);
      case ColumnType::kInt32:
        return store_integer<std::int32_t>(text, parse_int, at);
      case ColumnType::kInt64:
        return store_parsed<std::int64_t>(text, parse_int, at);
      case ColumnType::kUInt8:
        return store_integer<std::uint8_t>(text, parse_uint, at);
      case ColumnType::kUInt16:
        return store_integer<std::uint16_t>(text, parse_uint, at);
      case ColumnType::kUInt32:
        return store_integer<std::uint32_t>(text, parse_uint, at);
      case ColumnType::kUInt64:
        return store_parsed<std::uint64_t>(text, parse_uint, at);
      case ColumnType::kFloat32:
        return store_parsed<float>(text, parse_float, at);
      case ColumnType::kFloat64:
        return store_parsed<double>(text, parse_float, at);
      case ColumnType::kDate:
        return store_parsed<std::int64_t>(text, parse_date, at);
      case ColumnType::kDatetime:
        return store_parsed<std::int64_t>(text, parse_datetime, at);
      case ColumnType::kBytes:
        return store_bytes(field, column, text, at);
      case ColumnType::kCategory:
        break;  // write_code
    }
    return false;
  };
  if (!stored()) throw wrong_value(field, column, text);
}

void RecordWriter::write_missing(std::size_t field, const Column& column, ByteView text, char* at) {
  switch (column.type) {
    case ColumnType::kFloat32:
      return store(at, std::numeric_limits<float>::quiet_NaN());
    case ColumnType::kFloat64:
      return store(at, std::numeric_limits<double>::quiet_NaN());
    case ColumnType::kDate:
    case ColumnType::kDatetime:
      return store(at, kMissingTime);
    case ColumnType::kBytes:
      std::memset(at, 0, column.bytes);
      return;
    case ColumnType::kCategory:
      std::memset(at, 0xFF, column.bytes);
      return;
    default:
      throw FieldError{.field = field,
                       .what = "expected " + Schema::type_name(column) + ", found the missing value " + quoted(text) +
                               " in column '" + column.name +
                               "'; declare float64 or category, or leave such rows out with where = " + column.name +
                               " is not null"};
  }
}

}  // namespace kv::csv
