// A copy of a store in a directory of its own, made while others read and write: a checkpoint of it, and what was
// logged from its beginning up to one instant at its end. The copy is a data directory like any other.
#pragma once

#include <string>

#include "persist/durable_log.hpp"

namespace kv::persist {

// The copy holds what the store held at an instant before the return. With several parts that others write to without
// a pause, each part is as of an instant of its own. Waits for a checkpoint that is being written, and holds off
// others. Throws Error{kInvalidArgument} if something is at `to` other than an empty directory, kIo, kInterrupted; then
// nothing is there. A store whose log has failed can be copied: it is as memory has it.
void write_backup(DurableLog& log, const std::string& to);

}  // namespace kv::persist
