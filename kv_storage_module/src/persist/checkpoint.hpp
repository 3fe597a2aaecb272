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

#include "collections/catalog.hpp"
#include "persist/durable_log.hpp"

namespace kv::persist {

// While files are locked. Gives up with Error{kInterrupted} when stop() says so. Throws Error{kIo}; then the one before
// stays in force.
void write_checkpoint(DurableLog& log, std::uint64_t number, const std::function<bool()>& stop);

// Writes the contents of a collection that nobody else knows to load-<number>. Throws Error{kIo, kInterrupted}.
void write_load(DurableLog& log, std::uint64_t number, const CatalogRecord& record);

// Files that are neither in force nor named in `kept_loads` are removed. While files are locked, or alone.
void remove_stale_files(int directory, const std::string& path, const Manifest& manifest,
                        const std::function<bool(std::uint64_t number)>& keep_load);

}  // namespace kv::persist
