// `python -m kv_storage`: functions of the module for it, and what makes a built-in module runnable.
#pragma once

#include <Python.h>

namespace kv::py {

PyObject* command_line(PyObject* module, PyObject*);
PyObject* pack_all(PyObject* module, PyObject* objects);
PyObject* unpack_all(PyObject* module, PyObject* bytes);

// Lets runpy find code of the module where it is built in, whether it has been imported or not: for each interpreter.
// -1 with Python's error set.
int make_runnable() noexcept;

}  // namespace kv::py
