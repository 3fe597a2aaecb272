// The one table of configuration keys. Reading a file, the names suggested for a mistyped one, --check and
// configs/default.ini all follow from it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config.hpp"

namespace runner {

// Twice as many, during a replacement, must find a slot in the store (1024).
inline constexpr unsigned kMaxWorkers = 256;

struct ConfigKey {
  std::string_view section;  // "csv" stands for every [csv:NAME], too
  std::string_view name;
  std::string_view default_value;
  std::string_view help;
  // Stores the value in `config`, or for a key of "csv" in `source`. Throws BadValue.
  void (*apply)(const std::string& value, Config& config, CsvSource& source);
};

[[nodiscard]] std::span<const ConfigKey> config_keys();

// What a section is for, said once above it in configs/default.ini.
[[nodiscard]] std::string_view section_help(std::string_view section);

}  // namespace runner
