// sd_notify(3), both ways: what workers say to the supervisor, and what it says to its own service manager.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "kv_storage/owned_fd.hpp"

namespace runner {

// What the service manager is told: "READY=1", "STATUS=..." in lines. Nothing if there is no NOTIFY_SOCKET.
void notify_service_manager(const std::string& text) noexcept;

struct Notification {
  pid_t sender;  // as the kernel says
  std::string text;

  [[nodiscard]] bool has(const std::string& line) const;
};

// Where workers say READY=1: a datagram socket in the abstract name space, with a name of the kernel's choice, so that
// nothing is left behind.
class NotifySocket {
 public:
  NotifySocket();                                 // throws Failure{kSystem}
  explicit NotifySocket(int fd) : socket_(fd) {}  // of the runner before an upgrade

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] std::string address() const;  // as NOTIFY_SOCKET: "@0a1b2"

  // The next message of a process of this user; none if there is no more.
  [[nodiscard]] std::optional<Notification> receive();

 private:
  kv::OwnedFd socket_;
};

}  // namespace runner
