// A process as the LOCK file of a data directory names it: enough to reach its arena, and to tell whether it is still
// the process that wrote this.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "memory/arena.hpp"
#include "store/directory.hpp"

namespace kv {

struct Member {
  int pid = 0;
  std::uint64_t start_time = 0;     // of the process, in clock ticks since boot: a pid comes again, the pair does not
  int fd = -1;                      // of the arena, in that process
  std::uint64_t arena_id = 0;       // ArenaHeader::id
  std::uint64_t pid_namespace = 0;  // inode; a pid means nothing in another one
  std::uint64_t boot = 0;           // which start of which machine: directories outlive both

  static constexpr std::size_t kTextBytes = 128;
  using Text = std::array<char, kTextBytes>;

  // This process. Allocates nothing and takes no locks: a fork handler calls it.
  [[nodiscard]] static Member self(int fd, std::uint64_t arena_id) noexcept;
  // One line, padded with blanks: `cat LOCK` shows who is there.
  [[nodiscard]] Text text() const noexcept;
  [[nodiscard]] static std::optional<Member> parse(const char* text);

  [[nodiscard]] bool is_stopped() const noexcept;  // by a signal or a debugger
};

// What became of trying to join the arena of a member.
struct Reached {
  std::shared_ptr<Arena> arena;  // null = not reached
  std::string obstacle;          // why not, beginning with the pid; "" = the member is gone
};
// Opens the arena's descriptor through /proc, which takes no cooperation: the member may be busy or stopped. The kernel
// allows it to processes of the same user (ptrace(2), PTRACE_MODE_READ_FSCREDS).
[[nodiscard]] Reached reach(const Member& member, const DirectoryId& directory);

}  // namespace kv
