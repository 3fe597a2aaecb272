// What happens before the interpreter exists: the store is made and the configured CSV files are loaded into it.
#pragma once

#include <memory>

#include "cli.hpp"
#include "config.hpp"
#include "kv_storage/store.hpp"

namespace runner {

// Where children find the store.
inline constexpr const char* kAttachVariable = "KV_STORAGE_ATTACH";

// The store of this process: that of the parent process if there is one to share and the configuration was inherited
// with it, else a new one, filled from `config` and offered to children through the environment. No thread is left
// running. Throws Failure; an interrupt ends the process by its signal.
[[nodiscard]] std::shared_ptr<kv::Store> open_store(const CommandLine& line, const Config& config,
                                                    const std::string& script);

// The store of the supervisor, in a worker. Throws Failure{kSystem}.
[[nodiscard]] std::shared_ptr<kv::Store> join_store();

}  // namespace runner
