// The arena: one sealed memfd that every process of a store maps, cut into parts.
//
// It is sparse and as large as it can ever become; pages are taken (fallocate) before they are used, so running out of
// memory is an exception and not SIGBUS. It lives as long as a process has it mapped or open.
//
// Slots. Each attached process owns a slot, which names it in the pin tables. Its proof of life is an
// open-file-description lock on the slot's byte of the memfd (fcntl(2), F_OFD_SETLK): the kernel drops it with the
// process, however it ends, and on exec; a pid would say nothing after reuse. fork() gives the child a slot of its own
// with copies of its parent's pins, because a memoryview alive at the fork exists twice from then on.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "memory/layout.hpp"
#include "memory/log_sink.hpp"
#include "memory/part.hpp"

namespace kv {

struct ArenaOptions {
  std::uint64_t max_memory = 0;  // bytes; 0 = 60 % of memory_limit(): Python needs the rest
  std::uint32_t parts = 0;       // 0 = as many as max_memory needs
  std::uint64_t device = 0;      // of the data directory, and its inode; 0 = none
  std::uint64_t inode = 0;
};

class Arena : public std::enable_shared_from_this<Arena> {
 public:
  static std::shared_ptr<Arena> create(const ArenaOptions& options);
  // Joins the arena that process `pid` of the same user has open as `fd`. Throws Error{kBusy} if it is not that arena.
  static std::shared_ptr<Arena> attach(int pid, int fd, std::uint64_t id);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  [[nodiscard]] ArenaHeader& header() const noexcept { return *reinterpret_cast<ArenaHeader*>(base_); }
  [[nodiscard]] std::uint32_t part_count() const noexcept { return static_cast<std::uint32_t>(parts_.size()); }
  [[nodiscard]] Part& part(std::uint32_t index) noexcept { return parts_[index]; }
  [[nodiscard]] std::byte* base() const noexcept { return base_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] int slot_fd() const noexcept { return slot_fd_; }  // to ask about locks of other slots
  [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
  // Whether this process was forked when no slot was free, and so has its parent's.
  [[nodiscard]] bool shares_slot() const noexcept { return shares_slot_; }

  struct Member {
    std::uint32_t slot;
    int pid;  // as the PID namespace of that process counts
  };
  // The processes attached now. A process that joined twice is there twice.
  [[nodiscard]] std::vector<Member> members() const;

  // Where this process logs what it changes; null = a store in memory. Set once, before other threads know the arena,
  // and kept as long as it.
  [[nodiscard]] LogSink* log() const noexcept { return log_.get(); }
  void set_log(std::shared_ptr<LogSink> log);

  // Bytes taken from the system by all parts.
  [[nodiscard]] std::uint64_t committed_bytes() const noexcept;

  // Releases the pins of processes that are gone. Called in passing: when a writer died, when memory runs short, and
  // every some ten thousand transactions.
  void reap_dead_slots();
  void reap_soon() noexcept { reap_due_.store(true, std::memory_order_relaxed); }
  void reap_if_due();

 private:
  Arena(int fd, std::byte* base, std::uint64_t bytes);
  void acquire_slot();
  void name_slot(bool attached) noexcept;
  void release_slot_pins(std::uint32_t slot);

  friend class ForkHandlers;
  void before_fork() noexcept;
  void after_fork_in_parent() noexcept;
  void after_fork_in_child() noexcept;

  int fd_;
  std::byte* base_;
  std::uint64_t bytes_;
  std::deque<Part> parts_;
  std::shared_ptr<LogSink> log_;
  int slot_fd_ = -1;  // holds the lock on the slot's byte
  std::uint32_t slot_ = 0;
  int child_slot_fd_ = -1;  // between before_fork and after_fork
  std::uint32_t child_slot_ = 0;
  bool shares_slot_ = false;
  std::atomic<bool> reap_due_{false};
};

}  // namespace kv
