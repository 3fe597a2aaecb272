// The ttl= argument: seconds as a Python number to the core's milliseconds.
#pragma once

#include "bind.hpp"

namespace kv::py {

// A number of seconds greater than 0, rounded up to milliseconds. Throws ArgumentError for anything else.
[[nodiscard]] std::uint64_t ttl_seconds(ModuleState& state, PyObject* seconds);

// The same where a ttl is optional: nullptr and None are kNoTtl.
[[nodiscard]] inline std::uint64_t ttl_argument(ModuleState& state, PyObject* seconds) {
  return seconds == nullptr || seconds == Py_None ? kNoTtl : ttl_seconds(state, seconds);
}

}  // namespace kv::py
