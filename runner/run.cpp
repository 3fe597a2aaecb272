#include "run.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli.hpp"
#include "config.hpp"
#include "exit_code.hpp"
#include "init_process.hpp"
#include "interpreter.hpp"
#include "preload.hpp"
#include "version.hpp"

namespace runner {
namespace {

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return kSuccess;
}

int print_all_help(const CommandLine& line) {
  print(help_text() + "\n");
  std::fflush(stdout);
  char option[] = "-h";
  return read_python_arguments({line.python.at(0), option, nullptr}).exit_code.value_or(kSuccess);
}

// A script that cannot be read is for Python to report, before gigabytes are loaded for it.
bool is_readable(const std::string& script) { return script.empty() || access(script.c_str(), R_OK) == 0; }

int run_program(const CommandLine& line) {
  leave_init_process();
  const PythonArguments python = read_python_arguments(line.python);
  if (python.exit_code) return *python.exit_code;
  Config config;
  std::shared_ptr<kv::Store> store;
  if (!line.configuration.empty()) {
    config = load_config(line.configuration);
    setenv(kConfigurationVariable, config.path.c_str(), 1);
    if (is_readable(python.script)) store = open_store(line, config, python.script);
  }
  const int exit_code = Interpreter(line.python, config, python.use_environment).run();
  if (store != nullptr) store->close();
  return exit_code;
}

}  // namespace

int run(int argc, char** argv) {
  const CommandLine line = parse_command_line(argc, argv);
  switch (line.action) {
    case Action::kCheck:
      return print(describe_config(load_config(line.configuration)));
    case Action::kHelp:
      return print_all_help(line);
    case Action::kRunnerHelp:
      return print(help_text());
    case Action::kVersion:
      return print(version_text());
    case Action::kDefaultConfiguration:
      return print(default_configuration());
    case Action::kRun:
      break;
  }
  return run_program(line);
}

}  // namespace runner
