#include "text.hpp"

#include "ordered_codec.hpp"

namespace kv::py {

bool KeyBytes::encode(ModuleState& state, PyObject* key) noexcept {
  owner_ = Ref::steal(PyUnicode_AsEncodedString(key, "utf-8", "surrogateescape"));
  if (!owner_) {
    if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
      PyErr_Clear();
      PyErr_Format(error_class(state, ErrorClass::kArgument),
                   "the key %R holds a surrogate that stands for no byte: encode it yourself and pass bytes", key);
    }
    return false;
  }
  view_ = bytes_of(owner_.get());
  return true;
}

bool KeyBytes::assign_ordered(PyObject* collection, PyObject* key) {
  owner_ = encode_ordered_key(state_of(collection), key);
  view_ = bytes_of(owner_.get());
  return true;
}

bool KeyBytes::refuse(ModuleState& state, PyObject* key) noexcept {
  PyErr_Format(error_class(state, ErrorClass::kKind),
               "a key is str or bytes, not %s: use str(...), bytes(...) or Key(...)", Py_TYPE(key)->tp_name);
  return false;
}

std::string key_string(ModuleState& state, PyObject* key) {
  KeyBytes bytes;
  if (!bytes.assign(state, key)) throw PythonError{};
  return std::string(bytes.view());
}

std::string name_string(ModuleState& state, PyObject* name, const char* what) {
  if (!PyUnicode_Check(name)) fail(state, ErrorClass::kKind, "%s is a str, not %s", what, Py_TYPE(name)->tp_name);
  return key_string(state, name);
}

}  // namespace kv::py
