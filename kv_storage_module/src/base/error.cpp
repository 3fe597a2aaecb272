#include "kv_storage/error.hpp"

#include <system_error>

namespace kv {

Error Error::from_errno(int os_error, std::string_view what, std::string path) {
  std::string text(what);
  if (!path.empty()) text += " '" + path + "'";
  text += ": " + std::generic_category().message(os_error);
  Error error(ErrorCode::kIo, text);
  error.os_error_ = os_error;
  error.path_ = std::move(path);
  return error;
}

Error Error::at(std::string path, std::uint64_t line, std::uint64_t column, std::string_view what) {
  std::string text = path;
  if (line != 0) text += ":" + std::to_string(line);
  if (column != 0) text += ":" + std::to_string(column);
  if (!text.empty()) text += ": ";
  text += what;
  Error error(ErrorCode::kParse, text);
  error.path_ = std::move(path);
  error.line_ = line;
  error.column_ = column;
  return error;
}

}  // namespace kv
