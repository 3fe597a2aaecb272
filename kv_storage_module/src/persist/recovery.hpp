// Opening the files of a data directory into a new arena.
//
// In order: the manifest; all logs are checked and their ends found, which also gives the names of the collections; the
// collections are made; then their contents, by as many threads as there are parts to read: first the checkpoint, then
// the logs of one epoch after the other (an epoch is the life of one arena, and their numbers of parts may differ), at
// last a manifest with a new epoch, into whose logs this arena's processes write.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kv_storage/owned_fd.hpp"
#include "memory/arena.hpp"
#include "persist/durable_log.hpp"

namespace kv::persist {

struct RecoveryReport {
  std::uint64_t entries = 0;  // put in, some of those that were replaced later included
  std::uint64_t log_records = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t torn_logs = 0;  // that ended in something unreadable, as a log may
};

// `arena` has just been made, with an empty root Hash, and nobody else knows it: the directory is held alone. Throws
// Error{kCorrupt} naming file and offset, kIo (also for a newer format), kOverCapacity. Changes no file unless it
// succeeds.
RecoveryReport recover(Arena& arena, int directory, const std::string& path);

// Both ways to come to an arena with files end here: from now on this process writes what it changes.
void start_logging(Arena& arena, int directory, const std::string& path);
[[nodiscard]] DurableLog* log_of(const Arena& arena) noexcept;  // null: a store in memory

}  // namespace kv::persist
