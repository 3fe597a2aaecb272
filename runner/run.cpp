#include "run.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "cli.hpp"
#include "concat.hpp"
#include "config.hpp"
#include "data_files.hpp"
#include "exit_code.hpp"
#include "init_process.hpp"
#include "interpreter.hpp"
#include "preload.hpp"
#include "process_title.hpp"
#include "supervisor.hpp"
#include "upgrade.hpp"
#include "version.hpp"
#include "worker_process.hpp"

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

// A configuration that a child inherits with the store is not for it to start workers by.
bool wants_supervisor(const CommandLine& line, const Config& config) {
  const bool is_child = std::getenv(kAttachVariable) != nullptr && !has_handover();
  const bool is_asked = line.configuration_is_explicit || line.workers.has_value() || line.reload;
  return config.workers.count > 0 && (is_asked || !is_child);
}

int run_program(const CommandLine& line, std::optional<unsigned> worker, int argc, char** argv) {
  const PythonArguments python = read_python_arguments(line.python);
  if (python.exit_code) return *python.exit_code;
  Config config = default_config();
  if (!line.configuration.empty()) {
    config = load_config(line.configuration);
    setenv(kConfigurationVariable, config.path.c_str(), 1);
  }
  line.apply_to(config);
  std::shared_ptr<kv::Store> store;
  if (worker) {
    store = join_store();
  } else if (wants_supervisor(line, config)) {
    return supervise(line, config, python, argc, argv);
  } else {
    leave_init_process();
    if (!line.configuration.empty() && is_readable(python.script)) store = open_store(line, config, python.script);
  }
  const int exit_code = Interpreter(line.python, config, python, store != nullptr).run();
  if (store != nullptr) store->close();
  return exit_code;
}

}  // namespace

int run(int argc, char** argv) {
  const std::optional<unsigned> worker = become_worker();
  if (worker) ProcessTitle(argc, argv).set(concat("runner: worker ", std::to_string(*worker)));
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
    case Action::kInspectFiles:
      return inspect_files(line.directory);
    case Action::kRepair:
      return repair(line);
    case Action::kCheckUpgrade:
      check_upgrade(line.configuration);
      return kSuccess;
    case Action::kRun:
      break;
  }
  return run_program(line, worker, argc, argv);
}

}  // namespace runner
