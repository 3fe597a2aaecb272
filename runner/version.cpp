#include "version.hpp"

#include <Python.h>
#include <pybind11/detail/common.h>

#include "concat.hpp"

#define RUNNER_STRING(x) #x
#define RUNNER_VALUE(x) RUNNER_STRING(x)
#define RUNNER_PYBIND11 \
  RUNNER_VALUE(PYBIND11_VERSION_MAJOR) "." RUNNER_VALUE(PYBIND11_VERSION_MINOR) "." RUNNER_VALUE(PYBIND11_VERSION_MICRO)

namespace runner {

std::string version_text() {
  const std::string library = Py_GetVersion();
  const std::string number = library.substr(0, library.find(' '));
  return concat("Python ", number,
                "\nrunner " RUNNER_VERSION " (" RUNNER_BUILD ")\npybind11 " RUNNER_PYBIND11 "\nlibpython ", library,
                "\n");
}

}  // namespace runner
