// Python objects <-> values of the core. The table of types is in docs/api.md; exact types only, so that what comes
// back is of the type that went in.
#pragma once

#include <Python.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "bind.hpp"
#include "text.hpp"

namespace kv::py {

// Memory for encoding values: small ones fit the object itself (made on the stack), so that putting bytes, text or
// numbers allocates nothing. What it hands out is valid until reset().
class Scratch {
 public:
  Scratch() noexcept = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { reset(); }

  [[nodiscard]] char* allocate(std::size_t bytes) {
    if (bytes <= left_) {
      char* at = next_;
      next_ += bytes;
      left_ -= bytes;
      return at;
    }
    return allocate_more(bytes);
  }
  [[nodiscard]] ByteView copy(ByteView bytes) {
    char* at = allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    return {at, bytes.size()};
  }
  template <class Number>
  [[nodiscard]] ByteView copy_number(Number number) {
    return copy({reinterpret_cast<const char*>(&number), sizeof number});
  }

  // Keeps an object, or the export of a buffer, until reset().
  void keep(Ref object) { kept_.push_back(std::move(object)); }
  [[nodiscard]] Py_buffer* try_buffer(PyObject* exporter, int flags);   // nullptr with the error set
  [[nodiscard]] Py_buffer& keep_buffer(PyObject* exporter, int flags);  // throws PythonError
  void reset() noexcept;

 private:
  char* allocate_more(std::size_t bytes);

  alignas(8) char inline_[64];
  char* next_ = inline_;
  std::size_t left_ = sizeof inline_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::vector<Ref> kept_;
  std::vector<std::unique_ptr<Py_buffer>> buffers_;
};

// The value of `object`; it refers to `object` and to `scratch`. Throws PythonError: KindError for a type that cannot
// be stored, naming what to convert it to.
[[nodiscard]] Value encode_slowly(ModuleState& state, PyObject* object, Scratch& scratch);

[[nodiscard]] inline Value encode_value(ModuleState& state, PyObject* object, Scratch& scratch) {
  if (PyBytes_CheckExact(object)) return {ValueType::kBytes, bytes_of(object)};
  if (PyUnicode_CheckExact(object)) {
    if (const ByteView ascii = ascii_bytes(object); ascii.data() != nullptr) return {ValueType::kText, ascii};
  } else if (PyLong_CheckExact(object)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) return {ValueType::kInt, scratch.copy_number(static_cast<std::int64_t>(number))};
  } else if (PyFloat_CheckExact(object)) {
    return {ValueType::kFloat, scratch.copy_number(PyFloat_AS_DOUBLE(object))};
  }
  return encode_slowly(state, object, scratch);
}

// A new reference, or nullptr with the error set. `bytes` are copied.
[[nodiscard]] PyObject* decode_copied(ModuleState& state, ValueType type, ByteView bytes);
// The same from what a read returned; large arrays become views that keep the pin.
[[nodiscard]] PyObject* decode_read(ModuleState& state, ValueBuffer& buffer);

}  // namespace kv::py
