#include "interpreter.hpp"

#include <pybind11/embed.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "exit_code.hpp"
#include "virtual_env.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): Python prescribes the name
extern "C" PyObject* PyInit_kv_storage();

namespace kv::py {
int make_runnable() noexcept;  // tools.hpp
}

// Where the writable data of this executable begin and end: the linker's names.
// NOLINTBEGIN(readability-identifier-naming, bugprone-reserved-identifier)
extern "C" char __data_start[];
extern "C" char _edata[];
// NOLINTEND(readability-identifier-naming, bugprone-reserved-identifier)

namespace runner {
namespace {

namespace fs = std::filesystem;
namespace py = pybind11;

constexpr const char* kOwnExecutable = "/proc/self/exe";

int count(const Arguments& arguments) { return static_cast<int>(arguments.size()) - 1; }

// The status of a configuration that was only read.
std::optional<int> exit_code_of(const PyStatus& status) {
  if (PyStatus_IsExit(status)) return status.exitcode;
  if (PyStatus_IsError(status)) Py_ExitStatusException(status);
  return std::nullopt;
}

void set_executable(const char* name, const fs::path& path) {
  const auto text = py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefault(path.c_str()));
  if (!text || PySys_SetObject(name, text.ptr()) != 0) throw py::error_already_set();
}

// Starting CPython writes to nearly every page of its static objects. One call for all of them costs less than a fault
// for each (docs/decisions/start.md); a kernel without it (before Linux 5.14) leaves it at the faults.
void take_data_pages() noexcept {
#ifdef MADV_POPULATE_WRITE
  const auto page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(__data_start) / page_bytes * page_bytes;
  const auto last = reinterpret_cast<std::uintptr_t>(_edata);
  ::madvise(reinterpret_cast<void*>(first), last - first, MADV_POPULATE_WRITE);  // NOLINT(performance-no-int-to-ptr)
#endif
}

// pybind11 owns the interpreter by a guard that finalises it; Py_RunMain does so, too. So the guard is never destroyed.
// `environment_python`, if set, is what CPython takes for its own place, and so finds the packages there.
void start(const Arguments& arguments, const std::optional<std::string>& environment_python) {
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  if (environment_python) {
    const PyStatus status = PyConfig_SetBytesString(&config, &config.executable, environment_python->c_str());
    if (PyStatus_Exception(status)) Py_ExitStatusException(status);
  }
  try {
    new py::scoped_interpreter(&config, count(arguments), arguments.data(), /*add_program_dir_to_path=*/false);
  } catch (const std::runtime_error& error) {
    Py_ExitStatusException(PyStatus_Error(error.what()));
  }
}

// In a virtual environment made by another python, CPython looks for a base executable of our name beside that python.
// There is none: the executable that can make further environments like this one is this file.
void correct_base_executable(const fs::path& own) {
  const py::handle base = PySys_GetObject("_base_executable");
  if (base && PyUnicode_Check(base.ptr())) {
    const auto path = py::reinterpret_steal<py::bytes>(PyUnicode_EncodeFSDefault(base.ptr()));
    std::error_code none;
    if (path && fs::equivalent(std::string(path), own, none)) return;
  }
  set_executable("_base_executable", own);
}

// PYTHONMALLOC and the development mode ask for another one on purpose. Reading the arguments has initialised the
// memory of the raw domain, which is malloc's, and nothing else yet. Free-threaded builds know one allocator only.
void set_allocator(Allocator allocator, const PythonArguments& python) {
  const char* const asked = std::getenv("PYTHONMALLOC");
  const bool is_asked = python.use_environment && asked != nullptr && *asked != '\0';
  if (allocator != Allocator::kMalloc || is_asked || python.dev_mode) return;
#ifndef Py_GIL_DISABLED
  PyMemAllocatorEx malloc = {};
  PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &malloc);
  PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &malloc);
  PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &malloc);
#endif
}

void set_collector(GcMode mode) {
  if (mode == GcMode::kOff) PyGC_Disable();
  if (mode != GcMode::kFreeze) return;
  const py::module_ gc = py::module_::import("gc");
  py::module_::import("os").attr("register_at_fork")(py::arg("before") = gc.attr("freeze"),
                                                     py::arg("after_in_parent") = gc.attr("unfreeze"));
}

}  // namespace

PythonArguments read_python_arguments(const Arguments& arguments) {
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  PyStatus status = PyConfig_SetBytesArgv(&config, count(arguments), arguments.data());
  if (!PyStatus_Exception(status)) status = PyConfig_Read(&config);
  PythonArguments python;
  python.exit_code = exit_code_of(status);
  python.use_environment = config.use_environment != 0;
  python.dev_mode = config.dev_mode != 0;
  if (config.run_filename != nullptr) {
    // What is left of the arguments begins with the script; we want it as it was given, undecoded.
    python.script = arguments[static_cast<std::size_t>(count(arguments) - config.argv.length)];
  }
  python.program = config.run_filename != nullptr  ? Program::kScript
                   : config.run_module != nullptr  ? Program::kModule
                   : config.run_command != nullptr ? Program::kCommand
                                                   : Program::kNone;
  python.inspect = config.inspect != 0;
  PyConfig_Clear(&config);
  return python;
}

Interpreter::Interpreter(const Arguments& arguments, const Config& config, const PythonArguments& python,
                         bool has_store) {
  take_data_pages();
  const std::string executable = find_executable(arguments.front());
  const auto environment_python = python.use_environment ? activated_python(executable) : std::nullopt;
  set_allocator(config.allocator, python);
  PyImport_AppendInittab("kv_storage", &PyInit_kv_storage);
  start(arguments, environment_python);
  try {
    if (environment_python) set_executable("executable", executable);
    correct_base_executable(fs::read_symlink(kOwnExecutable));
    set_collector(config.gc);
    if (kv::py::make_runnable() != 0) throw py::error_already_set();
    if (has_store) py::module_::import("kv_storage");
  } catch (py::error_already_set& error) {
    error.restore();
    PyErr_Print();
    std::exit(kInternal);
  }
}

int Interpreter::run() { return Py_RunMain(); }

}  // namespace runner
