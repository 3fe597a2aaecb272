// Set against other sets and iterables: operators, methods that take many members, comparison (set_algebra.cpp).
//
// What can be no member of the Set at all (another type than its members', NaN) is not in it, as with `in`; what cannot
// be hashed is a TypeError, as with a built-in set. Results are built-in sets; what changes the Set does so in steps.
#pragma once

#include <Python.h>

#include <span>

namespace kv::py {

PyObject* set_unite(PyObject* self, PyObject* other);                 // |=
PyObject* set_intersect(PyObject* self, PyObject* other);             // &=
PyObject* set_subtract(PyObject* self, PyObject* other);              // -=
PyObject* set_symmetric_difference(PyObject* self, PyObject* other);  // ^=

// Either side may be the Set.
PyObject* set_or(PyObject* left, PyObject* right);
PyObject* set_and(PyObject* left, PyObject* right);
PyObject* set_minus(PyObject* left, PyObject* right);
PyObject* set_xor(PyObject* left, PyObject* right);

PyObject* set_compare(PyObject* self, PyObject* other, int operation);

[[nodiscard]] std::span<const PyMethodDef> set_algebra_methods() noexcept;

}  // namespace kv::py
