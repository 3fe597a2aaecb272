// The boundary between C++ and the interpreter: no C++ exception passes it.
//
//   {"put", method<hash_put>(), METH_FASTCALL | METH_KEYWORDS, doc}
//
// wraps `hash_put` so that kv::Error, PythonError and the rest become a Python exception and the C failure value.
#pragma once

#include <Python.h>

#include <type_traits>

namespace kv::py {

// Turns the C++ exception being handled into Python's (bind_errors.cpp). For use in a catch (...) block only.
void raise_current_exception() noexcept;

template <auto Function>
struct Guarded;

template <class Result, class... Args, Result (*Function)(Args...)>
struct Guarded<Function> {
  static Result call(Args... args) noexcept {
    try {
      return Function(args...);
    } catch (...) {
      raise_current_exception();
      if constexpr (std::is_pointer_v<Result>) {
        return nullptr;
      } else {
        return static_cast<Result>(-1);
      }
    }
  }
};

// For PyMethodDef::ml_meth, whose declared type is that of the plainest signature.
template <auto Function>
PyCFunction method() noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&Guarded<Function>::call));
}

// For PyType_Slot::pfunc.
template <auto Function>
void* slot() noexcept {
  return reinterpret_cast<void*>(&Guarded<Function>::call);
}

}  // namespace kv::py
