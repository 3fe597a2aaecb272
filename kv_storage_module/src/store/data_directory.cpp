#include "kv_storage/data_directory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kv_storage/error.hpp"
#include "kv_storage/owned_fd.hpp"
#include "persist/checkpoint.hpp"
#include "persist/inspect.hpp"
#include "persist/new_directory.hpp"
#include "persist/salvage.hpp"
#include "store/lock_file.hpp"
#include "store/store_impl.hpp"

namespace kv {
namespace {

// Only to be read, and not made.
[[nodiscard]] OwnedFd open_directory(const std::string& path) {
  OwnedFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.is_open()) return fd;
  if (errno == ENOENT || errno == ENOTDIR) {
    throw Error(ErrorCode::kNotFound, "there is no directory '" + path + "'");
  }
  throw Error::from_errno(errno, "cannot open the data directory", path);
}

[[nodiscard]] bool is_same(const FileDamage& a, const FileDamage& b) {
  return a.file == b.file && a.offset == b.offset && a.what == b.what;
}

// The new store, which needs no log: nobody else has written to the arena.
void write_whole_store(Arena& arena, const persist::NewDirectory& target, RepairReport& report) {
  constexpr std::uint64_t kNumber = 1;
  const auto never = [] { return false; };
  const auto files = persist::write_parts(arena, {target.fd(), target.path(), kNumber, kNumber}, never);
  persist::manifest_of(arena, kNumber, kNumber + 1, files, {}).write(target.fd(), target.path());
  report.entries = files.entries;
}

}  // namespace

Inspection inspect_directory(const std::string& path) {
  const OwnedFd directory = open_directory(path);
  bool in_use = LockFile::is_held(directory.get());
  Inspection found = persist::inspect(directory.get(), path);
  in_use = in_use || LockFile::is_held(directory.get());
  found.in_use = in_use;
  if (!in_use || found.damage.empty()) return found;
  // A file may have gone, or a log may have grown, while it was read. Damage stays.
  Inspection again = persist::inspect(directory.get(), path);
  again.in_use = true;
  std::erase_if(again.damage, [&](const FileDamage& damage) {
    return std::none_of(found.damage.begin(), found.damage.end(),
                        [&](const FileDamage& before) { return is_same(before, damage); });
  });
  return again;
}

RepairReport repair_directory(const std::string& path, const std::string& into, const StoreOptions& options) {
  const OwnedFd directory = open_directory(path);
  if (LockFile::is_held(directory.get())) {
    throw Error(ErrorCode::kBusy, "the store '" + path + "' is in use: it can be repaired when all have closed it");
  }
  persist::NewDirectory target(into);
  persist::Salvage salvage(directory.get(), path);
  const auto arena = Arena::create({.max_memory = options.max_memory, .parts = salvage.parts()});
  make_root_hash(*arena);
  salvage.restore(*arena);
  RepairReport report = std::move(salvage.report());
  write_whole_store(*arena, target, report);
  target.finish();
  return report;
}

}  // namespace kv
