// Ownership of Python objects in C++: Ref is to PyObject* what unique_ptr is to a pointer.
//
// Two styles meet here. Hot paths return nullptr with Python's error indicator set, as C code does. Everything else
// calls functions that throw PythonError instead; guard.hpp turns it back into nullptr at the boundary.
#pragma once

#include <Python.h>

#include <utility>

namespace kv::py {

// Thrown when Python's error indicator is already set: there is nothing more to say.
struct PythonError {};

class Ref {
 public:
  Ref() noexcept = default;
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    PyObject* old = std::exchange(object_, std::exchange(other.object_, nullptr));
    Py_XDECREF(old);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  // Takes over a new reference; nullptr is allowed and stays empty.
  [[nodiscard]] static Ref steal(PyObject* object) noexcept {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  [[nodiscard]] static Ref borrow(PyObject* object) noexcept {
    Py_XINCREF(object);
    return steal(object);
  }

  [[nodiscard]] PyObject* get() const noexcept { return object_; }
  [[nodiscard]] PyObject* release() noexcept { return std::exchange(object_, nullptr); }
  [[nodiscard]] explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// The new reference `object`, or PythonError if a C API call returned nullptr.
[[nodiscard]] inline Ref checked(PyObject* object) {
  if (object == nullptr) throw PythonError{};
  return Ref::steal(object);
}

inline void check(int status) {
  if (status < 0) throw PythonError{};
}

[[nodiscard]] inline Ref new_reference(PyObject* object) noexcept { return Ref::borrow(object); }

[[nodiscard]] inline Ref attribute(PyObject* object, const char* name) {
  return checked(PyObject_GetAttrString(object, name));
}

}  // namespace kv::py
