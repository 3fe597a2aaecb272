// Looking into the files of a data directory without opening it as a store, and saving what is intact in a damaged one.
// Neither writes to it. docs/durability.md is for users, docs/persistence_format.md explains the figures.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kv_storage/store.hpp"

namespace kv {

// What of a file cannot be read.
struct FileDamage {
  std::string file;  // its name in the directory
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;               // up to something intact or the file's end; 0 if that is not known
  std::optional<std::uint64_t> records;  // how many were there
  std::optional<std::uint64_t> entries;  // of a checkpoint or load: how many the whole file lacks
  std::string what;
};

struct InspectedFile {
  enum class Kind : std::uint8_t { kLog, kCheckpoint, kLoad, kOther };

  std::string name;
  Kind kind = Kind::kOther;
  bool in_force = false;  // the manifest counts on it; others are left-overs
  bool blank = false;     // a segment of which nothing was written
  bool sound_header = false;
  std::uint64_t bytes = 0;
  std::uint32_t format = 0;  // these as the header says, sound or not
  std::uint32_t part = 0;
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
  std::uint64_t first = 0;                       // position of the first record
  std::map<std::string, std::uint64_t> records;  // intact ones, by the name of their kind
  std::uint64_t entries = 0;                     // in the pages of a checkpoint or load
  std::uint64_t end = 0;                         // offset behind the last intact record
  std::uint64_t end_position = 0;
  std::uint64_t gaps = 0;  // places with something unreadable, between intact records
  bool torn = false;       // something unreadable at the end
};

struct InspectedManifest {
  struct Log {
    std::uint64_t epoch;
    std::uint32_t part;
    std::uint64_t segment;  // where it is to be read from
    std::uint64_t position;
  };
  std::uint64_t bytes = 0;
  std::uint64_t seed = 0;
  std::uint64_t next = 0;
  std::uint32_t serial = 0;
  std::uint64_t checkpoint = 0;  // 0 = none
  std::uint32_t checkpoint_parts = 0;
  std::vector<Log> logs;
};

struct Inspection {
  std::string path;
  bool in_use = false;                        // a process has the store open
  std::uint32_t format = 0;                   // the newest one this version reads
  std::optional<InspectedManifest> manifest;  // none: there is none, or it is damaged
  std::vector<InspectedFile> files;           // sorted by kind and number
  std::vector<FileDamage> damage;             // empty: the directory can be opened
  std::uint64_t torn_logs = 0;                // that end in something unreadable, as a log may
};

// Of a store in use, what it was at some time; damage is told if it was there twice.
// Throws Error{kIo} (also for a newer format), kNotFound if there is no such directory.
[[nodiscard]] Inspection inspect_directory(const std::string& path);

struct RepairReport {
  std::vector<FileDamage> lost;
  std::vector<std::string> notes;  // what is in the new directory, but not as it was
  std::uint64_t collections = 0;   // with the root
  std::uint64_t entries = 0;
};

// Writes all that is intact in the data directory `path` to a new one, which opens as a store: whole, or not at all.
// The data must fit into memory as for opening it; `options` are those of Store::open. Throws Error{kBusy} if a process
// has the store open; kInvalidArgument if something is at `into` other than an empty directory, kNotFound if `path` is
// no data directory; kIo, kOverCapacity.
RepairReport repair_directory(const std::string& path, const std::string& into, const StoreOptions& options = {});

}  // namespace kv
