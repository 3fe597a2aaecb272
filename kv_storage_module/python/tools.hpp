// `python -m kv_storage`: functions of the module for it, and what makes a built-in module runnable.
#pragma once

#include <Python.h>

namespace kv::py {

PyObject* command_line(PyObject* module, PyObject*);
PyObject* main_code(PyObject* module, PyObject* name);
PyObject* pack_all(PyObject* module, PyObject* objects);
PyObject* unpack_all(PyObject* module, PyObject* bytes);

// Lets runpy find code in the module if it is built in.
void make_runnable(PyObject* module);

}  // namespace kv::py
