#include "preload.hpp"

#include <cstdlib>

#include "concat.hpp"
#include "failure.hpp"
#include "interrupt.hpp"
#include "progress.hpp"
#include "transform.hpp"

namespace runner {
namespace {

// `file` is what was being read. The core names "key", "where" or "types" as the place of a mistake in those settings.
ExitCode exit_code_of(const kv::Error& error, const std::string& file) {
  switch (error.code()) {
    case kv::ErrorCode::kIo:
      return error.path().empty() ? kSystem : kNoInput;
    case kv::ErrorCode::kOverCapacity:
    case kv::ErrorCode::kBusy:
      return kSystem;
    case kv::ErrorCode::kParse:
      return error.path() == file ? kBadData : kBadConfig;
    case kv::ErrorCode::kOverflow:
      return kBadData;
    case kv::ErrorCode::kInvalidArgument:
    case kv::ErrorCode::kTypeMismatch:
    case kv::ErrorCode::kNotFound:
      return kBadConfig;
    case kv::ErrorCode::kClosed:
    case kv::ErrorCode::kReplaced:
    case kv::ErrorCode::kCorrupt:
    case kv::ErrorCode::kReentry:
    case kv::ErrorCode::kInterrupted:
      break;
  }
  return kInternal;
}

// A parent that is gone or out of reach is none: the store is then built again.
std::shared_ptr<kv::Store> attach_to_parent() {
  const char* address = std::getenv(kAttachVariable);
  if (address == nullptr || *address == '\0') return nullptr;
  try {
    return kv::Store::attach(address);
  } catch (const kv::Error&) {
    return nullptr;
  }
}

void load_native(kv::Store& store, const CsvSource& source, Progress& progress) {
  const kv::CsvReport report = store.load_csv(source.options, [&](auto done, auto total, auto rows) {
    progress.update(done, total, rows);
    return InterruptGuard::signal() == 0;
  });
  progress.finish(report.rows);
}

void load_file(kv::Store& store, const CsvSource& source, const Loader& loader, ProgressMode mode) {
  Progress progress(mode, source.options.path);
  try {
    if (source.transform.empty()) {
      load_native(store, source, progress);
    } else {
      load_transformed(source, loader);
      if (InterruptGuard::signal() == 0) progress.finish_transformed();
    }
  } catch (const kv::Error& error) {
    progress.abandon();
    if (error.code() == kv::ErrorCode::kInterrupted) return;  // the caller looks at the signal
    throw Failure(exit_code_of(error, source.options.path),
                  concat("runner: loading [", source.section, "]: ", error.what()));
  }
}

// Who joins a store that others have finds what they loaded; who opens a data directory, what was loaded from the same
// file before. What a transform made of a file is made again: its program may have changed.
bool is_there(const kv::Store& store, const CsvSource& source) {
  if (!store.built()) return store.kind(source.options.into).has_value();
  return source.transform.empty() && store.holds_csv(source.options);
}

// The native files first: a transform may look things up in what they hold.
void load_files(kv::Store& store, const Config& config, const Loader& loader, ProgressMode mode) {
  for (const bool transformed : {false, true}) {
    for (const CsvSource& source : config.files) {
      if (source.transform.empty() == transformed || is_there(store, source)) continue;
      load_file(store, source, loader, mode);
      if (InterruptGuard::signal() != 0) return;
    }
  }
}

// Another process may be opening the directory, for as long as it takes to recover what is in it.
void wait_unless_interrupted(bool (*try_wait)(void*), void* context) {
  while (!try_wait(context)) {
    if (InterruptGuard::signal() != 0) throw kv::Error(kv::ErrorCode::kInterrupted, "interrupted by a signal");
  }
}

// Null if a signal interrupted it.
std::shared_ptr<kv::Store> create_store(const Config& config) {
  try {
    if (config.directory.empty()) return kv::Store::create(config.store);
    kv::set_wait_hook(wait_unless_interrupted);  // until the interpreter sets its own
    return kv::Store::open(config.directory, config.store);
  } catch (const kv::Error& error) {
    if (error.code() == kv::ErrorCode::kInterrupted) return nullptr;
    const ExitCode code = error.code() == kv::ErrorCode::kIo ? kSystem : exit_code_of(error, {});
    const char* const what = config.directory.empty() ? "make the store: " : "open [kv_storage] path: ";
    throw Failure(code, concat("runner: cannot ", what, error.what()));
  }
}

}  // namespace

std::shared_ptr<kv::Store> open_store(const CommandLine& line, const Config& config, const std::string& script) {
  if (!line.configuration_is_explicit && config.directory.empty()) {
    if (std::shared_ptr<kv::Store> shared = attach_to_parent()) {
      kv::Store::set_process_store(shared);
      return shared;
    }
  }
  int signal = 0;
  std::shared_ptr<kv::Store> store;
  {
    const InterruptGuard guard;
    store = create_store(config);
    if (store != nullptr) {
      setenv(kAttachVariable, store->address().c_str(), 1);
      const Loader loader{line.python.empty() ? nullptr : line.python[0], config.path, script};
      load_files(*store, config, loader, line.progress ? ProgressMode::kOn : config.progress);
    }
    signal = InterruptGuard::signal();
    if (signal != 0 && store != nullptr) store->close();
  }
  if (signal != 0) die_by(signal);
  kv::Store::set_process_store(store);
  return store;
}

std::shared_ptr<kv::Store> join_store() {
  const char* const address = std::getenv(kAttachVariable);
  try {
    std::shared_ptr<kv::Store> store = kv::Store::attach(address == nullptr ? "" : address);
    kv::Store::set_process_store(store);
    return store;
  } catch (const kv::Error& error) {
    throw Failure(kSystem, concat("runner: cannot join the store: ", error.what()));
  }
}

}  // namespace runner
