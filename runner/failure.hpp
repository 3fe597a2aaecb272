// A reason not to start: the lines to print on standard error, and the exit code.
#pragma once

#include <stdexcept>
#include <string>

#include "exit_code.hpp"

namespace runner {

class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

}  // namespace runner
