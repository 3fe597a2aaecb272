// The file LOCK of a data directory: who may build the store's arena, and who is attached to it.
//
// Two bytes far behind the content carry open-file-description locks (fcntl(2), F_OFD_SETLK). The kernel drops them
// with the last process that has the description, so a dead one never leaves a lock behind.
//
//   turn     exclusive: one process at a time opens the store, so nobody looks at half-finished work
//   member   shared: every attached process, and its forked children through the description they inherit;
//            exclusive: nobody is attached, and the arena may be built. That is the only way to build one.
//
// The content names the attached processes, one line of Member::kTextBytes each, for newcomers to reach their arena:
//
//   line 0        who has the turn
//   line 1 + n    who has slot n of the arena
//
// A line may be stale; Member tells. A slot's next owner overwrites it, and who builds an arena begins an empty file.
// The file is never removed: two processes would then lock two files.
#pragma once

#include <cstdint>
#include <vector>

#include "kv_storage/owned_fd.hpp"
#include "store/directory.hpp"
#include "store/member.hpp"

namespace kv {

class LockFile {
 public:
  // Opens or makes it (mode 0600). Throws Error{kIo}.
  explicit LockFile(const Directory& directory);

  // Each returns false if others are in the way. Throw Error{kIo} if the file system has no such locks.
  [[nodiscard]] bool try_turn();
  [[nodiscard]] bool try_alone();  // the member lock, exclusive
  [[nodiscard]] bool try_join();   // shared; after try_alone() succeeded it turns that lock into a shared one
  void end_turn() noexcept;        // and takes back the announcement
  // Whether a process is attached to the store of the open directory, or is opening it. Makes no file.
  [[nodiscard]] static bool is_held(int directory) noexcept;
  void close() noexcept { fd_.reset(); }

  void announce_turn(const Member& member);
  void forget_members();                                 // while alone
  void write(std::uint32_t slot, const Member& member);  // throws Error{kIo}
  // As write() and of this process, after fork: what fails leaves the child unreachable, and nothing else.
  void write_after_fork(std::uint32_t slot, const Member& member) const noexcept;
  void clear(std::uint32_t slot, int pid) noexcept;  // if the line is that process's

  [[nodiscard]] std::optional<Member> turn_holder() const;
  [[nodiscard]] std::vector<Member> members() const;

 private:
  [[nodiscard]] bool locked(int result) const;

  std::string path_;
  OwnedFd fd_;
};

}  // namespace kv
