// The life of ModuleState: made with the module, found again when the module is imported again.
//
// Python nulls a module's state whenever the create slot returns a module that already exists, while the old types and
// objects live on. Therefore the module holds only a pointer, the state lies elsewhere, and a reference to both is kept
// in the interpreter's dictionary, weakly: they die with the last type that needs them.
#pragma once

#include "bind.hpp"

namespace kv::py {

PyObject* create_module(PyObject* spec, PyModuleDef* definition);  // this interpreter's module if it has one
bool adopt_state(PyObject* module);           // true: `module` was filled before, and has its state again
ModuleState& create_state(PyObject* module);  // an empty one, owned by `module`
void publish_state(PyObject* module);         // from now on create_module and current_state find it

// There is no clear function on purpose: finalisers may still use the store while Python takes the module apart, and
// the types' own clearing breaks the cycle.
int traverse_state(PyObject* module, visitproc visit, void* argument);
void free_state(void* module);

extern PyMethodDef module_functions[];
void bind_functions(PyObject* module, ModuleState& state);  // MISSING, and the names pickles refer to

}  // namespace kv::py
