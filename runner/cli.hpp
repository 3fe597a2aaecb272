// The command line: which of the arguments are the runner's own, and what they ask for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config.hpp"

namespace runner {

enum class Action {
  kRun,
  kCheck,       // validate the configuration, print it, exit
  kHelp,        // our options, then Python's
  kRunnerHelp,  // our options
  kVersion,     // Python's line, then ours
  kDefaultConfiguration,
  kInspectFiles,  // of a data directory
  kRepair,        // a data directory into a new one
  kCheckUpgrade,  // whether this executable could take over from a running supervisor
};

struct CommandLine {
  Action action = Action::kRun;
  std::string configuration;               // path; "" = none
  bool configuration_is_explicit = false;  // given as an option, not inherited through the environment
  bool progress = false;
  std::optional<unsigned> workers;    // for [runner] workers
  std::optional<std::string> listen;  // for [runner] listen
  bool reload = false;
  std::string directory;               // of kInspectFiles and kRepair
  std::string into;                    // of kRepair
  std::vector<std::string> arguments;  // of main, all of them
  std::vector<char*> python;           // argv as python3 would get it, null-terminated

  // Options win over the file. Throws Failure{kUsage}.
  void apply_to(Config& config) const;
};

inline constexpr const char* kConfigurationVariable = "RUNNER_NATIVE_CONFIGURATION";

// Our options are those before the first argument that is not ours; everything from there on is Python's.
// Throws Failure{kUsage}.
[[nodiscard]] CommandLine parse_command_line(int argc, char** argv);

[[nodiscard]] std::string help_text();

}  // namespace runner
