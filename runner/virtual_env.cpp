#include "virtual_env.hpp"

#include <patchlevel.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = "pyvenv.cfg";

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool installed_in_environment() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  return error || is_there(folder / kMarker) || is_there(folder.parent_path() / kMarker);
}

}  // namespace

std::optional<std::string> active_environment_python() {
  const char* const variable = std::getenv("VIRTUAL_ENV");
  if (variable == nullptr || *variable == '\0' || installed_in_environment()) return std::nullopt;
  const fs::path root = variable;
  const std::string version = std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION);
  if (!is_there(root / kMarker) || !is_there(root / "lib" / ("python" + version))) return std::nullopt;
  return (root / "bin" / "python3").string();
}

}  // namespace runner
