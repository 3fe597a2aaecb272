// The functions of the module itself, and MISSING.

#include "cache_methods.hpp"
#include "module_state.hpp"
#include "record_codec.hpp"
#include "text.hpp"
#include "tools.hpp"

namespace kv::py {

PyObject* reopen(PyObject* module, PyObject* const* args, Py_ssize_t count);  // bind_store.cpp

namespace {

// As glob.escape(): a wildcard in brackets stands for itself. A closing bracket does so without.
PyObject* escape(PyObject* module, PyObject* text) {
  const std::string plain = key_string(state_of_module(module), text);
  std::string escaped;
  for (const char c : plain) {
    if (c == '*' || c == '?' || c == '[') {
      escaped.append({'[', c, ']'});
    } else {
      escaped.push_back(c);
    }
  }
  return decode_key(escaped);
}

PyObject* make_record(PyObject* module, PyObject* const* args, Py_ssize_t count) {
  if (count != 2 || !PyTuple_Check(args[0]) || !PyTuple_Check(args[1]) ||
      PyTuple_GET_SIZE(args[0]) != PyTuple_GET_SIZE(args[1])) {
    PyErr_SetString(PyExc_TypeError, "_record() takes a tuple of names and one of values");
    return nullptr;
  }
  Ref type = record_class(state_of_module(module), args[0]);
  auto* python_type = reinterpret_cast<PyTypeObject*>(type.get());
  const Py_ssize_t size = PyTuple_GET_SIZE(args[1]);
  Ref record = checked(python_type->tp_alloc(python_type, size));
  for (Py_ssize_t i = 0; i < size; ++i) PyTuple_SET_ITEM(record.get(), i, Py_NewRef(PyTuple_GET_ITEM(args[1], i)));
  return record.release();
}

PyObject* represent_missing(PyObject*) { return PyUnicode_FromString("MISSING"); }
PyObject* reduce_missing(PyObject*, PyObject*) { return PyUnicode_FromString("MISSING"); }
int missing_is_true(PyObject*) { return 0; }

PyMethodDef missing_methods[] = {
    {"__reduce__", method<reduce_missing>(), METH_NOARGS, "__reduce__($self, /)\n--\n\nPickles as a name."},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot missing_slots[] = {
    {Py_tp_doc, const_cast<char*>("The type of MISSING, which stands for an absent key.")},
    {Py_tp_methods, missing_methods},
    {Py_tp_repr, slot<represent_missing>()},
    {Py_nb_bool, slot<missing_is_true>()},
    {0, nullptr},
};
PyType_Spec missing_spec = {"kv_storage.MissingType", sizeof(PyObject), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, missing_slots};

}  // namespace

PyMethodDef module_functions[] = {
    {"escape", method<escape>(), METH_O,
     "escape($module, text, /)\n--\n\n"
     "`text` as a pattern that matches only itself: for text from elsewhere within a pattern of find()."},
    {"_open", method<reopen>(), METH_FASTCALL, "_open($module, address, name, /)\n--\n\nWhat a pickled handle calls."},
    {"_open_cache", method<reopen_cache>(), METH_FASTCALL,
     "_open_cache($module, address, name, ttl_ms, /)\n--\n\nWhat a pickled Cache calls."},
    {"_record", method<make_record>(), METH_FASTCALL,
     "_record($module, names, values, /)\n--\n\nWhat a pickled Record calls."},
    {"_command_line", method<command_line>(), METH_NOARGS,
     "_command_line($module, /)\n--\n\nThe main function of `-m kv_storage`."},
    {"_pack_all", method<pack_all>(), METH_O,
     "_pack_all($module, objects, /)\n--\n\nStorable objects as MessagePack, end to end."},
    {"_unpack_all", method<unpack_all>(), METH_O,
     "_unpack_all($module, bytes, /)\n--\n\nThe objects that _pack_all() packed, as a list."},
    {nullptr, nullptr, 0, nullptr},
};

void bind_functions(PyObject* module, ModuleState& state) {
  Ref type = add_type(module, missing_spec);
  auto* python_type = reinterpret_cast<PyTypeObject*>(type.get());
  state.missing = checked(python_type->tp_alloc(python_type, 0));
  check(PyModule_AddObjectRef(module, "MISSING", state.missing.get()));
}

}  // namespace kv::py
