// The supervisor: a process without interpreter that owns the store and the listening sockets, and looks after workers.
//
// One thread, one loop over signals (signalfd), messages of workers and, with --reload, changed files. Everything it
// does follows from such an event or from a deadline of the pool; docs/workers.md says what each signal does.
#pragma once

#include "cli.hpp"
#include "config.hpp"
#include "interpreter.hpp"

namespace runner {

// Runs workers until told to stop. The exit code: kSuccess, or kUnavailable if the workers keep failing.
// `argc` and `argv` are those of main: the title takes their place. Throws Failure for what prevents the start.
[[nodiscard]] int supervise(const CommandLine& line, const Config& config, const PythonArguments& python, int argc,
                            char** argv);

}  // namespace runner
