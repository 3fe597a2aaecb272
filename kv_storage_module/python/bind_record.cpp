// Record: what a schema collection gives for a key. A tuple with the columns as attributes, and as keys.
//
// Each set of column names has a class of its own below Record, made when it is first met, as namedtuple would make it.

#include "bind.hpp"
#include "record_codec.hpp"

namespace kv::py {
namespace {

Ref field_names(PyObject* self) { return attribute(reinterpret_cast<PyObject*>(Py_TYPE(self)), "_fields"); }

PyObject* as_dict(PyObject* self, PyObject*) {
  Ref names = field_names(self);
  Ref dict = checked(PyDict_New());
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    check(PyDict_SetItem(dict.get(), PyTuple_GET_ITEM(names.get(), i), PyTuple_GET_ITEM(self, i)));
  }
  return dict.release();
}

PyObject* subscript(PyObject* self, PyObject* key) {
  if (!PyUnicode_Check(key)) return PyTuple_Type.tp_as_mapping->mp_subscript(self, key);
  Ref names = field_names(self);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    if (PyUnicode_Compare(PyTuple_GET_ITEM(names.get(), i), key) == 0) return Py_NewRef(PyTuple_GET_ITEM(self, i));
  }
  PyErr_SetObject(PyExc_KeyError, key);
  return nullptr;
}

PyObject* represent(PyObject* self) {
  Ref names = field_names(self);
  Ref parts = checked(PyList_New(PyTuple_GET_SIZE(self)));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    Ref part = checked(PyUnicode_FromFormat("%U=%R", PyTuple_GET_ITEM(names.get(), i), PyTuple_GET_ITEM(self, i)));
    PyList_SET_ITEM(parts.get(), i, part.release());
  }
  Ref comma = checked(PyUnicode_FromString(", "));
  return PyUnicode_FromFormat("Record(%U)", checked(PyUnicode_Join(comma.get(), parts.get())).get());
}

PyObject* reduce(PyObject* self, PyObject*) {
  Ref make = attribute(checked(PyImport_ImportModule("kv_storage")).get(), "_record");
  Ref values = checked(PyTuple_GetSlice(self, 0, PyTuple_GET_SIZE(self)));
  return Py_BuildValue("N(NN)", make.release(), field_names(self).release(), values.release());
}

PyMethodDef methods[] = {
    {"asdict", method<as_dict>(), METH_NOARGS, "asdict($self, /)\n--\n\nA dict of the columns, in their order."},
    {"__reduce__", method<reduce>(), METH_NOARGS, "__reduce__($self, /)\n--\n\nFor pickle."},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A row of a collection with a schema: a tuple whose items are also attributes.\n\n"
                                  "    record.dep_delay, record['dep_delay'], record[3], record.asdict()")},
    {Py_tp_methods, methods},
    {Py_tp_repr, slot<represent>()},
    {Py_mp_subscript, slot<subscript>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Record", 0, 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

// The descriptor namedtuple uses for its fields.
Ref item_descriptor(PyObject* getter, Py_ssize_t index, PyObject* name) {
  Ref doc = checked(PyUnicode_FromFormat("Column %R.", name));
  return checked(PyObject_CallFunction(getter, "nO", index, doc.get()));
}

Ref make_class(ModuleState& state, PyObject* names) {
  Ref getter = attribute(checked(PyImport_ImportModule("_collections")).get(), "_tuplegetter");
  Ref members = checked(Py_BuildValue("{s:(),s:O,s:O,s:s}", "__slots__", "_fields", names, "__match_args__", names,
                                      "__module__", "kv_storage"));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    const int taken = PyDict_Contains(members.get(), name);
    check(taken);
    if (taken == 1 || PyUnicode_CompareWithASCIIString(name, "asdict") == 0) continue;  // reachable as record[name]
    check(PyDict_SetItem(members.get(), name, item_descriptor(getter.get(), i, name).get()));
  }
  return checked(PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type), "s(O)O", "Record",
                                       state.record_type.get(), members.get()));
}

}  // namespace

Ref record_class(ModuleState& state, PyObject* names) {
  PyObject* const classes = filled(state.record_classes, [] { return checked(PyDict_New()); });
  if (Ref known = find_item(classes, names)) return known;
  Ref made = make_class(state, names);
  // Making one imports, and another thread may have made the same class meanwhile: then that is it.
  PyObject* const first = PyDict_SetDefault(classes, names, made.get());
  if (first == nullptr) throw PythonError{};
  return new_reference(first);
}

void bind_record(PyObject* module, ModuleState& state) {
  state.record_type = add_type(module, spec, reinterpret_cast<PyObject*>(&PyTuple_Type));
}

}  // namespace kv::py
