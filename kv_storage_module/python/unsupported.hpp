// What to tell a user whose value cannot be stored: which type it is, and what to convert it to.
#pragma once

#include <Python.h>

#include "bind.hpp"

namespace kv::py {

// Throws PythonError (KindError) unless `object` exports a buffer and is no subclass of a type with rules of its own.
void refuse_unless_exporter(ModuleState& state, PyObject* object);
[[noreturn]] void refuse_object_array(ModuleState& state);

}  // namespace kv::py
