// What a process does to make a store durable: it writes the parts' logs, syncs them, and writes checkpoints.
//
// All processes of a store write the same files, each under the part lock; where they stand is in shared memory
// (LogState, DurableState). One object a process and directory, owned by the arena.
//
//   append    under the part lock: one record into the mapped segment; some 50 ns
//   settle    without: waits for the disk (sync = always), starts the thread that syncs (interval), or neither (off)
//   flush     everything committed before the call is on disk on return
//   checkpoint  writes what the store holds beside the log, so that the log before it can go
//
// After a failed sync or write the kernel may have dropped the pages while it reports success from then on
// ("fsyncgate"): the failure is kept in shared memory, and every later append of every process fails until the store
// has been opened anew from its files.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "kv_storage/owned_fd.hpp"
#include "kv_storage/store.hpp"
#include "memory/arena.hpp"
#include "memory/log_sink.hpp"
#include "persist/background.hpp"
#include "persist/files.hpp"
#include "persist/manifest.hpp"
#include "persist/segment.hpp"

namespace kv::persist {

class DurableLog final : public LogSink {
 public:
  // `directory`: a descriptor of its own. The arena owns the object, and must outlive its use.
  DurableLog(Arena& arena, OwnedFd directory, std::string path);
  ~DurableLog() override;

  void append(Transaction& txn, std::uint8_t kind, std::span<const ByteView> pieces) override;
  void retract(const Part& part) noexcept override;
  void settle() override;

  // Throws Error{kIo, kInterrupted}.
  void flush();
  // Waits for one that is being written. Throws Error{kIo, kClosed, kInterrupted}; then the one before is in force.
  void checkpoint();
  // Holds off checkpoints while one lives; a number for a new file of the directory.
  class FilesLock {
   public:
    explicit FilesLock(DurableLog& log);             // waits through the wait hook
    FilesLock(DurableLog& log, std::try_to_lock_t);  // throws Error{kIo} (EBUSY)
    FilesLock(const FilesLock&) = delete;
    FilesLock& operator=(const FilesLock&) = delete;
    ~FilesLock();
    [[nodiscard]] std::uint64_t next_number() const noexcept;

   private:
    void locked(int result);
    DurableLog& log_;
  };

  // No write of this process gets into the log any more; what did is on disk on return, unless sync = off.
  void close() noexcept;
  // For the last process of a store, after close(), while it holds the directory alone: shortens the files to what is
  // in them; with sync = off, writes a checkpoint first.
  void finish() noexcept;

  void check_trusted() const;  // throws Error{kIo} if a write or sync has failed
  [[nodiscard]] DurabilityStats stats() const;
  [[nodiscard]] int directory() const noexcept { return directory_.get(); }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] Arena& arena() const noexcept { return arena_; }
  [[nodiscard]] DurableState& state() const noexcept { return arena_.header().durable; }
  [[nodiscard]] SyncMode mode() const noexcept;
  // Log bytes of all parts that no checkpoint covers, and how many there may be before one is due.
  [[nodiscard]] std::uint64_t log_bytes() const noexcept;
  [[nodiscard]] std::uint64_t log_limit() const noexcept;
  [[nodiscard]] bool checkpoint_is_due() const noexcept;

  // ---- For the thread in the background ----
  void sync_all();                                         // throws Error{kIo}
  void try_checkpoint(const std::function<bool()>& stop);  // throws as checkpoint(), and if files are locked

  void rest() noexcept;  // until the next write
  void before_fork() noexcept;
  void after_fork(bool in_child) noexcept;

 private:
  friend class FilesLock;

  void checkpoint(const FilesLock& lock, const std::function<bool()>& stop);
  void check_writable() const;
  [[noreturn]] void throw_failure() const;
  void fail(FileCall call, int error) noexcept;
  void start_segment(Transaction& txn, std::uint64_t record_bytes);
  Segment& current_segment(const Part& part);
  void wait_until_durable(Part& part, std::uint64_t end);
  void sync_part(Part& part);
  int segment_to_sync(const Part& part, std::uint64_t number);
  void hold_back_writers();

  Arena& arena_;
  OwnedFd directory_;
  std::string path_;
  std::array<Segment, kMaxParts> segments_;  // each under its part's lock
  struct SyncFile {
    std::uint64_t number = 0;
    OwnedFd fd{-1};
  };
  std::array<SyncFile, kMaxParts> sync_files_;  // each under its part's sync mutex
  std::atomic<bool> closed_{false};             // changes with all part locks held once after
  Background background_;
};

}  // namespace kv::persist
