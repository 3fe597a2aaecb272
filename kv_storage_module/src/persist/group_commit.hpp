// Having one sync serve several writers, with sync = always.
//
// Left alone, two writers take turns: while one syncs, the other one's record is appended, too late for this sync, and
// is synced alone, while the first appends its next. So who is about to sync waits a little for those who were there a
// moment ago, if they are likely to come: those whom the last sync served, and those who came while it ran. It stops as
// soon as they are there, and after half of what a sync takes; having waited in vain, it leaves it be for a while, each
// time for longer. A single writer is never waited for. (PostgreSQL's commit_delay with commit_siblings, and MySQL's
// binlog_group_commit_sync_delay with its no_delay_count, are the same with numbers that somebody has to set.)
//
// Who waits for a sync looks for it busily as long as one may take on a quick disk: to be woken by another process
// takes as long as such a sync.
#pragma once

#include <cstdint>

#include "memory/layout.hpp"

namespace kv::persist {

class GroupCommit {
 public:
  explicit GroupCommit(LogState& log) noexcept : log_(log) {}

  // A writer whose record has been appended begins to wait.
  void arrive() noexcept { __atomic_fetch_add(&log_.arrivals, 1, __ATOMIC_RELAXED); }
  // Looks busily, for a short time if at all, until the log is on disk up to `end` or the sync mutex is locked. What
  // pthread_mutex_trylock returned; EBUSY: neither. Done is to be asked for again.
  [[nodiscard]] int spin(std::uint64_t end) noexcept;

  // Under the sync mutex, around a sync for a writer.
  void before_sync() noexcept;
  void after_sync() noexcept;

 private:
  LogState& log_;
  std::uint64_t begin_ns_ = 0;
  std::uint64_t serves_ = 0;  // `arrivals` when the sync began
};

}  // namespace kv::persist
