// Python objects <-> the typed keys of Maps and Sets (kv_storage/ordered.hpp).
#pragma once

#include <Python.h>

#include "bind.hpp"
#include "text.hpp"

namespace kv::py {

// The encoded form of a key, as bytes. Throws PythonError: KindError for a type that is none of a key, ArgumentError
// (NaN), IntegerOverflowError.
[[nodiscard]] Ref encode_ordered_key(ModuleState& state, PyObject* key);
[[nodiscard]] Ref decode_ordered_key(ModuleState& state, ByteView key);

// A key of `collection`, of whatever kind that is.
[[nodiscard]] inline Ref collection_key(PyObject* collection, ByteView key) {
  if (is_ordered(collection)) return decode_ordered_key(state_of(collection), key);
  return checked(decode_key(key));
}

// The argument `key=` of Storage.map() and Storage.set(): a type, or None.
[[nodiscard]] KeyType key_type_argument(ModuleState& state, PyObject* type);

// The encoded key of an argument that is compared with the keys of the collection (rank, floor, range), whose type it
// must have. Throws PythonError: KindError.
[[nodiscard]] Ref comparable_key(PyObject* collection, PyObject* key);

// Keys of numbers or dates as a NumPy array. Throws PythonError: KindError for others.
[[nodiscard]] Ref ordered_keys_array(PyObject* collection, const KeyRange& range);
// Values that are all int or all float.
[[nodiscard]] Ref ordered_values_array(PyObject* collection, const KeyRange& range);

}  // namespace kv::py
