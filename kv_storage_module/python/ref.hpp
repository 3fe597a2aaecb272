// Ownership of Python objects in C++: Ref is to PyObject* what unique_ptr is to a pointer.
//
// Two styles meet here. Hot paths return nullptr with Python's error indicator set, as C code does. Everything else
// calls functions that throw PythonError instead; guard.hpp turns it back into nullptr at the boundary.
#pragma once

#include <Python.h>

#include <atomic>
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

  // For a slot that is filled when it is first needed, by whichever thread, and then stays so. Borrowed; nullptr:
  // empty.
  [[nodiscard]] PyObject* load() const noexcept {
    return std::atomic_ref(const_cast<PyObject*&>(object_)).load(std::memory_order_acquire);
  }
  // Fills it, unless another thread was first, whose object stays. What it holds now, borrowed.
  PyObject* fill(Ref made) noexcept {
    PyObject* there = nullptr;
    std::atomic_ref slot(object_);
    return slot.compare_exchange_strong(there, made.object_, std::memory_order_acq_rel) ? made.release() : there;
  }

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

// What `slot` holds, made by `make` if it is empty; borrowed.
template <class Make>
[[nodiscard]] PyObject* filled(Ref& slot, Make&& make) {
  PyObject* const there = slot.load();
  return there != nullptr ? there : slot.fill(std::forward<Make>(make)());
}

// The value under `key`; empty if there is none.
[[nodiscard]] inline Ref find_item(PyObject* dict, PyObject* key) {
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* found = nullptr;
  check(PyDict_GetItemRef(dict, key, &found));
  return Ref::steal(found);
#else
  Ref found = Ref::borrow(PyDict_GetItemWithError(dict, key));
  if (!found && PyErr_Occurred() != nullptr) throw PythonError{};
  return found;
#endif
}

[[nodiscard]] inline Ref attribute(PyObject* object, const char* name) {
  return checked(PyObject_GetAttrString(object, name));
}

// A reference that threads read and replace: without a GIL, reading one and counting it must be one step.
class SharedRef {
 public:
  SharedRef() noexcept = default;
  SharedRef(SharedRef&& other) noexcept : ref_(std::move(other.ref_)) {}  // before it is shared
  SharedRef& operator=(SharedRef&&) = delete;
  SharedRef(const SharedRef&) = delete;
  SharedRef& operator=(const SharedRef&) = delete;
  ~SharedRef() = default;

  [[nodiscard]] Ref get() const noexcept {
    lock();
    Ref copy = Ref::borrow(ref_.get());
    unlock();
    return copy;
  }
  void set(Ref ref) noexcept {
    lock();
    std::swap(ref_, ref);
    unlock();
  }

 private:
#ifdef Py_GIL_DISABLED
  void lock() const noexcept { PyMutex_Lock(&mutex_); }
  void unlock() const noexcept { PyMutex_Unlock(&mutex_); }
  mutable PyMutex mutex_ = {};
#else
  static void lock() noexcept {}
  static void unlock() noexcept {}
#endif
  Ref ref_;
};

// Without a GIL, the lock of `object` for as long as this lives; with one, nothing. Like the GIL, it is given up while
// a call into Python or the core waits, and had again afterwards.
class CriticalSection {
 public:
#ifdef Py_GIL_DISABLED
  explicit CriticalSection(PyObject* object) noexcept { PyCriticalSection_Begin(&section_, object); }
  ~CriticalSection() { PyCriticalSection_End(&section_); }
#else
  explicit CriticalSection(PyObject*) noexcept {}
  ~CriticalSection() = default;
#endif
  CriticalSection(const CriticalSection&) = delete;
  CriticalSection& operator=(const CriticalSection&) = delete;

 private:
#ifdef Py_GIL_DISABLED
  PyCriticalSection section_ = {};
#endif
};

}  // namespace kv::py
