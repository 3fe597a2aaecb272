// What a configuration file says, read and checked as a whole before anything is done (docs/configuration.md).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "kv_storage/csv.hpp"
#include "kv_storage/store.hpp"
#include "listen.hpp"

namespace runner {

enum class GcMode { kOn, kOff, kFreeze };
enum class Allocator { kPymalloc, kMalloc };
enum class ProgressMode { kAuto, kOn, kOff };

// Of the supervisor (docs/workers.md).
struct WorkerOptions {
  unsigned count = 0;  // 0 = the program runs in this process
  ListenAddress listen;
  std::string listen_text;  // as written
  std::string pid_file;     // absolute; "" = none
  std::chrono::milliseconds ready_timeout{};
  std::chrono::milliseconds stop_timeout{};
};

// One CSV file to be loaded: a [csv] or [csv:NAME] section.
struct CsvSource {
  kv::CsvOptions options;
  std::string transform;  // "module:function", "" = none
  std::string section;    // "csv:flights"
  int line = 0;           // of the section
};

// A section as it is in force: every key, those not in the file with their defaults.
struct EffectiveSection {
  std::string name;
  std::vector<std::string> values;  // in the order of config_keys()
};

struct Config {
  std::string path;  // absolute; "" = no configuration
  kv::StoreOptions store;
  std::string directory;  // of the data, absolute; "" = a store in memory
  std::string csv;        // the short form, as written; its file is among `files`
  std::vector<CsvSource> files;
  GcMode gc = GcMode::kOn;
  Allocator allocator = Allocator::kPymalloc;
  ProgressMode progress = ProgressMode::kAuto;
  WorkerOptions workers;
  std::vector<EffectiveSection> effective;
};

// What is in force without a file.
[[nodiscard]] Config default_config();

// Throws Failure listing everything that is wrong with the file: kNoInput if it or a CSV file it names cannot be read,
// else kBadConfig.
[[nodiscard]] Config load_config(const std::string& path);

// The configuration in force, as a file that load_config() accepts.
[[nodiscard]] std::string describe_config(const Config& config);

// configs/default.ini: every key with its default and what it means.
[[nodiscard]] std::string default_configuration();

}  // namespace runner
