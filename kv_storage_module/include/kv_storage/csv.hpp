// Loading CSV files: options, progress, report. The parser itself knows nothing of the store (src/csv/).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kv_storage/error.hpp"
#include "kv_storage/schema.hpp"

namespace kv {

enum class OnDuplicate : std::uint8_t { kError, kFirst, kLast };

struct CsvOptions {
  std::string path;
  std::string into;                          // collection; replaced when the load is complete
  std::string key;                           // template: "{origin}-{dest}-{day:02}"; Python's format-spec subset
  std::map<std::string, std::string> types;  // column -> type name (Schema::parse_type); the rest is inferred
  std::string where;                         // row filter, "" = all: "dep_delay is not null and month == 6"
  OnDuplicate on_duplicate = OnDuplicate::kError;
  char delimiter = 0;  // 0 = found out among , TAB ; |
  char quote = '"';
  std::optional<bool> header;        // none = first line is a header
  std::vector<std::string> columns;  // names where there is no header (default c0, c1, ...)
  std::vector<std::string> missing = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"};
  std::uint32_t threads = 0;  // 0 = CPUs
};

struct CsvReport {
  std::uint64_t rows = 0;      // stored
  std::uint64_t filtered = 0;  // refused by `where`
  std::uint64_t duplicates = 0;
  std::uint64_t bytes = 0;  // of the file
  double seconds = 0;
  Schema schema;
};

// Called from the loading thread about ten times a second; returning false stops the load with Error{kInterrupted}.
using CsvProgress = std::function<bool(std::uint64_t bytes_done, std::uint64_t bytes_total, std::uint64_t rows)>;

}  // namespace kv
