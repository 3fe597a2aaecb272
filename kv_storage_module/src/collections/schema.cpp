// Schema: layout of fixed-size records, its stored encoding, and the spellings of column types.
//
// Encoding, version 1, little endian:
//   schema := version:u8  columns:u16  column*
//   column := type:u8  bytes:u32  name_size:u16  name
// Offsets are not stored: they follow from order and sizes.
#include "kv_storage/schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_set>
#include <utility>

#include "kv_storage/error.hpp"
#include "kv_storage/nearest.hpp"

namespace kv {
namespace {

constexpr std::size_t kMaxColumns = 4'096;
constexpr std::uint64_t kMaxRecordBytes = 1U << 20U;
constexpr std::size_t kMaxNameBytes = 65'535;
constexpr std::uint32_t kMaxBytesColumn = 65'535;
constexpr std::uint64_t kRecordAlignment = 8;
constexpr std::uint32_t kDefaultCategoryBytes = 4;  // cannot run out of codes; a CSV load chooses the width that fits
constexpr char kEncodingVersion = 1;

struct Spelling {
  std::string_view text;
  ColumnType type;
};

// The first spelling of each type is the canonical one.
constexpr std::array kSpellings = {
    Spelling{"bool", ColumnType::kBool},
    Spelling{"int8", ColumnType::kInt8},
    Spelling{"int16", ColumnType::kInt16},
    Spelling{"int32", ColumnType::kInt32},
    Spelling{"int64", ColumnType::kInt64},
    Spelling{"uint8", ColumnType::kUInt8},
    Spelling{"uint16", ColumnType::kUInt16},
    Spelling{"uint32", ColumnType::kUInt32},
    Spelling{"uint64", ColumnType::kUInt64},
    Spelling{"float32", ColumnType::kFloat32},
    Spelling{"float64", ColumnType::kFloat64},
    Spelling{"date", ColumnType::kDate},
    Spelling{"datetime", ColumnType::kDatetime},
    Spelling{"category", ColumnType::kCategory},
    Spelling{"int", ColumnType::kInt64},
    Spelling{"uint", ColumnType::kUInt64},
    Spelling{"float", ColumnType::kFloat64},
    Spelling{"double", ColumnType::kFloat64},
    Spelling{"boolean", ColumnType::kBool},
    Spelling{"?", ColumnType::kBool},
    Spelling{"b1", ColumnType::kBool},
    Spelling{"i1", ColumnType::kInt8},
    Spelling{"i2", ColumnType::kInt16},
    Spelling{"i4", ColumnType::kInt32},
    Spelling{"i8", ColumnType::kInt64},
    Spelling{"u1", ColumnType::kUInt8},
    Spelling{"u2", ColumnType::kUInt16},
    Spelling{"u4", ColumnType::kUInt32},
    Spelling{"u8", ColumnType::kUInt64},
    Spelling{"f4", ColumnType::kFloat32},
    Spelling{"f8", ColumnType::kFloat64},
    Spelling{"M8[D]", ColumnType::kDate},
    Spelling{"M8[us]", ColumnType::kDatetime},
    Spelling{"datetime64[D]", ColumnType::kDate},
    Spelling{"datetime64[us]", ColumnType::kDatetime},
};

// The size a field of this type must have; 0 = more than one is possible (or the type is unknown).
std::uint32_t fixed_bytes(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::kBool:
    case ColumnType::kInt8:
    case ColumnType::kUInt8:
      return 1;
    case ColumnType::kInt16:
    case ColumnType::kUInt16:
      return 2;
    case ColumnType::kInt32:
    case ColumnType::kUInt32:
    case ColumnType::kFloat32:
      return 4;
    case ColumnType::kInt64:
    case ColumnType::kUInt64:
    case ColumnType::kFloat64:
    case ColumnType::kDate:
    case ColumnType::kDatetime:
      return 8;
    case ColumnType::kBytes:
    case ColumnType::kCategory:
      return 0;
  }
  return 0;
}

bool valid_size(const Column& column) noexcept {
  if (column.type == ColumnType::kBytes) return column.bytes >= 1 && column.bytes <= kMaxBytesColumn;
  if (column.type == ColumnType::kCategory) return column.bytes == 1 || column.bytes == 2 || column.bytes == 4;
  return fixed_bytes(column.type) != 0 && column.bytes == fixed_bytes(column.type);
}

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) noexcept {
  return (value + alignment - 1) / alignment * alignment;
}

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::kInvalidArgument, "schema: " + what); }

// N of "S<N>" or "bytes[N]"; nullopt if `type` is not of that form.
std::optional<std::uint32_t> bytes_size(std::string_view type) noexcept {
  if (type.starts_with("bytes[") && type.ends_with(']')) {
    type = type.substr(6, type.size() - 7);
  } else if (type.starts_with('S')) {
    type.remove_prefix(1);
  } else {
    return std::nullopt;
  }
  std::uint32_t size = 0;
  const auto [end, error] = std::from_chars(type.data(), type.data() + type.size(), size);
  if (error == std::errc::result_out_of_range) return std::numeric_limits<std::uint32_t>::max();
  if (error != std::errc() || end != type.data() + type.size()) return std::nullopt;
  return size;
}

[[noreturn]] void refuse_type(const std::string& name, std::string_view type) {
  std::array<std::string_view, kSpellings.size() + 1> accepted;
  std::transform(kSpellings.begin(), kSpellings.end(), accepted.begin(), [](const Spelling& s) { return s.text; });
  accepted.back() = "bytes[N]";
  refuse("column '" + name + "' has the unknown type '" + std::string(type) + "'" +
         suggestion(type, accepted, "accepted types"));
}

template <class T>
void append_number(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

[[noreturn]] void refuse_encoding(const char* why) {
  throw Error(ErrorCode::kCorrupt, std::string("stored schema: ") + why);
}

std::string_view take(std::string_view& bytes, std::size_t count) {
  if (bytes.size() < count) refuse_encoding("it ends too early");
  const std::string_view taken = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return taken;
}

template <class T>
T take_number(std::string_view& bytes) {
  T value;
  std::memcpy(&value, take(bytes, sizeof(T)).data(), sizeof(T));
  return value;
}

}  // namespace

Schema::Schema(std::vector<Column> columns) : columns_(std::move(columns)) {
  if (columns_.empty()) refuse("there must be at least one column");
  if (columns_.size() > kMaxColumns) {
    refuse(std::to_string(columns_.size()) + " columns; at most " + std::to_string(kMaxColumns) + " are possible");
  }
  std::unordered_set<std::string_view> names;
  std::uint64_t end = 0;
  for (Column& column : columns_) {
    if (column.name.empty()) refuse("a column has an empty name");
    if (column.name.size() > kMaxNameBytes) refuse("a column name is longer than 65,535 bytes");
    if (!names.insert(column.name).second) refuse("two columns are named '" + column.name + "'");
    if (!valid_size(column)) {
      refuse("column '" + column.name + "' cannot be " + std::to_string(column.bytes) + " bytes wide");
    }
    const std::uint64_t offset = align_up(end, column.type == ColumnType::kBytes ? 1 : column.bytes);
    end = offset + column.bytes;
    if (end > kMaxRecordBytes) refuse("a record is larger than 1 MiB at column '" + column.name + "'");
    column.offset = static_cast<std::uint32_t>(offset);
  }
  record_bytes_ = static_cast<std::uint32_t>(align_up(end, kRecordAlignment));
}

const Column* Schema::find(std::string_view name) const noexcept {
  const auto at = std::find_if(columns_.begin(), columns_.end(), [&](const Column& c) { return c.name == name; });
  return at == columns_.end() ? nullptr : &*at;
}

std::string Schema::encode() const {
  std::string out(1, kEncodingVersion);
  append_number(out, static_cast<std::uint16_t>(columns_.size()));
  for (const Column& column : columns_) {
    out += static_cast<char>(column.type);
    append_number(out, column.bytes);
    append_number(out, static_cast<std::uint16_t>(column.name.size()));
    out += column.name;
  }
  return out;
}

Schema Schema::decode(ByteView bytes) {
  if (take(bytes, 1)[0] != kEncodingVersion) refuse_encoding("unknown version");
  std::vector<Column> columns(take_number<std::uint16_t>(bytes));
  for (Column& column : columns) {
    column.type = static_cast<ColumnType>(take_number<std::uint8_t>(bytes));
    column.bytes = take_number<std::uint32_t>(bytes);
    column.name = take(bytes, take_number<std::uint16_t>(bytes));
  }
  if (!bytes.empty()) refuse_encoding("bytes left over");
  if (columns.empty()) return {};
  try {
    return Schema(std::move(columns));
  } catch (const Error& error) {
    refuse_encoding(error.what());
  }
}

Column Schema::parse_type(std::string name, std::string_view type) {
  const std::string_view given = type;
  // NumPy writes the byte order first; ours is little endian.
  if (type.starts_with('<') || type.starts_with('=') || type.starts_with('|')) type.remove_prefix(1);
  for (const Spelling& spelling : kSpellings) {
    if (spelling.text != type) continue;
    const std::uint32_t bytes =
        spelling.type == ColumnType::kCategory ? kDefaultCategoryBytes : fixed_bytes(spelling.type);
    return {.name = std::move(name), .type = spelling.type, .bytes = bytes};
  }
  const std::optional<std::uint32_t> size = bytes_size(type);
  if (!size) refuse_type(name, given);
  Column column{.name = std::move(name), .type = ColumnType::kBytes, .bytes = *size};
  if (!valid_size(column)) {
    refuse("column '" + column.name + "' has type '" + std::string(given) + "'; its size must be 1 to 65,535");
  }
  return column;
}

std::string Schema::type_name(const Column& column) {
  if (column.type == ColumnType::kBytes) return "bytes[" + std::to_string(column.bytes) + "]";
  const auto* at =
      std::find_if(kSpellings.begin(), kSpellings.end(), [&](const Spelling& s) { return s.type == column.type; });
  return at == kSpellings.end() ? "unknown" : std::string(at->text);
}

bool operator==(const Schema& a, const Schema& b) {
  const auto same = [](const Column& x, const Column& y) {
    return x.name == y.name && x.type == y.type && (x.bytes == y.bytes || x.type == ColumnType::kCategory);
  };
  return std::equal(a.columns_.begin(), a.columns_.end(), b.columns_.begin(), b.columns_.end(), same);
}

}  // namespace kv
