// Storage.load_csv (bind_csv.cpp) and its transform (csv_transform.cpp).
#pragma once

#include <Python.h>

#include <memory>

#include "bind.hpp"

namespace kv::py {

extern const char kLoadCsvDoc[];
PyObject* storage_load_csv(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);

// Loads as `options` say, passes the rows in batches through the callable `transform`, and puts what it returns in the
// place of collection options.into. `storage` is the Python object, for its handle.
[[nodiscard]] CsvReport load_transformed(PyObject* storage, CsvOptions options, const CsvProgress& progress,
                                         PyObject* transform);

}  // namespace kv::py
