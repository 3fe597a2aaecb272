// The columns of an exported table: their Arrow types, as a schema, and as a consumer may ask for them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kv_storage/arrow.hpp"

namespace kv::arrow {

enum class Type : std::uint8_t {
  kNull,
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kFloat32,
  kFloat64,
  kDate,       // date32
  kTimestamp,  // in microseconds, without a zone
  kText,       // utf8
  kLargeText,  // with offsets of 64 bits
  kBinary,
  kLargeBinary,
  kCategory16,  // a dictionary, with codes of so many bits. Signed, since not every consumer takes others.
  kCategory32,
};

struct Field {
  std::string name;
  Type type;
  bool nullable;
  Type values = Type::kText;  // in the dictionary of a category
};

[[nodiscard]] bool is_text(Type type) noexcept;    // utf8, which has to be valid
[[nodiscard]] bool is_binary(Type type) noexcept;  // of variable size, but no text
[[nodiscard]] bool is_large(Type type) noexcept;
[[nodiscard]] bool is_category(Type type) noexcept;
[[nodiscard]] const char* format_of(Type type) noexcept;  // as the C data interface spells it

// The fields with the types that `requested` asks for, where `can_be` allows them. Throws Error{kInvalidArgument} if it
// has other columns. A null `requested` asks for nothing.
using Convertible = bool (*)(const Field& from, Type to);
[[nodiscard]] std::vector<Field> as_requested(std::vector<Field> fields, const ArrowSchema* requested,
                                              Convertible can_be);

// A struct of the fields, as a schema owned by `out`.
void export_fields(const std::vector<Field>& fields, ArrowSchema* out);

}  // namespace kv::arrow
