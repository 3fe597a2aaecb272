#include "listen.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>

#include "config_values.hpp"
#include "failure.hpp"
#include "kv_storage/owned_fd.hpp"

namespace runner {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;

std::string written(const ListenAddress& address) {
  if (!address.path.empty()) return concat(kUnixPrefix, address.path);
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return concat(is_v6 ? "[" : "", address.host, is_v6 ? "]" : "", ":", address.port);
}

Failure cannot_listen(const ListenAddress& address, int error) {
  const char* remedy = "";
  if (error == EADDRINUSE) remedy = " (another process listens there)";
  if (error == EACCES && address.path.empty()) remedy = " (low ports are for root, or CAP_NET_BIND_SERVICE)";
  if (error == EADDRNOTAVAIL) remedy = " (this machine does not have that address)";
  return {kSystem, concat("runner: cannot listen on ", written(address), ": ", std::strerror(error), remedy)};
}

// `fd`, or a copy that lies above what is passed.
int move_up(kv::OwnedFd fd) {
  const int high = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstOwnFd);
  if (high < 0) throw Failure(kSystem, concat("runner: cannot keep a socket open: ", std::strerror(errno)));
  return high;
}

Listener bind_tcp(const ListenAddress& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (status != 0) {
    const char* why = status == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(status);
    throw Failure(kSystem, concat("runner: cannot listen on ", written(address), ": ", why));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    kv::OwnedFd fd(::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, each->ai_protocol));
    const int on = 1;
    if (fd.is_open() && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        ::bind(fd.get(), each->ai_addr, each->ai_addrlen) == 0) {
      return {move_up(std::move(fd)), "listen", ""};
    }
    error = errno;
  }
  throw cannot_listen(address, error);
}

// Whether the file is a socket on which nobody listens any more.
bool is_stale(const sockaddr_un& place) {
  struct stat status = {};
  if (::lstat(place.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const kv::OwnedFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0 && errno == ECONNREFUSED;
}

Listener bind_unix(const ListenAddress& address) {
  sockaddr_un place = {};
  place.sun_family = AF_UNIX;
  address.path.copy(place.sun_path, kMaxUnixPath);
  kv::OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) throw cannot_listen(address, errno);
  if (is_stale(place)) ::unlink(place.sun_path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0) {
    throw cannot_listen(address, errno);
  }
  return {move_up(std::move(fd)), "listen", address.path};
}

std::vector<std::string> split_names(const char* names) {
  std::vector<std::string> parts;
  std::istringstream text(names == nullptr ? "" : names);
  for (std::string part; std::getline(text, part, ':');) parts.push_back(part);
  return parts;
}

int number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  int number = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

}  // namespace

ListenAddress parse_listen_address(const std::string& text) {
  ListenAddress address;
  if (text.empty()) return address;
  const auto bad = [&](const char* why) {
    return BadValue(
        concat("'", text, "' ", why, "; accepted: 127.0.0.1:8080, [::1]:8080, name:8080, unix:/run/app.sock"));
  };
  if (text.starts_with(kUnixPrefix)) {
    address.path = text.substr(kUnixPrefix.size());
    if (address.path.empty()) throw bad("names no file");
    if (address.path.size() > kMaxUnixPath) throw bad("is too long for a Unix socket");
    return address;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) throw bad("is not host:port");
  address.host = text.substr(0, colon);
  address.port = text.substr(colon + 1);
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    throw bad("needs brackets around an IPv6 address");
  }
  if (address.port.empty()) throw bad("has no port");
  try {
    (void)parse_count(address.port, 65'535);
  } catch (const BadValue&) {
    throw bad("has no port from 0 to 65535");
  }
  return address;
}

Listener bind_listener(const ListenAddress& address) {
  return address.path.empty() ? bind_tcp(address) : bind_unix(address);
}

void start_listening(const Listener& listener) {
  if (::listen(listener.fd, SOMAXCONN) != 0) {
    throw Failure(kSystem, concat("runner: cannot listen on ", address_of(listener), ": ", std::strerror(errno)));
  }
}

std::vector<Listener> take_passed_listeners() {
  std::vector<Listener> listeners;
  const int count = number_in("LISTEN_FDS");
  if (count > 0 && number_in("LISTEN_PID") == ::getpid()) {
    if (static_cast<std::size_t>(count) > kMaxListeners) {
      throw Failure(kSystem, concat("runner: LISTEN_FDS = ", std::to_string(count), ": at most ",
                                    std::to_string(kMaxListeners), " sockets can be passed on"));
    }
    std::vector<std::string> names = split_names(std::getenv("LISTEN_FDNAMES"));
    names.resize(static_cast<std::size_t>(count), "unknown");
    for (int i = 0; i < count; ++i) {
      listeners.push_back({move_up(kv::OwnedFd(kFirstPassedFd + i)), names[static_cast<std::size_t>(i)], ""});
    }
  }
  for (const char* variable : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  return listeners;
}

void close_listener(const Listener& listener) noexcept {
  ::close(listener.fd);
  if (!listener.unlink.empty()) ::unlink(listener.unlink.c_str());
}

std::string address_of(const Listener& listener) {
  sockaddr_storage place = {};
  socklen_t length = sizeof place;
  auto* const any = reinterpret_cast<sockaddr*>(&place);
  if (::getsockname(listener.fd, any, &length) != 0) return "nowhere";
  if (place.ss_family == AF_UNIX) {
    return concat(kUnixPrefix, reinterpret_cast<const sockaddr_un*>(any)->sun_path);
  }
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(any, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "somewhere";
  }
  return written({host, port, ""});
}

}  // namespace runner
