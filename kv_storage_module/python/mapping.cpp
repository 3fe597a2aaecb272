#include "mapping.hpp"

namespace kv::py {
namespace {

Ref abstract_class(const char* name) {
  return attribute(checked(PyImport_ImportModule("_collections_abc")).get(), name);
}

bool is_mapping(PyObject* object) { return PyDict_Check(object) || is_instance_of_abc(object, "Mapping"); }

// True if `mapping` has the key of `item`, a (key, value) tuple, with an equal value.
bool has_item(PyObject* mapping, PyObject* item) {
  Ref value = Ref::steal(PyObject_GetItem(mapping, PyTuple_GET_ITEM(item, 0)));
  if (!value) {
    if (!PyErr_ExceptionMatches(PyExc_KeyError)) throw PythonError{};
    PyErr_Clear();
    return false;
  }
  const int equal = PyObject_RichCompareBool(value.get(), PyTuple_GET_ITEM(item, 1), Py_EQ);
  check(equal);
  return equal == 1;
}

Py_ssize_t size_of(PyObject* object) {
  const Py_ssize_t size = PyObject_Size(object);
  if (size < 0) throw PythonError{};
  return size;
}

bool has_equal_items(PyObject* self, PyObject* other) {
  if (size_of(self) != size_of(other)) return false;
  Ref items = checked(PyObject_CallMethod(self, "items", nullptr));
  Ref iterator = checked(PyObject_GetIter(items.get()));
  while (Ref item = Ref::steal(PyIter_Next(iterator.get()))) {
    if (!has_item(other, item.get())) return false;
  }
  if (PyErr_Occurred() != nullptr) throw PythonError{};
  return true;
}

}  // namespace

bool is_instance_of_abc(PyObject* object, const char* name) {
  const int answer = PyObject_IsInstance(object, abstract_class(name).get());
  check(answer);
  return answer == 1;
}

PyObject* compare_mappings(PyObject* self, PyObject* other, int operation) {
  if ((operation != Py_EQ && operation != Py_NE) || !is_mapping(other)) Py_RETURN_NOTIMPLEMENTED;
  return PyBool_FromLong(has_equal_items(self, other) == (operation == Py_EQ));
}

void adopt_set_operations(PyObject* type, const char* abstract_name, const char* registered) {
  Ref abstract = abstract_class(abstract_name);
  for (const char* name : {"__and__", "__rand__", "__or__", "__ror__", "__sub__", "__rsub__", "__xor__", "__rxor__",
                           "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "isdisjoint", "_from_iterable"}) {
    check(PyObject_SetAttrString(type, name, attribute(abstract.get(), name).get()));
  }
  register_abc(type, registered);
}

}  // namespace kv::py
