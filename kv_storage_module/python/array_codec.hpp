// Arrays: anything that exports a PEP 3118 buffer <-> ValueType::kArray.
//
// A stored array is its elements in C order, then a descriptor:
//
//   u8 ndim | varint itemsize | ndim varints: shape | u8 n | n bytes: PEP 3118 format | NumPy descr, to the end
//   u16 size of all that
//
// The NumPy descr (as in .npy files) is there only where the format does not say everything: datetime64, structured
// dtypes. The format is enough for view() to work without NumPy. Stored: the layout is frozen.
#pragma once

#include <Python.h>

#include <array>
#include <string>

#include "bind.hpp"
#include "value_codec.hpp"

namespace kv::py {

inline constexpr int kMaxDimensions = 64;

struct ArrayDescriptor {
  ByteView elements;
  ByteView key;  // the bytes that determine the dtype: format and descr
  ByteView format;
  ByteView descr;
  Py_ssize_t itemsize = 0;
  int ndim = 0;
  std::array<Py_ssize_t, kMaxDimensions> shape;
};

// Takes a stored array apart. Throws PythonError: CorruptionError.
[[nodiscard]] ArrayDescriptor describe_array(ModuleState& state, ByteView stored);

// Refers to the buffer of `object`, or to a copy in C order, both held by `scratch`. Throws PythonError: KindError for
// objects that are no arrays (this is where encoding ends for every type nobody knows) or hold Python objects.
[[nodiscard]] Value encode_array(ModuleState& state, PyObject* object, Scratch& scratch);

// The rows of an array of two or more dimensions: row i is elements.substr(i * row_bytes, row_bytes) with `trailer`.
struct ArrayRows {
  ByteView elements;
  ByteView trailer;
  std::size_t count;
  std::size_t row_bytes;
  [[nodiscard]] Value row(std::size_t i) const noexcept {
    return {ValueType::kArray, elements.substr(i * row_bytes, row_bytes), trailer};
  }
};
[[nodiscard]] ArrayRows encode_rows(ModuleState& state, PyObject* array, Scratch& scratch);

// Read-only ndarrays; ImportError naming view() where NumPy cannot be imported.
[[nodiscard]] Ref copied_array(ModuleState& state, ByteView stored);
[[nodiscard]] Ref pinned_array(ModuleState& state, Pin pin);

[[nodiscard]] bool is_ndarray(PyObject* object) noexcept;  // exactly, without importing NumPy
[[nodiscard]] Ref numpy_module();                          // ImportError naming view()
// numpy.ndarray(shape, dtype, buffer)
[[nodiscard]] Ref make_ndarray(ModuleState& state, PyObject* shape, PyObject* dtype, PyObject* buffer);

}  // namespace kv::py
