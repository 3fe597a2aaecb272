#include "process_title.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace runner {
namespace {

// Of strings that lie one behind the other from `begin` on: the end of the last.
char* end_of_run(char* end, char** strings) {
  for (char** string = strings; *string != nullptr; ++string) {
    if (*string == end) end += std::strlen(*string) + 1;
  }
  return end;
}

// The copies live as long as the process.
void move_out(char** strings, const char* begin, const char* end) {
  for (char** string = strings; *string != nullptr; ++string) {
    if (*string >= begin && *string < end) *string = ::strdup(*string);
  }
}

}  // namespace

ProcessTitle::ProcessTitle(int argc, char** argv) {
  if (argc == 0) return;
  begin_ = argv[0];
  char* const end = end_of_run(end_of_run(begin_, argv), environ);
  bytes_ = static_cast<std::size_t>(end - begin_);
  move_out(argv, begin_, end);
  move_out(environ, begin_, end);
}

void ProcessTitle::set(const std::string& title) const noexcept {
  if (bytes_ == 0) return;
  const std::size_t length = std::min(title.size(), bytes_ - 1);
  std::memcpy(begin_, title.data(), length);
  std::memset(begin_ + length, 0, bytes_ - length);
}

}  // namespace runner
