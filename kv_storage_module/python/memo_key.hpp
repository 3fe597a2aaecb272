// What a memoized call is stored under.
#pragma once

#include <string>

#include "bind.hpp"

namespace kv::py {

// The arguments of a call in the encoding of values: equal calls have equal keys, others do not. Keyword arguments
// count in order of their names. Throws PythonError: KindError if one of them is no storable value.
[[nodiscard]] std::string arguments_key(ModuleState& state, PyObject* args, PyObject* kwargs);

// 16 random bytes as a new bytes object, or nullptr with the error set.
[[nodiscard]] PyObject* new_token() noexcept;

}  // namespace kv::py
