// What `python -m kv_storage` runs: Python modules that are compiled into this one, and what they need of it.
//
// An extension module is a package with a __main__.py beside it. Where the module is built in there is no place for a
// file: the importer of built-in modules gets code to give, which is all that -m asks for.

#include "bind.hpp"
#include "messagepack.hpp"
#include "text.hpp"
#include "tools.hpp"

namespace kv::py {
namespace {

struct Source {
  const char* module;
  const char* text;
};

// Each after those it imports.
constexpr Source kSources[] = {
    {
        "kv_storage_tools.blocks",
#include "kv_storage_tools/blocks.inc"
    },
    {
        "kv_storage_tools.transfer",
#include "kv_storage_tools/transfer.inc"
    },
    {
        "kv_storage_tools.report",
#include "kv_storage_tools/report.inc"
    },
    {
        "kv_storage_tools.command_line",
#include "kv_storage_tools/command_line.inc"
    },
};

constexpr char kMain[] =
#include "kv_storage_main.inc"
    ;

Ref compile(const char* text, const std::string& name) {
  return checked(Py_CompileString(text, ("<kv_storage " + name + ">").c_str(), Py_file_input));
}

// In place of BuiltinImporter.get_code(), which is `original` and knows no module with code.
PyObject* get_code(PyObject* original, PyObject* name) {
  if (!PyUnicode_Check(name) || PyUnicode_CompareWithASCIIString(name, "kv_storage") != 0) {
    return PyObject_CallOneArg(original, name);
  }
  return compile(kMain, "__main__").release();
}

PyMethodDef get_code_method = {"get_code", method<get_code>(), METH_O,
                               "Return None as built-in modules do not have code objects, but for `-m kv_storage`."};

int replace_get_code() {
  Ref importlib = checked(PyImport_ImportModule("_frozen_importlib"));
  Ref importer = attribute(importlib.get(), "BuiltinImporter");
  Ref original = attribute(importer.get(), get_code_method.ml_name);
  if (PyCFunction_Check(original.get())) return 0;  // ours
  Ref ours = checked(PyCFunction_New(&get_code_method, original.get()));
  return PyObject_SetAttrString(importer.get(), get_code_method.ml_name, ours.get());
}

}  // namespace

PyObject* command_line(PyObject*, PyObject*) {
  Ref module;
  for (const Source& source : kSources) {
    Ref code = compile(source.text, source.module);
    module = checked(PyImport_ExecCodeModule(source.module, code.get()));
  }
  return attribute(module.get(), "main").release();
}

PyObject* pack_all(PyObject* module, PyObject* objects) {
  ModuleState& state = state_of_module(module);
  Ref fast = checked(PySequence_Fast(objects, "_pack_all() takes a sequence"));
  std::string packed;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i) {
    pack(state, PySequence_Fast_GET_ITEM(fast.get(), i), packed);
  }
  return PyBytes_FromStringAndSize(packed.data(), static_cast<Py_ssize_t>(packed.size()));
}

PyObject* unpack_all(PyObject* module, PyObject* bytes) {
  if (!PyBytes_Check(bytes)) {
    PyErr_SetString(PyExc_TypeError, "_unpack_all() takes bytes");
    return nullptr;
  }
  return unpack_sequence(state_of_module(module), bytes_of(bytes)).release();
}

int make_runnable() noexcept { return Guarded<replace_get_code>::call(); }

}  // namespace kv::py
