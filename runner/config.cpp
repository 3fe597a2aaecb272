#include "config.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

#include "concat.hpp"
#include "config_keys.hpp"
#include "config_values.hpp"
#include "failure.hpp"
#include "ini_file.hpp"
#include "kv_storage/nearest.hpp"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxFileBytes = 1 << 20;

// errno of an attempt to read the file, 0 = it can be read.
int read_errno(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), R_OK) != 0) return errno;
  return S_ISDIR(status.st_mode) ? EISDIR : 0;
}

std::string read_text(const std::string& path) {
  if (const int error = read_errno(path); error != 0) {
    throw Failure(kNoInput, concat("runner: cannot read the configuration '", path, "': ", std::strerror(error)));
  }
  std::ifstream stream(path, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes)
    throw Failure(kBadConfig, concat(path, ": over 1 MiB: this is no configuration file"));
  return text;
}

std::string_view kind_of(std::string_view section) { return section.substr(0, section.find(':')); }

std::vector<std::string_view> section_names() {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    if (names.empty() || names.back() != key.section) names.push_back(key.section);
  }
  return names;
}

std::vector<std::string_view> key_names(std::string_view kind) {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    if (key.section == kind) names.push_back(key.name);
  }
  return names;
}

// Turns the sections of one file into a Config and collects what is wrong with them.
class ConfigReader {
 public:
  explicit ConfigReader(const std::string& path) : path_(path), ini_(parse_ini(read_text(path))) {
    config_.path = fs::absolute(path).lexically_normal().string();
    for (const IniProblem& found : ini_.problems) problem(found.line, found.text);
  }

  Config load() {
    check_sections();
    for (std::string_view name : section_names()) {
      if (name == "csv") continue;
      const auto section =
          std::find_if(ini_.sections.begin(), ini_.sections.end(), [&](auto& s) { return s.name == name; });
      CsvSource none;
      apply(name, section == ini_.sections.end() ? IniSection{std::string(name), 0, {}} : *section, none);
    }
    if (!config_.directory.empty()) config_.directory = beside_file(config_.directory);
    std::string& pid_file = config_.workers.pid_file;
    if (!pid_file.empty()) pid_file = beside_file(pid_file);
    for (const IniSection& section : ini_.sections) {
      if (kind_of(section.name) == "csv") load_csv_section(section);
    }
    check_short_form();
    throw_problems();
    check_files();
    return std::move(config_);
  }

 private:
  [[nodiscard]] std::string beside_file(const std::string& path) const {
    return (fs::path(config_.path).parent_path() / path).lexically_normal().string();
  }

  void check_sections() {
    std::set<std::string> seen;
    std::erase_if(ini_.sections, [&](const IniSection& section) {
      const std::string bad = fault_of(section, seen);
      if (!bad.empty()) problem(section.line, bad);
      return !bad.empty();
    });
    for (const IniSection& section : ini_.sections) check_keys(section);
  }

  static std::string fault_of(const IniSection& section, std::set<std::string>& seen) {
    const std::string_view kind = kind_of(section.name);
    const std::vector<std::string_view> known = section_names();
    const bool is_known = std::find(known.begin(), known.end(), kind) != known.end();
    if (!is_known || (kind != section.name && kind != "csv")) {
      return concat("unknown section [", section.name, "]", kv::suggestion(kind, known, "sections"));
    }
    if (section.name == "csv:") return "[csv:NAME] needs a name";
    if (!seen.insert(section.name).second) return concat("section [", section.name, "] is there twice");
    return {};
  }

  void check_keys(const IniSection& section) {
    const std::vector<std::string_view> known = key_names(kind_of(section.name));
    std::set<std::string> seen;
    for (const IniEntry& entry : section.entries) {
      if (std::find(known.begin(), known.end(), entry.name) == known.end()) {
        problem(entry.line, concat("[", section.name, "] unknown key '", entry.name, "'",
                                   kv::suggestion(entry.name, known, "its keys")));
      } else if (!seen.insert(entry.name).second) {
        problem(entry.line, concat("[", section.name, "] key '", entry.name, "' is there twice"));
      }
    }
  }

  // Every key of the section takes effect, given or not, so that the table alone decides the defaults.
  void apply(std::string_view kind, const IniSection& section, CsvSource& source) {
    EffectiveSection effective{section.name, {}};
    for (const ConfigKey& key : config_keys()) {
      if (key.section != kind) continue;
      const auto given =
          std::find_if(section.entries.begin(), section.entries.end(), [&](auto& e) { return e.name == key.name; });
      const bool is_given = given != section.entries.end();
      effective.values.push_back(is_given ? given->value : std::string(key.default_value));
      try {
        key.apply(effective.values.back(), config_, source);
      } catch (const BadValue& error) {
        problem(given->line, concat("[", section.name, "] ", key.name, ": ", error.what()));
      }
    }
    config_.effective.push_back(std::move(effective));
  }

  void load_csv_section(const IniSection& section) {
    CsvSource source;
    source.section = section.name;
    source.line = section.line;
    apply("csv", section, source);
    const bool is_short_form = section.name == "csv";
    if (is_short_form && !config_.csv.empty()) {
      if (!source.options.path.empty())
        problem(section.line, "[csv] path is set, and so is [kv_storage] csv: keep one");
      source.options.path = config_.csv;
    }
    if (source.options.path.empty()) {
      // A [csv] without a file and a key, as configs/default.ini has it, asks for nothing.
      if (is_short_form && source.options.key.empty()) return;
      const char* remedy = is_short_form ? "set [kv_storage] csv, or path here" : "set path";
      return problem(section.line, concat("[", section.name, "] names no file: ", remedy));
    }
    if (source.options.key.empty())
      problem(section.line, concat("[", section.name, "] needs a key, such as key = {id}"));
    if (source.options.into.empty()) {
      source.options.into =
          is_short_form ? fs::path(source.options.path).stem().string() : section.name.substr(std::strlen("csv:"));
    }
    source.options.path = beside_file(source.options.path);
    for (const CsvSource& other : config_.files) {
      if (other.options.into == source.options.into) {
        problem(section.line, concat("[", section.name, "] and [", other.section, "] load into the same collection '",
                                     source.options.into, "'"));
      }
    }
    config_.files.push_back(std::move(source));
  }

  void check_short_form() {
    const bool has_section =
        std::any_of(ini_.sections.begin(), ini_.sections.end(), [](auto& s) { return s.name == "csv"; });
    if (config_.csv.empty() || has_section) return;
    problem(0, "[kv_storage] csv needs a section [csv] with a key, such as key = {id}");
  }

  void check_files() {
    std::string text;
    for (const CsvSource& source : config_.files) {
      const int error = read_errno(source.options.path);
      if (error == 0) continue;
      append_line(text, source.line,
                  concat("[", source.section, "] cannot read '", source.options.path, "': ", std::strerror(error)));
    }
    if (!text.empty()) throw Failure(kNoInput, text);
  }

  void problem(int line, std::string text) { problems_.push_back({line, std::move(text)}); }

  void throw_problems() {
    if (problems_.empty()) return;
    std::stable_sort(problems_.begin(), problems_.end(), [](auto& a, auto& b) { return a.line < b.line; });
    std::string text;
    for (const IniProblem& found : problems_) append_line(text, found.line, found.text);
    throw Failure(kBadConfig, text);
  }

  void append_line(std::string& text, int line, const std::string& what) const {
    if (!text.empty()) text += '\n';
    text += concat(path_, line == 0 ? "" : concat(":", std::to_string(line)), ": ", what);
  }

  std::string path_;  // as given: messages use it
  IniFile ini_;
  Config config_;
  std::vector<IniProblem> problems_;
};

}  // namespace

Config default_config() {
  Config config;
  CsvSource none;
  for (const ConfigKey& key : config_keys()) {
    if (key.section != "csv") key.apply(std::string(key.default_value), config, none);
  }
  return config;
}

Config load_config(const std::string& path) { return ConfigReader(path).load(); }

std::string describe_config(const Config& config) {
  std::ostringstream out;
  for (const EffectiveSection& section : config.effective) {
    out << (out.tellp() == 0 ? "[" : "\n[") << section.name << "]\n";
    const std::vector<std::string_view> names = key_names(kind_of(section.name));
    for (std::size_t i = 0; i < names.size(); ++i) {
      out << names[i] << " =" << (section.values[i].empty() ? "" : " ") << section.values[i] << '\n';
    }
  }
  return out.str();
}

std::string default_configuration() {
  std::ostringstream out;
  out << "; Every key of the runner's configuration with its default. Printed by: runner "
         "--print-default-configuration\n";
  std::string_view section;
  for (const ConfigKey& key : config_keys()) {
    if (key.section != section) {
      section = key.section;
      out << "\n; " << section_help(section) << "\n[" << section << "]\n";
    }
    std::istringstream help{std::string(key.help)};
    for (std::string line; std::getline(help, line);) out << "; " << line << '\n';
    out << key.name << " =" << (key.default_value.empty() ? "" : " ") << key.default_value << '\n';
  }
  return out.str();
}

}  // namespace runner
