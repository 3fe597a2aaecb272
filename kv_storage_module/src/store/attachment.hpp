// This process's share of a data directory: the LOCK held as a member, and the arena. One for each directory in use,
// whatever number of handles; the last one to go gives the share back.
#pragma once

#include <memory>

#include "memory/arena.hpp"
#include "store/directory.hpp"
#include "store/lock_file.hpp"

namespace kv {

class Attachment : public std::enable_shared_from_this<Attachment> {
 public:
  // What fills a new arena before anybody else can see it, and what each process that joins it needs. Run with the
  // turn taken and the registry of this process locked: they must not wait for Python or open other stores.
  struct Hooks {
    void (*recover)(Attachment& attachment);  // this process built the arena
    void (*join)(Attachment& attachment);     // this process joined one
  };

  // The share of the directory at `path`; joins its arena through any process that has it, else builds it. Waits while
  // another process is opening it. Throws Error{kInvalidArgument, kIo, kOverCapacity, kInterrupted}; Error{kBusy} names
  // the processes that hold the store and cannot be reached.
  static std::shared_ptr<Attachment> open(const std::string& path, const ArenaOptions& options, const Hooks& hooks);

  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  ~Attachment();

  [[nodiscard]] const Directory& directory() const noexcept { return directory_; }
  [[nodiscard]] const std::shared_ptr<Arena>& arena() const noexcept { return arena_; }
  [[nodiscard]] bool built() const noexcept { return built_; }  // by this process, not joined

 private:
  friend class Registry;
  Attachment(Directory directory, LockFile lock) noexcept;

  // Destroyed bottom up: the lock goes last.
  Directory directory_;
  LockFile lock_;
  std::shared_ptr<Arena> arena_;
  bool built_ = false;
  bool registered_ = false;
};

}  // namespace kv
