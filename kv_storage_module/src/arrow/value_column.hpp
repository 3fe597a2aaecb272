// Stored values of any type as a column: which type it has, and what does not fit.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "arrow/column.hpp"
#include "kv_storage/value.hpp"

namespace kv::arrow {

// None for values that no column holds.
[[nodiscard]] std::optional<Type> type_of_value(ValueType type) noexcept;
// Whether a column of values of the one type can be had as one of the other.
[[nodiscard]] bool value_convertible(Type from, Type to) noexcept;

// Throws Error{kTypeMismatch}: `what` (the value of ...) is of a type that no column holds.
[[noreturn]] void refuse_value(const std::string& what, ValueType type);

// Appends a value, kNone as null. Throws Error{kTypeMismatch} if it is of another type than the column, and what
// Column::append_bytes() throws; `what` says which value it is.
void append_value(ValueType type, ByteView value, Column& column, const std::function<std::string()>& what);

}  // namespace kv::arrow
