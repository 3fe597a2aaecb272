// What this executable is made of.
#pragma once

#include <string>

namespace runner {

// "Python 3.11.2" on the first line, exactly as python3 prints it (tools parse it), then the runner's and the build's.
[[nodiscard]] std::string version_text();

}  // namespace runner
