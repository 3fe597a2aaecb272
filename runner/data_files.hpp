// What the command line does with a data directory, without Python: looking into its files, and saving what is intact.
#pragma once

#include <string>

#include "cli.hpp"

namespace runner {

// Prints what the files hold. The exit code: 0, or kDamaged. Throws Failure.
[[nodiscard]] int inspect_files(const std::string& path);
// Prints what was saved and what was lost. The exit code: 0 if all was saved, else kDamaged. Throws Failure.
[[nodiscard]] int repair(const CommandLine& line);

}  // namespace runner
