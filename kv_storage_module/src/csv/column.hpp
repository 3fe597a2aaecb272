// The columns of a CSV file: what was asked for, what was found, and errors about one field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kv_storage/schema.hpp"

namespace kv::csv {

// What `types` says about a column.
enum class Request : std::uint8_t {
  kInfer,  // nothing
  kText,   // "text", "str": category or bytes, never a number
  kBytes,  // "bytes": as wide as the longest text
  kFixed,  // a type of Schema::parse_type
  kSkip,   // "skip": not stored; key template and filter see it as text
};

struct FileColumn {
  Column column;  // name; type and size as requested (kFixed), then as inferred
  Request request = Request::kInfer;
  bool stored = true;

  [[nodiscard]] bool is_category() const noexcept { return stored && column.type == ColumnType::kCategory; }
};

// One column per name. Throws Error{kInvalidArgument} for an unknown type, Error{kParse} located in `path` for a column
// that does not exist.
[[nodiscard]] std::vector<FileColumn> requested_columns(const std::vector<std::string>& names,
                                                        const std::map<std::string, std::string>& types,
                                                        const std::string& path);

// The index of the column `name`; throws Error{kParse} that begins with `where` and names the nearest.
[[nodiscard]] std::size_t find_column(std::span<const FileColumn> columns, std::string_view name,
                                      const std::string& where, std::uint64_t line, std::uint64_t position);

// What a field cannot be. Turned into an Error with its location by whoever knows the row.
struct FieldError {
  std::size_t field;  // index in the row
  std::string what;
};

// "expected float32, found 'abc' in column 'x'", with what the type holds, and `note` behind it.
[[nodiscard]] FieldError wrong_value(std::size_t field, const Column& column, ByteView found,
                                     std::string_view note = {});

}  // namespace kv::csv
