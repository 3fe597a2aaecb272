// The embedded CPython: configured as python3 configures itself, with the module kv_storage built in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config.hpp"

namespace runner {

// argv as python3 gets it: null-terminated, the program first.
using Arguments = std::vector<char*>;

// Lets CPython read its command line and environment without starting. An exit code means that this was all there was
// to do (-h, -VV) or that it was wrong (an unknown option; the message is printed).
[[nodiscard]] std::optional<int> read_python_arguments(const Arguments& arguments, std::string* script = nullptr);

class Interpreter {
 public:
  // Starts it: runs site, imports kv_storage, applies `config`.
  Interpreter(const Arguments& arguments, const Config& config);

  // Runs what the arguments say as __main__, finalises the interpreter and returns the exit code.
  // A KeyboardInterrupt that the program does not catch ends the process by SIGINT, as in python3.
  [[nodiscard]] int run();
};

}  // namespace runner
