#include "watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "concat.hpp"
#include "failure.hpp"
#include "log.hpp"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxDirectories = 4096;  // a script in a home directory must not take all watches of the machine
constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

bool is_left_out(const fs::path& directory) {
  const std::string name = directory.filename().string();
  std::error_code error;
  return name.starts_with('.') || name == "__pycache__" || name == "node_modules" ||
         fs::exists(directory / "pyvenv.cfg", error);
}

// A directory that has just appeared: what it held before it was watched raised no event.
bool holds_python(const fs::path& directory) {
  std::error_code error;
  fs::recursive_directory_iterator each(directory, fs::directory_options::skip_permission_denied, error);
  for (; !error && each != fs::recursive_directory_iterator(); each.increment(error)) {
    if (each->path().extension() == ".py") return true;
  }
  return false;
}

}  // namespace

Watch::Watch(const std::string& directory, const std::string& file)
    : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), file_(file) {
  if (!inotify_.is_open() || !add(directory)) {
    throw Failure(kSystem, concat("runner: cannot watch '", directory, "': ", std::strerror(errno)));
  }
  if (!file.empty()) add(fs::path(file).parent_path().string());
  add_tree(directory);
}

bool Watch::add(const std::string& directory) {
  const int watch = ::inotify_add_watch(fd(), directory.c_str(), kEvents);
  if (watch >= 0) directories_[watch] = directory;
  return watch >= 0;
}

void Watch::add_tree(const std::string& directory) {
  std::error_code error;
  fs::recursive_directory_iterator each(directory, fs::directory_options::skip_permission_denied, error);
  for (; !error && each != fs::recursive_directory_iterator(); each.increment(error)) {
    std::error_code none;
    if (!each->is_directory(none) || each->is_symlink(none)) continue;
    if (is_left_out(each->path())) {
      each.disable_recursion_pending();
      continue;
    }
    const bool has_room = directories_.size() < kMaxDirectories;
    if (has_room && add(each->path().string())) continue;
    if (!is_full_) {
      log(LogLevel::kWarning,
          concat("--reload watches ", std::to_string(directories_.size()), " directories and no more: ",
                 has_room ? std::strerror(errno) : "there are too many below the script"));
    }
    is_full_ = true;
    return;
  }
}

std::string Watch::take_changes() {
  std::string changed;
  alignas(inotify_event) char buffer[16 * 1024];
  for (ssize_t bytes; (bytes = ::read(fd(), buffer, sizeof buffer)) > 0;) {
    for (char* at = buffer; at < buffer + bytes;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      const auto directory = directories_.find(event->wd);
      if (directory == directories_.end() || event->len == 0) continue;
      const fs::path path = fs::path(directory->second) / event->name;
      if ((event->mask & IN_ISDIR) != 0) {
        if ((event->mask & (IN_CREATE | IN_MOVED_TO)) == 0 || is_left_out(path) || !add(path.string())) continue;
        add_tree(path.string());
        if (holds_python(path)) changed = path.string();
      } else if ((path.extension() == ".py" || path == file_) && (event->mask & IN_CREATE) == 0) {
        changed = path.string();
      }
    }
  }
  return changed;
}

}  // namespace runner
