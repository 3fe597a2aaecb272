#include "transform.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "concat.hpp"
#include "failure.hpp"
#include "interrupt.hpp"

namespace runner {
namespace {

constexpr const char* kProgram = R"python(
import importlib, json, sys

job = json.loads(sys.argv[1])
sys.path[:0] = job["directories"]
module, _, function = job["transform"].partition(":")

from kv_storage import Storage

transform = importlib.import_module(module)
for name in function.split("."):
    transform = getattr(transform, name)
Storage().load_csv(**job["arguments"], transform=transform)
)python";

// The characters JSON wants escaped; everything else, UTF-8 included, stands for itself. Bytes of a path that are not
// UTF-8 reach the child unchanged, through surrogateescape on both sides.
std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json.append({'\\', c});
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      json += escape;
    } else {
      json += c;
    }
  }
  return json + '"';
}

std::string list_of(const std::vector<std::string>& items) {
  std::string json;
  for (const std::string& item : items) json.append(json.empty() ? "" : ",").append(quoted(item));
  return concat("[", json, "]");
}

std::string types_of(const kv::CsvOptions& options) {
  std::string json;
  for (const auto& [column, type] : options.types) {
    json.append(json.empty() ? "" : ",").append(quoted(column)).append(":").append(quoted(type));
  }
  return concat("{", json, "}");
}

const char* name_of(kv::OnDuplicate choice) {
  switch (choice) {
    case kv::OnDuplicate::kFirst:
      return "first";
    case kv::OnDuplicate::kLast:
      return "last";
    case kv::OnDuplicate::kError:
      break;
  }
  return "error";
}

// The keyword arguments of Storage.load_csv.
std::string arguments_of(const kv::CsvOptions& options) {
  std::string json = concat("{\"path\":", quoted(options.path), ",\"into\":", quoted(options.into));
  const auto add = [&](const char* name, const std::string& value) { json += concat(",\"", name, "\":", value); };
  add("key", quoted(options.key));
  add("types", types_of(options));
  add("on_duplicate", quoted(name_of(options.on_duplicate)));
  add("quote", quoted(std::string(1, options.quote)));
  add("missing", list_of(options.missing));
  add("threads", std::to_string(options.threads));
  if (options.header.has_value()) add("header", *options.header ? "true" : "false");
  if (!options.where.empty()) add("where", quoted(options.where));
  if (options.delimiter != 0) add("delimiter", quoted(std::string(1, options.delimiter)));
  if (!options.columns.empty()) add("columns", list_of(options.columns));
  return json + '}';
}

std::string job_of(const CsvSource& source, const Loader& loader) {
  namespace fs = std::filesystem;
  std::vector<std::string> directories = {fs::path(loader.configuration).parent_path().string()};
  if (!loader.script.empty()) directories.push_back(fs::absolute(loader.script).parent_path().string());
  return concat("{\"directories\":", list_of(directories), ",\"transform\":", quoted(source.transform),
                ",\"arguments\":", arguments_of(source.options), "}");
}

// Standard input is the program's, not the loader's.
pid_t spawn(const Loader& loader, const std::string& job) {
  std::string words[] = {loader.program == nullptr ? "runner" : loader.program, "-P", "-c", kProgram, job};
  char* arguments[std::size(words) + 1] = {};
  for (std::size_t i = 0; i < std::size(words); ++i) arguments[i] = words[i].data();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw Failure(kSystem, concat("runner: cannot start the loader: ", std::strerror(error)));
  return pid;
}

// The wait status. An interrupt is passed on once; a terminal has sent it to the child, too.
int wait_for(pid_t pid) {
  int status = 0;
  bool passed_on = false;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    if (InterruptGuard::signal() != 0 && !std::exchange(passed_on, true)) kill(pid, InterruptGuard::signal());
  }
  return status;
}

}  // namespace

void load_transformed(const CsvSource& source, const Loader& loader) {
  const int status = wait_for(spawn(loader, job_of(source, loader)));
  if (status == 0 || InterruptGuard::signal() != 0) return;
  const std::string end = WIFSIGNALED(status) ? concat("signal ", std::to_string(WTERMSIG(status)))
                                              : concat("exit code ", std::to_string(WEXITSTATUS(status)));
  throw Failure(kBadData, concat("runner: loading [", source.section, "] '", source.options.path, "' with transform '",
                                 source.transform, "' failed: ", end));
}

}  // namespace runner
