#include "args.hpp"

#include <cstring>

namespace kv::py {
namespace {

// Puts one keyword argument into its place.
bool place_keyword(const char* function, const char* const* names, std::size_t total, PyObject* name, PyObject* value,
                   PyObject** values) noexcept {
  for (std::size_t i = 0; i < total; ++i) {
    if (names[i][0] == '\0' || PyUnicode_CompareWithASCIIString(name, names[i]) != 0) continue;
    if (values[i] != nullptr) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", function, name);
      return false;
    }
    values[i] = value;
    return true;
  }
  PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function, name);
  return false;
}

bool place_positional(const char* function, std::size_t positional, PyObject* const* args, std::size_t count,
                      PyObject** values) noexcept {
  if (count > positional) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %zu positional argument%s but %zu were given", function,
                 positional, positional == 1 ? "" : "s", count);
    return false;
  }
  if (count != 0) std::memcpy(values, args, count * sizeof(PyObject*));
  return true;
}

bool check_required(const char* function, const char* const* names, std::size_t required,
                    PyObject* const* values) noexcept {
  for (std::size_t i = 0; i < required; ++i) {
    if (values[i] != nullptr) continue;
    if (names[i][0] == '\0') {
      PyErr_Format(PyExc_TypeError, "%s() takes at least %zu positional argument%s", function, required,
                   required == 1 ? "" : "s");
    } else {
      PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", function, names[i]);
    }
    return false;
  }
  return true;
}

}  // namespace

bool detail::parse_arguments(const char* function, const char* const* names, std::size_t total, std::size_t required,
                             std::size_t positional, PyObject* const* args, std::size_t count, PyObject* keywords,
                             PyObject** values) noexcept {
  for (std::size_t i = 0; i < total; ++i) values[i] = nullptr;
  if (!place_positional(function, positional, args, count, values)) return false;
  const Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t i = 0; i < keyword_count; ++i) {
    PyObject* name = PyTuple_GET_ITEM(keywords, i);
    if (!place_keyword(function, names, total, name, args[count + static_cast<std::size_t>(i)], values)) return false;
  }
  return check_required(function, names, required, values);
}

bool parse_tuple_arguments(const char* function, const char* const* names, std::size_t total, std::size_t required,
                           std::size_t positional, PyObject* args, PyObject* keywords, PyObject** values) noexcept {
  for (std::size_t i = 0; i < total; ++i) values[i] = nullptr;
  const auto count = static_cast<std::size_t>(PyTuple_GET_SIZE(args));
  PyObject* const* items = count == 0 ? nullptr : &PyTuple_GET_ITEM(args, 0);
  if (!place_positional(function, positional, items, count, values)) return false;
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t at = 0; keywords != nullptr && PyDict_Next(keywords, &at, &name, &value);) {
    if (!place_keyword(function, names, total, name, value, values)) return false;
  }
  return check_required(function, names, required, values);
}

}  // namespace kv::py
