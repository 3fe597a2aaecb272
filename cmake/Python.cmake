# Chooses the Python that the runner embeds and the extension module is built for.
#
# The first of these that is set wins: -DPython_EXECUTABLE, -DPython3_EXECUTABLE, -DPYTHON_EXECUTABLE, the active virtual
# environment, the project's own .venv; without any, CMake's search. Afterwards the targets Python::Module (extension
# modules), Python::Python (embedding) and pybind11::module, pybind11::embed exist and belong to that one interpreter.

foreach(name IN ITEMS Python3_EXECUTABLE PYTHON_EXECUTABLE)
  if(NOT Python_EXECUTABLE AND ${name})
    set(Python_EXECUTABLE "${${name}}")
  endif()
endforeach()
if(NOT Python_EXECUTABLE AND NOT DEFINED ENV{VIRTUAL_ENV} AND EXISTS "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  set(Python_EXECUTABLE "${PROJECT_SOURCE_DIR}/.venv/bin/python")
endif()

set(Python_FIND_VIRTUALENV FIRST)
set(Python_ARTIFACTS_INTERACTIVE TRUE)
find_package(Python 3.11 COMPONENTS Interpreter Development.Module Development.Embed)
if(NOT Python_FOUND)
  message(FATAL_ERROR
    "No Python 3.11 or newer with headers and library was found (looked at: '${Python_EXECUTABLE}').\n"
    "Debian and Ubuntu: apt-get install python3-dev python3-venv. pyenv: any 3.11 to 3.14.\n"
    "Then pass -DPython_EXECUTABLE=/path/to/python or activate a virtual environment.")
endif()

# pybind11 is headers only, so the project's environment can lend it to an interpreter that lacks it.
foreach(python IN ITEMS "${Python_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  if(NOT pybind11_DIR)
    execute_process(
      COMMAND "${python}" -m pybind11 --cmakedir
      OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
endforeach()
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 3.1 CONFIG QUIET)
if(NOT pybind11_FOUND)
  message(FATAL_ERROR
    "pybind11 3.1 is not installed for ${Python_EXECUTABLE}.\n"
    "Run scripts/setup.sh, or: ${Python_EXECUTABLE} -m pip install -r requirements/build.txt")
endif()
message(STATUS "Python ${Python_VERSION}: ${Python_EXECUTABLE}; pybind11 ${pybind11_VERSION}")
