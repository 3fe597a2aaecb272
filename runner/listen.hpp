// The listening sockets: bound once by the supervisor, or handed to it by a service manager, and passed to every worker
// the way systemd does (sd_listen_fds(3)): descriptors from 3 on, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES.
#pragma once

#include <string>
#include <vector>

namespace runner {

inline constexpr int kFirstPassedFd = 3;
inline constexpr std::size_t kMaxListeners = 32;
// Own descriptors lie above those that are passed, so that passing one never overwrites another.
inline constexpr int kFirstOwnFd = 64;

// "host:port", "[::1]:port" or "unix:PATH"; an empty text is none.
struct ListenAddress {
  std::string host;
  std::string port;
  std::string path;  // of a Unix socket

  [[nodiscard]] bool is_none() const { return port.empty() && path.empty(); }
};

// Throws BadValue.
[[nodiscard]] ListenAddress parse_listen_address(const std::string& text);

struct Listener {
  int fd;              // close-on-exec, blocking
  std::string name;    // in LISTEN_FDNAMES
  std::string unlink;  // path of a Unix socket that we made; "" = nothing to remove
};

// Binds without listening: the place is taken, but nobody waits in a queue while data is loaded.
// Throws Failure{kSystem} saying what refuses and why.
[[nodiscard]] Listener bind_listener(const ListenAddress& address);

// Throws Failure{kSystem}.
void start_listening(const Listener& listener);

// Those that a service manager passes to this process; takes the variables out of the environment.
[[nodiscard]] std::vector<Listener> take_passed_listeners();

// Closes and, if it is ours, removes it.
void close_listener(const Listener& listener) noexcept;

// Where it can be reached: "127.0.0.1:8080", "unix:/run/app.sock".
[[nodiscard]] std::string address_of(const Listener& listener);

}  // namespace runner
