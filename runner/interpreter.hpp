// The embedded CPython: configured as python3 configures itself, with the module kv_storage built in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config.hpp"

namespace runner {

// argv as python3 gets it: null-terminated, the program first.
using Arguments = std::vector<char*>;

enum class Program {
  kNone,  // a prompt, or what standard input says
  kScript,
  kModule,
  kCommand,
};

// What CPython makes of its command line and environment.
struct PythonArguments {
  // Set: there is nothing more to do (-h, -VV), or the line was wrong (an unknown option; the message is printed).
  std::optional<int> exit_code;
  std::string script;  // the file to run, as it was given; "" for -c, -m, the prompt and standard input
  Program program = Program::kNone;
  bool inspect = false;         // -i: a prompt comes after the program
  bool use_environment = true;  // false with -E and -I
  bool dev_mode = false;        // -X dev, PYTHONDEVMODE
};

// Lets CPython read both without starting.
[[nodiscard]] PythonArguments read_python_arguments(const Arguments& arguments);

class Interpreter {
 public:
  // Starts it: runs site, applies `config`. `python` is what `arguments` were read as.
  // In the activated virtual environment, if there is one and the environment is to be used (virtual_env.hpp).
  // With a store, kv_storage is imported, so that it is in sys.modules from the start. Without one its types are made
  // when the program imports it.
  Interpreter(const Arguments& arguments, const Config& config, const PythonArguments& python, bool has_store);

  // Runs what the arguments say as __main__, finalises the interpreter and returns the exit code.
  // A KeyboardInterrupt that the program does not catch ends the process by SIGINT, as in python3.
  [[nodiscard]] int run();
};

}  // namespace runner
