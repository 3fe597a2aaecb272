// The schema of a collection of fixed-size records: named, typed columns at fixed offsets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kv_storage/bytes.hpp"

namespace kv {

// Stored in shared memory: the numbers are frozen. All little endian, aligned to their size within the record.
enum class ColumnType : std::uint8_t {
  kBool = 1,  // 1 byte                                             NumPy "?"
  kInt8 = 2,  // "i1"  (and so on)
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kUInt8 = 6,
  kUInt16 = 7,
  kUInt32 = 8,
  kUInt64 = 9,
  kFloat32 = 10,  // missing = NaN
  kFloat64 = 11,
  kDate = 12,      // int64 days since 1970-01-01, missing = INT64_MIN          NumPy "M8[D]"
  kDatetime = 13,  // int64 microseconds since 1970-01-01, missing = INT64_MIN  NumPy "M8[us]"
  kBytes = 14,     // `bytes` bytes, padded with NUL                            NumPy "S<n>"
  kCategory = 15,  // code into the column's dictionary of distinct texts; width 1, 2 or 4 bytes, unsigned;
                   // missing = all bits set                                    NumPy "u1" "u2" "u4"
};

struct Column {
  std::string name;
  ColumnType type = ColumnType::kInt64;
  std::uint32_t bytes = 8;   // size of the field
  std::uint32_t offset = 0;  // within the record; set by Schema's constructor

  // The code that stands for "missing", which is also how many texts the dictionary holds; 0 for other types.
  [[nodiscard]] std::uint64_t missing_category() const noexcept {
    return type == ColumnType::kCategory ? (std::uint64_t{1} << (8 * bytes)) - 1 : 0;
  }
};

// Immutable. Fields lie in the order given, each aligned to its size (kBytes to 1); the record is padded to 8 bytes.
class Schema {
 public:
  Schema() = default;
  // Throws Error{kInvalidArgument} for no columns, an empty or repeated name, a bad size, over 4,096 columns or 1 MiB.
  explicit Schema(std::vector<Column> columns);

  [[nodiscard]] const std::vector<Column>& columns() const noexcept { return columns_; }
  [[nodiscard]] std::uint32_t record_bytes() const noexcept { return record_bytes_; }
  [[nodiscard]] const Column* find(std::string_view name) const noexcept;  // nullptr if there is none
  [[nodiscard]] bool empty() const noexcept { return columns_.empty(); }

  // Compact, versioned encoding, kept in the catalog.
  [[nodiscard]] std::string encode() const;
  static Schema decode(ByteView bytes);

  // "f4", "float32", "i8", "int", "category", "S12", "bytes[12]", "date", "datetime", "bool" ... -> column type and
  // size. Throws Error{kInvalidArgument} naming the nearest accepted spelling.
  static Column parse_type(std::string name, std::string_view type);
  // The canonical spelling of a column's type: "float32", "category", "bytes[12]".
  static std::string type_name(const Column& column);

  friend bool operator==(const Schema&, const Schema&);  // of names, types, sizes; but not of the width of categories

 private:
  std::vector<Column> columns_;
  std::uint32_t record_bytes_ = 0;
};

}  // namespace kv
