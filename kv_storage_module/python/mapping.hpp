// Being a Mapping: comparison by content, and the set operations of key and item views.
#pragma once

#include <Python.h>

#include "bind.hpp"

namespace kv::py {

// tp_richcompare of a mapping `self`: equal to any Mapping of the same keys with equal values.
PyObject* compare_mappings(PyObject* self, PyObject* other, int operation);

// Whether it is an instance of that class of collections.abc.
[[nodiscard]] bool is_instance_of_abc(PyObject* object, const char* name);

// Gives `type` the set operations of a class of collections.abc that make built-in sets (KeysView, ItemsView), and
// registers it as `registered`.
void adopt_set_operations(PyObject* type, const char* abstract_name, const char* registered);

}  // namespace kv::py
