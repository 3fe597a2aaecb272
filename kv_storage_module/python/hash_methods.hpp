// The method functions of Hash that lie in other files than its type (bind_hash.cpp).
#pragma once

#include <Python.h>

#include <span>

namespace kv::py {

// bind_expiry.cpp; for every kind of Hash
PyObject* hash_expire(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* hash_persist(PyObject* self, PyObject* key);
PyObject* hash_ttl(PyObject* self, PyObject* key);

// bind_hash.cpp; they also work on a Map.
[[nodiscard]] std::span<const PyMethodDef> hash_methods() noexcept;
PyObject* hash_subscript(PyObject* self, PyObject* key);
int hash_assign_subscript(PyObject* self, PyObject* key, PyObject* value);

// bind_hash_many.cpp
PyObject* hash_put_many(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* hash_get_many(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* hash_update(PyObject* self, PyObject* args, PyObject* keywords);

}  // namespace kv::py
