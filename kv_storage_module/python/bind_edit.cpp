// The context manager behind kv.edit(key): a writable copy of an array, stored again when the block ends well.

#include "array_codec.hpp"
#include "bind.hpp"
#include "text.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

struct Edit {
  Ref hash;
  Ref key;
  Ref array;  // between enter and exit
  bool expires = false;
};

PyObject* enter(PyObject* self, PyObject*) {
  const CriticalSection section(self);
  ModuleState& state = state_of(self);
  Edit& edit = fields<Edit>(self);
  KeyBytes key;
  if (!key.assign_in(edit.hash.get(), edit.key.get())) return nullptr;
  Ref value = read_value(edit.hash.get(), key.view());
  if (!value) {
    set_missing_key(state, edit.key.get());
    return nullptr;
  }
  if (!is_ndarray(value.get())) {
    fail(state, ErrorClass::kKind, "edit() is for arrays: the value of %R is of type %s", edit.key.get(),
         Py_TYPE(value.get())->tp_name);
  }
  Hash& hash = open_hash(edit.hash.get());
  const std::optional<TimeToLive> left = in_core([&] { return hash.time_to_live(key.view()); });
  edit.expires = left && left->expires;
  edit.array = checked(PyObject_CallMethod(value.get(), "copy", nullptr));
  return Py_NewRef(edit.array.get());
}

// A present key keeps its ttl; an absent one is made anew, unless it had a ttl and that was over first.
void publish(Edit& edit, PyObject* array) {
  ModuleState& state = state_of(edit.hash.get());
  KeyBytes key;
  if (!key.assign_in(edit.hash.get(), edit.key.get())) throw PythonError{};
  Hash& hash = open_hash(edit.hash.get());
  Scratch scratch;
  const Value value = encode_value(state, array, scratch);
  in_core([&] {
    if (!hash.replace(key.view(), value) && !edit.expires) hash.put(key.view(), value);
  });
}

PyObject* leave(PyObject* self, PyObject* args) {
  const CriticalSection section(self);
  Edit& edit = fields<Edit>(self);
  Ref array = std::move(edit.array);
  if (array && PyTuple_GET_SIZE(args) > 0 && PyTuple_GET_ITEM(args, 0) == Py_None) {
    publish(edit, array.get());
  }
  Py_RETURN_FALSE;
}

PyMethodDef methods[] = {
    {"__enter__", method<enter>(), METH_NOARGS, "__enter__($self, /)\n--\n\nA writable copy of the stored array."},
    {"__exit__", method<leave>(), METH_VARARGS,
     "__exit__($self, exc_type, exc, traceback, /)\n--\n\nStores the array, unless the block raised."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("The context manager that edit() returns.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate<Edit>)},
    {Py_tp_methods, methods},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Edit", sizeof(Instance<Edit>), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

Ref make_edit(PyObject* hash, PyObject* key) {
  ModuleState& state = state_of(hash);
  return make_instance(state, state.edit_type.get(), Edit{new_reference(hash), new_reference(key), Ref(), false});
}

void bind_edit(PyObject* module, ModuleState& state) { state.edit_type = make_type(module, spec); }

}  // namespace kv::py
