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

set(RUNNER_PYTHON_LINK "auto" CACHE STRING "How the runner links libpython: auto, shared or static")
set_property(CACHE RUNNER_PYTHON_LINK PROPERTY STRINGS auto shared static)
if(NOT RUNNER_PYTHON_LINK MATCHES "^(auto|shared|static)$")
  message(FATAL_ERROR "RUNNER_PYTHON_LINK is '${RUNNER_PYTHON_LINK}'; it can be auto, shared or static")
endif()
if(RUNNER_PYTHON_LINK STREQUAL "static")
  set(Python_USE_STATIC_LIBS TRUE)
elseif(RUNNER_PYTHON_LINK STREQUAL "shared")
  set(Python_USE_STATIC_LIBS FALSE)
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

# A static libpython names none of the libraries it needs, and loaded extension modules (NumPy) look its symbols up in
# the executable: take the whole archive, export it, and add what the interpreter was itself linked with. Archives are
# commonly compiled without -fPIE (Debian's is).
get_target_property(python_library Python::Python IMPORTED_LOCATION)
if(python_library MATCHES "\\.a$")
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
      "import sysconfig as s; print(*(w for k in ('LIBS', 'SYSLIBS', 'MODLIBS') for w in (s.get_config_var(k) or '').split() if w.startswith('-l')), sep=';')"
    OUTPUT_VARIABLE python_link_libraries OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  list(REMOVE_DUPLICATES python_link_libraries)
  set_property(TARGET Python::Python APPEND PROPERTY INTERFACE_LINK_LIBRARIES ${python_link_libraries})
  set_property(TARGET Python::Python APPEND PROPERTY INTERFACE_LINK_OPTIONS
    "-no-pie" "LINKER:--export-dynamic" "LINKER:--whole-archive,${python_library},--no-whole-archive")
endif()

if(NOT pybind11_DIR)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
    OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 3.1 CONFIG QUIET)
if(NOT pybind11_FOUND)
  message(FATAL_ERROR
    "pybind11 3.1 is not installed for ${Python_EXECUTABLE}.\n"
    "Run scripts/setup.sh, or: ${Python_EXECUTABLE} -m pip install -r requirements/build.txt")
endif()
message(STATUS "Python ${Python_VERSION}: ${Python_EXECUTABLE}, ${python_library}; pybind11 ${pybind11_VERSION}")
