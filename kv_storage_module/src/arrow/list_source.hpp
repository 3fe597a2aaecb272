// Lists: one column `value`, dictionary-encoded as the list itself is.
#pragma once

#include <memory>

#include "arrow/source.hpp"
#include "kv_storage/list.hpp"

namespace kv::arrow {

// Throws Error{kTypeMismatch} if the values are not of one type that a column holds.
[[nodiscard]] std::unique_ptr<Source> make_list_source(const List& list, const ArrowSchema* requested);

}  // namespace kv::arrow
