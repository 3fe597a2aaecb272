# Looks for every system library before anything else is configured, so that a new machine learns in one message what
# to install. The libraries themselves are found by the directories that use them.
#
# They come from the distribution and are never downloaded: docs/decisions/system-packages.md.

set(KV_SYSTEM_PACKAGES
  "CLI/CLI.hpp=libcli11-dev"
  "ini.h=libinih-dev"
  "fast_float/fast_float.h=libfast-float-dev"
  "xxhash.h=libxxhash-dev"
)
if(KV_JEMALLOC AND NOT KV_SANITIZE)
  list(APPEND KV_SYSTEM_PACKAGES "jemalloc/jemalloc.h=libjemalloc-dev")
endif()
if(KV_BUILD_TESTS)
  list(APPEND KV_SYSTEM_PACKAGES "doctest/doctest.h=doctest-dev")
endif()

set(missing_packages "")
foreach(entry IN LISTS KV_SYSTEM_PACKAGES)
  string(REGEX MATCH "^([^=]+)=(.+)$" _ "${entry}")
  set(header "${CMAKE_MATCH_1}")
  set(package "${CMAKE_MATCH_2}")
  find_path(header_dir "${header}" NO_CACHE)
  if(NOT header_dir)
    list(APPEND missing_packages "${package}")
    message(STATUS "Missing: ${header}")
  endif()
  unset(header_dir)
endforeach()
if(missing_packages)
  list(JOIN missing_packages " " missing_packages)
  message(FATAL_ERROR
    "Some libraries are missing. Debian and Ubuntu (or run scripts/setup.sh):\n  apt-get install ${missing_packages}")
endif()
