// What the files of a data directory say, for people: kv_storage/data_directory.hpp has the result.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "collections/log_records.hpp"
#include "kv_storage/data_directory.hpp"

namespace kv::persist {

// The files of a data directory by what they are.
struct DirectoryListing {
  // Numbers of segments, ascending, by epoch and part.
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::vector<std::uint64_t>> segments;
  std::map<std::uint64_t, std::vector<std::uint32_t>> checkpoints;  // parts, ascending, by number
  std::vector<std::string> names;                                   // all but LOCK, sorted

  [[nodiscard]] std::vector<std::uint64_t> segments_of(std::uint64_t epoch, std::uint32_t part) const;
  [[nodiscard]] bool holds(const std::string& name) const;
};
// Throws Error{kIo}.
[[nodiscard]] DirectoryListing list_directory(int directory, const std::string& path);

[[nodiscard]] std::string name_of(LogKind kind);

// All but in_use. Throws Error{kIo}.
[[nodiscard]] Inspection inspect(int directory, const std::string& path);

}  // namespace kv::persist
