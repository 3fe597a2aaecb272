#include "cli.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <map>
#include <memory>

#include "concat.hpp"
#include "failure.hpp"

namespace runner {
namespace {

constexpr const char* kDescription =
    "Runs a Python program over a native key-value store that is filled before the interpreter starts.\n"
    "These options come first; everything after them is as for python3.";

constexpr const char* kFooter =
    "Environment:\n"
    "  RUNNER_NATIVE_CONFIGURATION  stands for --native_configuration; the runner sets it for its children\n"
    "\n"
    "Exit codes before the program starts: 2 usage, 65 bad CSV data, 66 file missing or unreadable, 71 no memory for\n"
    "the store, 78 bad configuration. Then the program's own, as under python3.";

// CLI11 knows nothing of the arguments that follow ours.
class Formatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: runner [OPTIONS] [script.py | -c command | -m module | -] [arguments]\n";
  }
};

// The options, declared once: for parsing and for the help text.
class Options {
 public:
  Options() : app_(kDescription, "runner") {
    app_.formatter(std::make_shared<Formatter>());
    app_.set_help_flag();
    app_.footer(kFooter);
    configuration_ = app_.add_option("--native_configuration,--native-configuration", path_,
                                     "Read FILE (configs/default.ini has every key), load what it names")
                         ->type_name("FILE");
    add_action("--check", Action::kCheck, "Validate the configuration and its files, print what is in force, exit");
    app_.add_flag("--progress", progress_, "Show the progress of loading even if standard error is no terminal");
    add_action("--print_default_configuration,--print-default-configuration", Action::kDefaultConfiguration,
               "Print every configuration key with its default, exit");
    add_action("--version,-V", Action::kVersion, "Print the versions of Python and of the runner, exit");
    add_action("--help", Action::kHelp, "Print this and Python's own options, exit (-h: Python's alone)");
    add_action("--runner_help,--runner-help", Action::kRunnerHelp, "Print this, exit");
  }

  // How many of `arguments`, from the first, are ours.
  [[nodiscard]] std::size_t count_own(const std::vector<std::string>& arguments) const {
    std::size_t i = 0;
    while (i < arguments.size()) {
      const std::size_t equals = arguments[i].find('=');
      const std::string name = arguments[i].substr(0, equals);
      const CLI::Option* option = name.starts_with('-') ? app_.get_option_no_throw(name) : nullptr;
      if (option == nullptr || (equals != std::string::npos && option != configuration_)) break;
      i += option == configuration_ && equals == std::string::npos ? 2 : 1;
    }
    return std::min(i, arguments.size());
  }

  CommandLine parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    try {
      app_.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
      throw Failure(kUsage, concat("runner: ", error.what(), "\nTry 'runner --runner-help'."));
    }
    CommandLine line;
    for (const auto& [option, action] : actions_) {
      if (option->count() == 0) continue;
      if (line.action != Action::kRun)
        throw Failure(kUsage, "runner: only one of --check, --version, --help ... at a time");
      line.action = action;
    }
    line.progress = progress_;
    line.configuration_is_explicit = configuration_->count() > 0;
    line.configuration = path_;
    return line;
  }

  [[nodiscard]] std::string help() const { return app_.help(); }

 private:
  CLI::Option* add_flag(const char* names, const char* description) {
    return app_.add_flag(names)->description(description);
  }

  void add_action(const char* names, Action action, const char* description) {
    actions_.emplace(add_flag(names, description), action);
  }

  CLI::App app_;
  std::string path_;
  CLI::Option* configuration_ = nullptr;
  bool progress_ = false;
  std::map<CLI::Option*, Action> actions_;
};

// The file of the option, else of the environment.
void choose_configuration(CommandLine& line) {
  if (line.configuration_is_explicit) {
    if (line.configuration.empty()) throw Failure(kUsage, "runner: --native_configuration names no file");
    return;
  }
  const char* inherited = std::getenv(kConfigurationVariable);
  if (inherited != nullptr) line.configuration = inherited;
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  Options options;
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const std::size_t own = options.count_own(arguments);
  CommandLine line = options.parse({arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(own)});
  choose_configuration(line);
  if (line.action == Action::kCheck && line.configuration.empty()) {
    throw Failure(kUsage, "runner: --check needs --native_configuration=FILE");
  }
  if (argc > 0) line.python.push_back(argv[0]);
  for (std::size_t i = 1 + own; i < static_cast<std::size_t>(argc); ++i) line.python.push_back(argv[i]);
  line.python.push_back(nullptr);
  return line;
}

std::string help_text() { return Options().help(); }

}  // namespace runner
