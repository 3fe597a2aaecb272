// The module `kv_storage`: one multi-phase definition, for the runner's inittab and as an extension module.

#include "module_state.hpp"
#include "tools.hpp"

namespace kv::py {
namespace {

constexpr const char* kDoc =
    "An off-heap key-value store that belongs to the process, not to the interpreter.\n\n"
    "    from kv_storage import Storage\n\n"
    "    kv = Storage()                      # the same store in every thread, interpreter and child process\n"
    "    kv['user:42'] = {'name': 'Ada'}\n"
    "    kv.find('user:*').keys()            # keys in order, by glob\n";

bool is_built_in(PyObject* module) {
  Ref origin = attribute(attribute(module, "__spec__").get(), "origin");
  return PyUnicode_Check(origin.get()) && PyUnicode_CompareWithASCIIString(origin.get(), "built-in") == 0;
}

int execute(PyObject* module) {
  if (is_built_in(module)) check(make_runnable());
  if (adopt_state(module)) return 0;
  ModuleState& state = create_state(module);
  bind_errors(module, state);
  bind_buffer(module, state);
  bind_key(module, state);
  bind_record(module, state);
  bind_edit(module, state);
  bind_iterator(module, state);
  bind_matches(module, state);
  bind_collection(module, state);
  bind_hash(module, state);
  bind_records(module, state);
  bind_map(module, state);
  bind_set(module, state);
  bind_list(module, state);
  bind_store(module, state);
  bind_cache(module, state);
  bind_arrow(module, state);
  bind_functions(module, state);
  set_wait_hook(&wait_for_lock);
  publish_state(module);
  return 0;
}

PyModuleDef_Slot slots[] = {
    {Py_mod_create, slot<create_module>()},
    {Py_mod_exec, slot<execute>()},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "kv_storage",
    .m_doc = kDoc,
    .m_size = sizeof(ModuleState*),
    .m_methods = module_functions,
    .m_slots = slots,
    .m_traverse = traverse_state,
    .m_free = free_state,
};

}  // namespace
}  // namespace kv::py

// NOLINTNEXTLINE(readability-identifier-naming): Python's name for it
PyMODINIT_FUNC PyInit_kv_storage() { return PyModuleDef_Init(&kv::py::definition); }
