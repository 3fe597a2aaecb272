// The status line that ps(1) and top(1) show instead of the command line.
//
// The kernel shows the memory in which it laid out the arguments and, after them, the environment. So both move to the
// heap, and the title takes their place.
#pragma once

#include <cstddef>
#include <string>

namespace runner {

class ProcessTitle {
 public:
  // Moves the strings of `argv` and of environ; `argv` itself then names the copies. At most once in a process, before
  // another thread exists.
  ProcessTitle(int argc, char** argv);

  void set(const std::string& title) const noexcept;  // cut to the room there is

 private:
  char* begin_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace runner
