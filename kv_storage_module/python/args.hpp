// Arguments of METH_FASTCALL | METH_KEYWORDS methods: a signature is data, parsing is one loop, and a call with
// positional arguments only costs one comparison.
#pragma once

#include <Python.h>

#include <cstddef>

namespace kv::py {

template <std::size_t N>
struct Signature {
  const char* function = nullptr;
  const char* names[N] = {};  // in order; a positional-only parameter has the name ""
  std::size_t required = 0;
  std::size_t positional = N;  // how many may be given by position

  // Fills `values` (nullptr = not given); false with TypeError set if the call does not fit.
  bool parse(PyObject* const* args, Py_ssize_t count, PyObject* keywords, PyObject* (&values)[N]) const noexcept;
};

namespace detail {
bool parse_arguments(const char* function, const char* const* names, std::size_t total, std::size_t required,
                     std::size_t positional, PyObject* const* args, std::size_t count, PyObject* keywords,
                     PyObject** values) noexcept;
}  // namespace detail

template <std::size_t N>
bool Signature<N>::parse(PyObject* const* args, Py_ssize_t count, PyObject* keywords,
                         PyObject* (&values)[N]) const noexcept {
  const auto given = static_cast<std::size_t>(count);
  if (keywords == nullptr && given >= required && given <= positional) [[likely]] {
    for (std::size_t i = 0; i < N; ++i) values[i] = i < given ? args[i] : nullptr;
    return true;
  }
  return detail::parse_arguments(function, names, N, required, positional, args, given, keywords, values);
}

// The same for tp_new, whose arguments come as tuple and dict.
bool parse_tuple_arguments(const char* function, const char* const* names, std::size_t total, std::size_t required,
                           std::size_t positional, PyObject* args, PyObject* keywords, PyObject** values) noexcept;

}  // namespace kv::py
