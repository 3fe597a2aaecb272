// The schema= and types= arguments: column types in the spellings of the core, of Python and of NumPy.
#pragma once

#include <Python.h>

#include <string>

#include "bind.hpp"

namespace kv::py {

// A column type as the core spells it: "f4", float, numpy.float32, numpy.dtype("M8[D]"), str (= category) ...
[[nodiscard]] std::string type_spelling(ModuleState& state, PyObject* type);

// A mapping of column names to types, or a structured numpy.dtype.
[[nodiscard]] Schema schema_argument(ModuleState& state, PyObject* schema);

}  // namespace kv::py
