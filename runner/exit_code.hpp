// The exit codes of the runner's own failures, after sysexits.h; docs/configuration.md lists them. Once the interpreter
// runs, the exit code is the script's, as under python3.
#pragma once

namespace runner {

enum ExitCode : int {
  kSuccess = 0,
  kDamaged = 1,       // --inspect-files and --repair: something in the data directory is damaged
  kUsage = 2,         // a bad command line, as python3 exits for an unknown option
  kBadData = 65,      // EX_DATAERR: a CSV file was read and refused
  kNoInput = 66,      // EX_NOINPUT: the configuration or a CSV file is missing or unreadable
  kUnavailable = 69,  // EX_UNAVAILABLE: the workers keep failing
  kInternal = 70,     // EX_SOFTWARE: a bug of ours
  kSystem = 71,       // EX_OSERR: no memory or another system resource for the store
  kBadConfig = 78,    // EX_CONFIG: the configuration was read and refused
};

}  // namespace runner
