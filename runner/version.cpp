#include "version.hpp"

#include <Python.h>
#include <pybind11/detail/common.h>

#include "concat.hpp"

#define RUNNER_STRING(x) #x
#define RUNNER_VALUE(x) RUNNER_STRING(x)
#define RUNNER_PYBIND11 \
  RUNNER_VALUE(PYBIND11_VERSION_MAJOR) "." RUNNER_VALUE(PYBIND11_VERSION_MINOR) "." RUNNER_VALUE(PYBIND11_VERSION_MICRO)

// jemalloc's; null without it.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old, size_t* old_bytes, void* fresh,
                                             size_t fresh_bytes) noexcept;

namespace runner {
namespace {

std::string malloc_name() {
  const char* version = "";
  size_t bytes = sizeof version;
  if (mallctl == nullptr || mallctl("version", &version, &bytes, nullptr, 0) != 0) return "the system's";
  const std::string number = version;
  return concat("jemalloc ", number.substr(0, number.find('-')));
}

}  // namespace

std::string version_text() {
  const std::string library = Py_GetVersion();
  const std::string number = library.substr(0, library.find(' '));
  return concat("Python ", number,
                "\nrunner " RUNNER_VERSION " (" RUNNER_BUILD ")\npybind11 " RUNNER_PYBIND11 "\nlibpython ", library,
                "\nmalloc ", malloc_name(), "\n");
}

}  // namespace runner
