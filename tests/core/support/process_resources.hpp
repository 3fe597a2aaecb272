// What this process holds of any arena: descriptors and mappings, read from /proc, so that a leak is a difference.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace kv::test {

inline constexpr const char* kArenaFile = "memfd:kv_storage";

struct ArenaResources {
  std::size_t descriptors;
  std::size_t mappings;
  bool operator==(const ArenaResources&) const = default;
};

inline ArenaResources arena_resources() {
  ArenaResources found{};
  std::error_code gone;  // the directory's own descriptor is closed before it can be asked about
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    found.descriptors += target.find(kArenaFile) != std::string::npos;
  }
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) found.mappings += line.find(kArenaFile) != std::string::npos;
  return found;
}

// The flags (proc(5), VmFlags) of each mapping of an arena in this process.
inline std::vector<std::string> arena_mapping_flags() {
  std::vector<std::string> found;
  std::ifstream smaps("/proc/self/smaps");
  bool in_arena = false;
  for (std::string line; std::getline(smaps, line);) {
    const bool header = line.find('-') != std::string::npos && line.find('-') < line.find(' ');
    if (header) in_arena = line.find(kArenaFile) != std::string::npos;
    if (in_arena && line.rfind("VmFlags:", 0) == 0) found.push_back(line + ' ');
  }
  return found;
}

}  // namespace kv::test
