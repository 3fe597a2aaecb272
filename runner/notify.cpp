#include "notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "concat.hpp"
#include "failure.hpp"

namespace runner {
namespace {

constexpr std::size_t kMaxMessage = 4096;

// An address as NOTIFY_SOCKET has it; '@' stands for the zero byte of an abstract name. Length 0 = not usable.
socklen_t parse(const std::string& text, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  if (text.size() < 2 || text.size() >= sizeof address.sun_path || (text[0] != '/' && text[0] != '@')) return 0;
  text.copy(address.sun_path, text.size());
  if (text[0] == '@') address.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size());
}

}  // namespace

void notify_service_manager(const std::string& text) noexcept {
  const char* const place = std::getenv("NOTIFY_SOCKET");
  if (place == nullptr) return;
  sockaddr_un address{};
  const socklen_t length = parse(place, address);
  const kv::OwnedFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (length == 0 || !fd.is_open()) return;
  [[maybe_unused]] const ssize_t sent = ::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                                                 reinterpret_cast<const sockaddr*>(&address), length);
}

bool Notification::has(const std::string& line) const {
  const std::string lines = concat("\n", text, "\n");
  return lines.find(concat("\n", line, "\n")) != std::string::npos;
}

NotifySocket::NotifySocket() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const sa_family_t family = AF_UNIX;  // and no name: the kernel gives one
  const int on = 1;
  if (!socket_.is_open() || ::setsockopt(fd(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(fd(), reinterpret_cast<const sockaddr*>(&family), sizeof family) != 0) {
    throw Failure(kSystem, concat("runner: cannot make the socket for workers' messages: ", std::strerror(errno)));
  }
}

std::string NotifySocket::address() const {
  sockaddr_un address = {};
  socklen_t length = sizeof address;
  ::getsockname(fd(), reinterpret_cast<sockaddr*>(&address), &length);
  std::string name(address.sun_path, length - offsetof(sockaddr_un, sun_path));
  if (!name.empty()) name[0] = '@';
  return name;
}

std::optional<Notification> NotifySocket::receive() {
  for (;;) {
    char text[kMaxMessage];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    iovec data = {text, sizeof text};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t length = ::recvmsg(fd(), &message, MSG_CMSG_CLOEXEC);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return std::nullopt;
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS) continue;
    ucred sender = {};
    std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    if (sender.uid != ::geteuid()) continue;  // anybody on this machine could write to the name
    return Notification{sender.pid, std::string(text, static_cast<std::size_t>(length))};
  }
}

}  // namespace runner
