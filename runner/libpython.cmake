# The target runner_libpython: CPython to be linked into an executable, by RUNNER_STATIC_PYTHON = AUTO, ON or OFF.
#
# A static libpython starts faster (no relocations, no symbol look-ups), as Debian's own python3 does, and needs nothing
# of that Python but its standard library at run time. AUTO takes it where there is one that links.

set(RUNNER_STATIC_PYTHON "AUTO" CACHE STRING "Link libpython into the runner: AUTO, ON or OFF")
set_property(CACHE RUNNER_STATIC_PYTHON PROPERTY STRINGS AUTO ON OFF)

# What the interpreter says of itself, one line each: where the archive would be, and what it was linked with.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c [[
import os, sysconfig
get = sysconfig.get_config_var
words = [w for name in ("LIBS", "SYSLIBS", "MODLIBS") for w in (get(name) or "").split() if w.startswith("-l")]
print(os.path.join(get("LIBPL") or "", get("LIBRARY") or ""))
print(*dict.fromkeys(words), sep=";")
]]
  OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE ";" "|" answer "${answer}")
string(REPLACE "\n" ";" answer "${answer}")
list(GET answer 0 archive)
list(LENGTH answer answer_length)
set(archive_needs "")
if(answer_length GREATER 1)
  list(GET answer 1 archive_needs)
  string(REPLACE "|" ";" archive_needs "${archive_needs}")
endif()

# The whole archive, because extension modules need what the runner itself does not; not position independent, because
# the archive commonly is not (Debian's).
set(static_link_options
  -no-pie "LINKER:--whole-archive,${archive},--no-whole-archive")

set(use_static FALSE)
if(RUNNER_STATIC_PYTHON AND EXISTS "${archive}")
  include(CMakePushCheckState)
  include(CheckCXXSourceCompiles)
  cmake_push_check_state(RESET)
  set(CMAKE_REQUIRED_INCLUDES ${Python_INCLUDE_DIRS})
  set(CMAKE_REQUIRED_LINK_OPTIONS ${static_link_options})
  set(CMAKE_REQUIRED_LIBRARIES ${archive_needs} Threads::Threads)
  set(CMAKE_REQUIRED_QUIET TRUE)
  string(MAKE_C_IDENTIFIER "RUNNER_LINKS_${archive}" probe)
  check_cxx_source_compiles("#include <Python.h>\nint main() { return Py_IsInitialized(); }" ${probe})
  cmake_pop_check_state()
  set(use_static "${${probe}}")
endif()
if(RUNNER_STATIC_PYTHON AND NOT RUNNER_STATIC_PYTHON STREQUAL "AUTO" AND NOT use_static)
  message(FATAL_ERROR "RUNNER_STATIC_PYTHON is ${RUNNER_STATIC_PYTHON}, but this does not exist or does not link: '${archive}'")
endif()

add_library(runner_libpython INTERFACE)
if(use_static)
  target_link_options(runner_libpython INTERFACE ${static_link_options})
  target_link_libraries(runner_libpython INTERFACE Python::Module ${archive_needs} Threads::Threads)
  message(STATUS "runner: ${archive}")
else()
  target_link_libraries(runner_libpython INTERFACE Python::Python)
  message(STATUS "runner: libpython as a shared library")
endif()

# Extension modules look the C API up in the executable. Nothing else is exported: neither our code nor the C++ runtime,
# which is linked statically and must not take the place of the one that NumPy and others bring. (Sanitizers need the
# shared runtime, to intercept it.)
target_link_options(runner_libpython INTERFACE "LINKER:--dynamic-list=${CMAKE_CURRENT_LIST_DIR}/python_symbols.list")
if(NOT KV_SANITIZE)
  target_link_options(runner_libpython INTERFACE -static-libstdc++ -static-libgcc "LINKER:--gc-sections")
endif()
