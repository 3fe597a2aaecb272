#include "virtual_env.hpp"

#include <patchlevel.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "concat.hpp"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = "pyvenv.cfg";

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool is_program(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

bool lies_in_environment(const fs::path& executable) {
  const fs::path folder = executable.parent_path();
  return is_there(folder / kMarker) || is_there(folder.parent_path() / kMarker);
}

}  // namespace

std::string find_executable(const char* program) {
  if (program == nullptr || *program == '\0') return {};
  if (fs::path(program).has_parent_path()) return fs::absolute(program).string();
  const char* const variable = std::getenv("PATH");
  std::istringstream folders(variable == nullptr ? "" : variable);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder) / program;
    if (is_program(candidate)) return candidate.string();
  }
  return {};
}

std::optional<std::string> activated_python(const std::string& executable) {
  const char* const variable = std::getenv("VIRTUAL_ENV");
  if (variable == nullptr || *variable == '\0' || executable.empty()) return std::nullopt;
  if (lies_in_environment(executable)) return std::nullopt;
  const fs::path root = variable;
  const std::string version = concat("python", std::to_string(PY_MAJOR_VERSION), ".", std::to_string(PY_MINOR_VERSION));
  if (!is_there(root / kMarker) || !is_there(root / "lib" / version)) return std::nullopt;
  return (root / "bin" / "python3").string();
}

}  // namespace runner
