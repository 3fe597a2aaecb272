#include "store/member.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "kv_storage/error.hpp"
#include "kv_storage/owned_fd.hpp"
#include "memory/system.hpp"

namespace kv {
namespace {

// The beginning of a small file of the kernel, with a NUL behind it; empty if it cannot be read.
template <std::size_t N>
void read_small(const char* path, char (&into)[N]) noexcept {
  const OwnedFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  const ssize_t n = fd.get() < 0 ? 0 : ::read(fd.get(), into, N - 1);
  into[n > 0 ? n : 0] = '\0';
}

struct ProcessStatus {
  char state = '\0';  // of proc(5); 0 = there is no such process
  std::uint64_t start_time = 0;
};

[[nodiscard]] ProcessStatus process_status(int pid) noexcept {
  char path[32];
  char text[1024];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  read_small(path, text);
  const char* const name_end = std::strrchr(text, ')');  // the name may hold anything
  ProcessStatus status;
  if (name_end == nullptr) return status;
  unsigned long long start = 0;
  constexpr const char* kFields = " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu";
  if (std::sscanf(name_end + 1, kFields, &status.state, &start) != 2) return {};
  status.start_time = start;
  return status;
}

[[nodiscard]] std::uint64_t boot_id() noexcept {
  char text[64];
  read_small("/proc/sys/kernel/random/boot_id", text);
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char* at = text; *at != '\0'; ++at) hash = (hash ^ static_cast<unsigned char>(*at)) * 0x100000001b3;
  return hash;
}

[[nodiscard]] std::uint64_t own_pid_namespace() noexcept {
  struct stat status {};
  return ::stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

// Whether `fd` is the arena that the member told of; a layout of another version keeps magic and id where they are.
[[nodiscard]] bool is_arena(int fd, std::uint64_t id) noexcept {
  ArenaHeader header{};
  const auto bytes = offsetof(ArenaHeader, hash_seed);
  return ::pread(fd, &header, bytes, 0) == static_cast<ssize_t>(bytes) && header.magic == kArenaMagic &&
         header.id == id;
}

[[nodiscard]] std::string refusal(const Member& member) {
  struct stat status {};
  const std::string path = "/proc/" + std::to_string(member.pid);
  if (::stat(path.c_str(), &status) != 0) return {};
  if (status.st_uid != ::geteuid()) return "runs as user " + std::to_string(status.st_uid);
  return "forbids to be looked at (it has changed its user, or set PR_SET_DUMPABLE to 0)";
}

[[nodiscard]] std::string obstacle_to(const Member& member, const DirectoryId& directory, Reached& reached) {
  if (member.boot != boot_id()) return "is on another machine";
  if (member.pid_namespace != own_pid_namespace()) return "is in another PID namespace (a container)";
  if (process_status(member.pid).start_time != member.start_time) return {};
  const OwnedFd fd(system::open_process_fd(member.pid, member.fd));
  if (fd.get() < 0) {
    const int error = errno;
    if (error == EACCES || error == EPERM) return refusal(member);
    return error == ENOENT ? std::string() : "cannot be reached: " + std::generic_category().message(error);
  }
  if (!is_arena(fd.get(), member.arena_id)) return {};  // the process runs another program now
  try {
    std::shared_ptr<Arena> arena = Arena::attach(member.pid, member.fd, member.arena_id);
    const ArenaHeader& header = arena->header();
    if (DirectoryId{header.device, header.inode} != directory) return "holds the store of another directory";
    reached.arena = std::move(arena);
    return {};
  } catch (const Error& error) {
    return std::string("cannot be joined: ") + error.what();
  }
}

}  // namespace

Member Member::self(int fd, std::uint64_t arena_id) noexcept {
  const int pid = ::getpid();
  return {pid, process_status(pid).start_time, fd, arena_id, own_pid_namespace(), boot_id()};
}

Member::Text Member::text() const noexcept {
  Text text;
  text.fill(' ');
  const int n = std::snprintf(text.data(), text.size(),
                              "pid=%d start=%" PRIu64 " fd=%d id=%016" PRIx64 " ns=%" PRIu64 " boot=%016" PRIx64, pid,
                              start_time, fd, arena_id, pid_namespace, boot);
  text[static_cast<std::size_t>(n)] = ' ';  // where snprintf put its NUL
  text.back() = '\n';
  return text;
}

std::optional<Member> Member::parse(const char* text) {
  Member member;
  const int found =
      std::sscanf(text, "pid=%d start=%" SCNu64 " fd=%d id=%" SCNx64 " ns=%" SCNu64 " boot=%" SCNx64, &member.pid,
                  &member.start_time, &member.fd, &member.arena_id, &member.pid_namespace, &member.boot);
  return found == 6 && member.pid > 0 ? std::optional(member) : std::nullopt;
}

bool Member::is_stopped() const noexcept {
  if (boot != boot_id() || pid_namespace != own_pid_namespace()) return false;
  const ProcessStatus status = process_status(pid);
  return status.start_time == start_time && (status.state == 'T' || status.state == 't');
}

Reached reach(const Member& member, const DirectoryId& directory) {
  Reached reached;
  const std::string obstacle = obstacle_to(member, directory, reached);
  if (!obstacle.empty()) reached.obstacle = "process " + std::to_string(member.pid) + " " + obstacle;
  return reached;
}

}  // namespace kv
