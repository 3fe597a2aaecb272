// The activated virtual environment, for a runner that does not lie in one.
//
// Activation works for python3 because PATH then leads to an executable inside the environment, beside which CPython
// finds pyvenv.cfg. A runner installed once for the whole machine serves any environment: it goes by VIRTUAL_ENV, which
// activation sets, too.
#pragma once

#include <optional>
#include <string>

namespace runner {

// Where CPython will say that this executable is: argv[0], made absolute or found along PATH. Links are not followed:
// the python of an environment is one. "" = not found.
[[nodiscard]] std::string find_executable(const char* program);

// The python of the activated environment, by whose place CPython finds the environment's packages. None if no
// environment is activated, if it is of another version of Python, or if `executable` lies in an environment itself,
// which then wins, as it does for every python.
[[nodiscard]] std::optional<std::string> activated_python(const std::string& executable);

}  // namespace runner
