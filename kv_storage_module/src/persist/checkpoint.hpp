// Checkpoints: what the parts held, in files beside the logs. They are *fuzzy*: a part is walked in batches while
// others write, so its file holds some later changes and not others. That is right because the log is read from the
// position on that the walk began at, and its records are absolute: what the walk saw too early is written again, what
// it missed is in the log.
//
// In order: the walks; all logs synced, as a later change that a file holds must not outlive an earlier one; the
// manifest, which makes it count; and only then are older files removed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "collections/catalog.hpp"
#include "persist/durable_log.hpp"

namespace kv::persist {

// Where a checkpoint goes: any directory, not only that of the store.
struct CheckpointPlace {
  int directory;
  const std::string& path;
  std::uint64_t epoch;  // of the logs that complete it
  std::uint64_t number;
};
struct CheckpointFiles {
  Epoch epoch;  // from where each part's log completes it
  std::uint32_t serial = 1;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
};
// Its files, one a part, each complete and on disk but not the directory; nothing names them yet. Throws Error{kIo},
// and kInterrupted when stop() says so; then some of them may be there.
CheckpointFiles write_parts(Arena& arena, const CheckpointPlace& place, const std::function<bool()>& stop);
// One that names them.
[[nodiscard]] Manifest manifest_of(const Arena& arena, std::uint64_t number, std::uint64_t next,
                                   const CheckpointFiles& files, std::vector<Epoch> epochs);

// While files are locked. Gives up with Error{kInterrupted} when stop() says so. Throws Error{kIo}; then the one before
// stays in force.
void write_checkpoint(DurableLog& log, std::uint64_t number, const std::function<bool()>& stop);

// Writes the contents of a collection that nobody else knows to load-<number>. Throws Error{kIo, kInterrupted}.
void write_load(DurableLog& log, std::uint64_t number, const CatalogRecord& record);

// Files that are neither in force nor named in `kept_loads` are removed. While files are locked, or alone.
void remove_stale_files(int directory, const std::string& path, const Manifest& manifest,
                        const std::function<bool(std::uint64_t number)>& keep_load);

}  // namespace kv::persist
