// The method functions of Hash that lie in other files than its type (bind_hash.cpp).
#pragma once

#include <Python.h>

namespace kv::py {

// bind_expiry.cpp; for every kind of Hash
PyObject* hash_expire(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* hash_persist(PyObject* self, PyObject* key);
PyObject* hash_ttl(PyObject* self, PyObject* key);

// bind_hash_many.cpp
PyObject* hash_put_many(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* hash_get_many(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* hash_update(PyObject* self, PyObject* args, PyObject* keywords);

}  // namespace kv::py
