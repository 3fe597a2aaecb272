// The life of the process, from its command line to its exit code.
#pragma once

namespace runner {

// Throws Failure for what went wrong before the program started.
[[nodiscard]] int run(int argc, char** argv);

}  // namespace runner
