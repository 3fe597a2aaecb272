// What `python -m kv_storage` runs: Python modules that are compiled into this one, and what they need of it.
//
// An extension module is a package with a __main__.py beside it. Where the module is built in there is no place for a
// file: its spec gets a loader that has code to give, which is all that -m asks for.

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

}  // namespace

PyObject* command_line(PyObject*, PyObject*) {
  Ref module;
  for (const Source& source : kSources) {
    Ref code = compile(source.text, source.module);
    module = checked(PyImport_ExecCodeModule(source.module, code.get()));
  }
  return attribute(module.get(), "main").release();
}

PyObject* main_code(PyObject*, PyObject*) { return compile(kMain, "__main__").release(); }

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

void make_runnable(PyObject* module) {
  Ref spec = attribute(module, "__spec__");
  Ref origin = attribute(spec.get(), "origin");
  if (!PyUnicode_Check(origin.get()) || PyUnicode_CompareWithASCIIString(origin.get(), "built-in") != 0) return;
  Ref loader = attribute(spec.get(), "loader");
  Ref get_code = attribute(module, "_main_code");
  Ref make = checked(Py_BuildValue("s(O){s:O,s:s}", "KvStorageLoader", loader.get(), "get_code", get_code.get(),
                                   "__doc__", "The importer of built-in modules, with code for `-m kv_storage`."));
  Ref runnable = checked(PyObject_CallObject(reinterpret_cast<PyObject*>(&PyType_Type), make.get()));
  check(PyObject_SetAttrString(spec.get(), "loader", runnable.get()));
}

}  // namespace kv::py
