// The method functions of Collection that Set has, too (bind_collection.cpp).
#pragma once

#include <Python.h>

#include "text.hpp"

namespace kv::py {

// Fills `bytes` with the encoded key; false if it can be no key of a Map or Set at all: then it is not there, as with a
// dict or set. Throws PythonError only if it cannot be hashed.
[[nodiscard]] bool collection_could_have(PyObject* self, PyObject* key, KeyBytes& bytes);
Py_ssize_t collection_length(PyObject* self);
int collection_contains(PyObject* self, PyObject* key);
PyObject* collection_iterate(PyObject* self);
PyObject* collection_iterate_reversed(PyObject* self, PyObject*);
PyObject* collection_clear(PyObject* self, PyObject*);
PyObject* collection_find(PyObject* self, PyObject* pattern);
PyObject* collection_prefix(PyObject* self, PyObject* text);
PyObject* collection_range(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* collection_reduce(PyObject* self, PyObject*);
PyObject* collection_represent(PyObject* self);
PyObject* collection_name(PyObject* self, void*);

}  // namespace kv::py
