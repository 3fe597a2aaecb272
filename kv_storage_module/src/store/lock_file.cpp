#include "store/lock_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "kv_storage/error.hpp"
#include "memory/system.hpp"

namespace kv {
namespace {

constexpr const char* kName = "LOCK";
constexpr mode_t kMode = 0600;
constexpr std::uint64_t kTurnByte = std::uint64_t{1} << 40;
constexpr std::uint64_t kMemberByte = kTurnByte + 1;

constexpr Member::Text kBlankLine = [] {
  Member::Text text{};
  text.fill(' ');
  text.back() = '\n';
  return text;
}();

[[nodiscard]] off_t line_offset(std::uint32_t slot) noexcept {
  return static_cast<off_t>((std::uint64_t{slot} + 1) * Member::kTextBytes);
}

[[nodiscard]] bool write_line(int fd, off_t offset, const Member::Text& text) noexcept {
  ssize_t n;
  do n = ::pwrite(fd, text.data(), text.size(), offset);
  while (n < 0 && errno == EINTR);
  if (n >= 0 && n != static_cast<ssize_t>(text.size())) errno = ENOSPC;
  return n == static_cast<ssize_t>(text.size());
}

[[nodiscard]] std::optional<Member> read_line(int fd, off_t offset) {
  char text[Member::kTextBytes + 1] = {};
  return ::pread(fd, text, Member::kTextBytes, offset) > 0 ? Member::parse(text) : std::nullopt;
}

}  // namespace

LockFile::LockFile(const Directory& directory) : path_(directory.path() + "/" + kName), fd_(-1) {
  fd_ = OwnedFd(::openat(directory.fd(), kName, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, kMode));
  if (fd_.get() < 0) throw Error::from_errno(errno, "cannot open or make the lock of the data directory", path_);
}

bool LockFile::locked(int result) const {
  if (result == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  throw Error::from_errno(errno, "the file system of the data directory has no open-file-description locks (fcntl)",
                          path_);
}

bool LockFile::try_turn() { return locked(system::lock_byte(fd_.get(), kTurnByte)); }
bool LockFile::try_alone() { return locked(system::lock_byte(fd_.get(), kMemberByte)); }
bool LockFile::try_join() { return locked(system::lock_byte_shared(fd_.get(), kMemberByte)); }
bool LockFile::is_held(int directory) noexcept {
  const OwnedFd fd(::openat(directory, kName, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  return fd.is_open() && (system::byte_is_locked(fd.get(), kTurnByte) || system::byte_is_locked(fd.get(), kMemberByte));
}
void LockFile::end_turn() noexcept {
  (void)write_line(fd_.get(), 0, kBlankLine);
  system::unlock_byte(fd_.get(), kTurnByte);
}

void LockFile::announce_turn(const Member& member) {
  if (!write_line(fd_.get(), 0, member.text())) throw Error::from_errno(errno, "cannot write", path_);
}

void LockFile::forget_members() {
  if (system::truncate(fd_.get(), Member::kTextBytes) != 0) throw Error::from_errno(errno, "cannot shorten", path_);
}

void LockFile::write(std::uint32_t slot, const Member& member) {
  if (!write_line(fd_.get(), line_offset(slot), member.text())) throw Error::from_errno(errno, "cannot write", path_);
}

void LockFile::write_after_fork(std::uint32_t slot, const Member& member) const noexcept {
  (void)write_line(fd_.get(), line_offset(slot), member.text());
}

void LockFile::clear(std::uint32_t slot, int pid) noexcept {
  const auto member = read_line(fd_.get(), line_offset(slot));
  if (!member || member->pid != pid) return;
  (void)write_line(fd_.get(), line_offset(slot), kBlankLine);
}

std::optional<Member> LockFile::turn_holder() const { return read_line(fd_.get(), 0); }

std::vector<Member> LockFile::members() const {
  std::vector<Member> found;
  const off_t end = ::lseek(fd_.get(), 0, SEEK_END);
  for (std::uint32_t slot = 0; slot < kMaxSlots && line_offset(slot) < end; ++slot) {
    if (auto member = read_line(fd_.get(), line_offset(slot))) found.push_back(*member);
  }
  return found;
}

}  // namespace kv
