// Whole columns of a schema collection <-> NumPy arrays.
#pragma once

#include <Python.h>

#include <vector>

#include "bind.hpp"
#include "matches.hpp"

namespace kv::py {

// The dtype of the records as they lie in memory: category columns are their codes.
[[nodiscard]] Ref storage_dtype(const Schema& schema);

// One column of the matches as an array; `texts` decides whether a category column becomes texts or stays codes.
enum class Categories { kTexts, kCodes };
[[nodiscard]] Ref read_column(const Matches& matches, std::size_t column, Categories categories);
// All columns as a structured array.
[[nodiscard]] Ref read_columns(const Matches& matches);

// Stores records made of columns: row i under item i of the tuple `keys`; returns how many keys were new. `columns` is
// a mapping of name -> array, or a structured array, with at least the columns of the schema. Texts become codes;
// values that do not fit are refused, and nothing is stored then.
std::uint64_t put_columns(PyObject* collection, PyObject* keys, PyObject* columns, std::uint64_t ttl_ms = kNoTtl);

// Records in storage layout, end to end, as a dict of columns with texts for categories.
[[nodiscard]] Ref decode_columns(PyObject* collection, std::vector<char> records);

// RecordHash methods.
PyObject* records_column(PyObject* self, PyObject* name);
PyObject* records_codes(PyObject* self, PyObject* name);
PyObject* records_categories(PyObject* self, PyObject* name);
PyObject* records_to_numpy(PyObject* self, PyObject*);
PyObject* records_slabs(PyObject* self, PyObject*);

}  // namespace kv::py
