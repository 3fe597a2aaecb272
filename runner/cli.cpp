#include "cli.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include "concat.hpp"
#include "config_keys.hpp"
#include "config_values.hpp"
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
    "Exit codes before the program starts: 1 damaged files, 2 usage, 65 bad CSV data, 66 file missing or unreadable,\n"
    "69 workers keep failing, 71 no memory for the store or no address to listen on, 78 bad configuration. Then the\n"
    "program's own, as under python3.";

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
    workers_ = app_.add_option("--workers", workers_text_, "Run N worker processes over one store under a supervisor")
                   ->type_name("N");
    listen_ = app_.add_option("--listen", listen_text_, "Listen on host:port or unix:PATH, and pass the socket to them")
                  ->type_name("ADDRESS");
    app_.add_flag("--reload", reload_, "Replace the workers (at least one) when Python files beside the script change");
    inspect_ = app_.add_option("--inspect_files,--inspect-files", directory_,
                               "Print what the files of a data directory hold and whether they are intact, exit")
                   ->type_name("PATH");
    repair_ =
        app_.add_option("--repair", repaired_, "Save what is intact in a damaged data directory, with --into, exit")
            ->type_name("PATH");
    into_ = app_.add_option("--into", into_text_, "The new data directory that --repair writes")->type_name("NEW");
    actions_.emplace(inspect_, Action::kInspectFiles);
    actions_.emplace(repair_, Action::kRepair);
    app_.add_flag("--check_upgrade,--check-upgrade")->group("");
    actions_.emplace(app_.get_option("--check_upgrade"), Action::kCheckUpgrade);
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
      const auto is = [&](std::initializer_list<const CLI::Option*> options) {
        return std::find(options.begin(), options.end(), option) != options.end();
      };
      const bool takes_value = is({configuration_, workers_, listen_, inspect_, repair_, into_});
      if (option == nullptr || (equals != std::string::npos && !takes_value)) break;
      i += takes_value && equals == std::string::npos ? 2 : 1;
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
    line.reload = reload_;
    line.directory = inspect_->count() > 0 ? directory_ : repaired_;
    line.into = into_text_;
    if ((repair_->count() > 0) != (into_->count() > 0)) {
      throw Failure(kUsage, "runner: --repair PATH goes with --into NEW, the directory to be written");
    }
    if (workers_->count() > 0) line.workers = workers_of(workers_text_);
    if (listen_->count() > 0) line.listen = listen_text_;
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

  static unsigned workers_of(const std::string& text) {
    try {
      return static_cast<unsigned>(parse_count(text, kMaxWorkers));
    } catch (const BadValue& error) {
      throw Failure(kUsage, concat("runner: --workers: ", error.what()));
    }
  }

  CLI::App app_;
  std::string path_;
  std::string workers_text_;
  std::string listen_text_;
  CLI::Option* workers_ = nullptr;
  CLI::Option* listen_ = nullptr;
  std::string directory_;
  std::string repaired_;
  std::string into_text_;
  CLI::Option* inspect_ = nullptr;
  CLI::Option* repair_ = nullptr;
  CLI::Option* into_ = nullptr;
  bool reload_ = false;
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

void CommandLine::apply_to(Config& config) const {
  if (workers) config.workers.count = *workers;
  if (reload) config.workers.count = std::max(config.workers.count, 1U);
  if (!listen) return;
  try {
    config.workers.listen = parse_listen_address(*listen);
    config.workers.listen_text = *listen;
  } catch (const BadValue& error) {
    throw Failure(kUsage, concat("runner: --listen: ", error.what()));
  }
}

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
  line.arguments.assign(argv, argv + argc);
  return line;
}

std::string help_text() { return Options().help(); }

}  // namespace runner
