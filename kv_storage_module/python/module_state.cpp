#include "module_state.hpp"

namespace kv::py {
namespace {

constexpr const char* kInterpreterKey = "kv_storage";

ModuleState*& state_pointer(PyObject* module) noexcept {
  return *static_cast<ModuleState**>(PyModule_GetState(module));
}

struct Published {
  Ref module;
  ModuleState* state = nullptr;
};

Ref dereference(PyObject* weak) noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* object = nullptr;
  if (PyWeakref_GetRef(weak, &object) < 0) PyErr_Clear();
  return Ref::steal(object);
#else
  PyObject* object = PyWeakref_GetObject(weak);
  return object == nullptr || object == Py_None ? Ref() : Ref::borrow(object);
#endif
}

// The module of this interpreter and its state, if there is one that lives.
Published published() noexcept {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (dict == nullptr) return {};
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* item = nullptr;
  if (PyDict_GetItemStringRef(dict, kInterpreterKey, &item) < 0) PyErr_Clear();
  const Ref entry = Ref::steal(item);
#else
  const Ref entry = Ref::borrow(PyDict_GetItemString(dict, kInterpreterKey));
#endif
  if (!entry) return {};
  Published found;
  found.module = dereference(PyTuple_GET_ITEM(entry.get(), 0));
  if (found.module) {
    found.state = static_cast<ModuleState*>(PyCapsule_GetPointer(PyTuple_GET_ITEM(entry.get(), 1), nullptr));
  }
  return found;
}

}  // namespace

PyObject* create_module(PyObject* spec, PyModuleDef*) {
  if (Published found = published(); found.module) return found.module.release();
  return checked(PyModule_NewObject(attribute(spec, "name").get())).release();
}

bool adopt_state(PyObject* module) {
  Published found = published();
  if (found.module.get() != module) return false;
  state_pointer(module) = found.state;
  return true;
}

ModuleState& create_state(PyObject* module) { return *(state_pointer(module) = new ModuleState); }

void publish_state(PyObject* module) {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (dict == nullptr) throw PythonError{};
  Ref weak = checked(PyWeakref_NewRef(module, nullptr));
  Ref state = checked(PyCapsule_New(state_pointer(module), nullptr, nullptr));
  Ref entry = checked(PyTuple_Pack(2, weak.get(), state.get()));
  check(PyDict_SetItemString(dict, kInterpreterKey, entry.get()));
}

int traverse_state(PyObject* module, visitproc visit, void* argument) {
  ModuleState* state = state_pointer(module);
  if (state == nullptr) return 0;
  return state->each([&](Ref& ref) { return ref ? visit(ref.get(), argument) : 0; });
}

void free_state(void* module) {
  auto* object = static_cast<PyObject*>(module);
  if (PyModule_GetState(object) == nullptr) return;
  delete std::exchange(state_pointer(object), nullptr);
}

ModuleState& state_of_module(PyObject* module) {
  auto** pointer = static_cast<ModuleState**>(PyModule_GetState(module));
  if (pointer == nullptr || *pointer == nullptr) {
    PyErr_SetString(PyExc_ImportError, "kv_storage is being imported by another thread");
    throw PythonError{};
  }
  return **pointer;
}

ModuleState& state_of_type(PyTypeObject* type) noexcept { return *state_pointer(PyType_GetModule(type)); }

ModuleState* current_state() noexcept { return published().state; }

Ref make_type(PyObject* module, PyType_Spec& spec, PyObject* base) {
  return checked(PyType_FromModuleAndSpec(module, &spec, base));
}

Ref add_type(PyObject* module, PyType_Spec& spec, PyObject* base) {
  Ref type = make_type(module, spec, base);
  check(PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type.get())));
  return type;
}

void register_abc(PyObject* type, const char* abstract_class) {
  Ref module = checked(PyImport_ImportModule("_collections_abc"));
  Ref abc = attribute(module.get(), abstract_class);
  (void)checked(PyObject_CallMethod(abc.get(), "register", "O", type));
}

}  // namespace kv::py
