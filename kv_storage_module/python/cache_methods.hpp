// What bind_cache.cpp lends to Storage and to the module.
#pragma once

#include "bind.hpp"

namespace kv::py {

extern const char kCacheDoc[];
PyObject* storage_cache(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
// What a pickled Cache calls: _open_cache(address, name, ttl_ms).
PyObject* reopen_cache(PyObject* module, PyObject* const* args, Py_ssize_t count);

}  // namespace kv::py
