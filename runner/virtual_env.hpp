// The activated virtual environment, for a runner that is not installed in one.
#pragma once

#include <optional>
#include <string>

namespace runner {

// Its python, by whose place CPython finds the environment's packages: $VIRTUAL_ENV/bin/python3. None if no environment
// is activated, if it is of another version of Python, or if this executable lies in an environment itself, which then
// wins, as it does for every python. A runner serves any environment; a python lives in one, so this has no counterpart
// in python3.
std::optional<std::string> active_environment_python();

}  // namespace runner
