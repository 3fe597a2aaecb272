// Every failure of the core is one exception type, kv::Error, carrying a code that the Python layer maps to one
// exception class (python/bind_errors.cpp). Ordinary outcomes (an absent key, an exhausted scan) are never errors.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace kv {

enum class ErrorCode : std::uint8_t {
  kInvalidArgument,  // the caller passed something that can never be accepted            -> ValueError
  kParse,         // malformed text: CSV, pattern, key template, configuration          -> ValueError with line, column
  kTypeMismatch,  // right shape, wrong type: incr on text, a Map opened as a Hash      -> TypeError
  kNotFound,      // a named thing that must exist does not                             -> KeyError
  kClosed,        // the store or the collection was closed or dropped                  -> ValueError
  kReplaced,      // RecordHash::fixed(): the name stands for another collection now      -> ValueError
  kOverCapacity,  // max_memory, the part's address space or a limit is exhausted       -> MemoryError
  kOverflow,      // an integer would leave its range                                   -> OverflowError
  kIo,            // a system call failed; `os_error` holds errno                       -> OSError
  kCorrupt,       // shared memory or a file breaks an invariant                        -> Error
  kBusy,          // the store is held by somebody that cannot be reached               -> OSError
  kReentry,       // the computation of a cached value asked for itself                -> RuntimeError
  kInterrupted,   // the caller asked to stop (a Python signal handler raised)          -> whatever is set in Python
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& what) : std::runtime_error(what), code_(code) {}

  // A system call failed: `what` says which call on what, strerror(os_error) is appended.
  static Error from_errno(int os_error, std::string_view what, std::string path = {});

  // Malformed text at a place. `line` and `column` count from 1; 0 means unknown. The place is put before `what`.
  static Error at(std::string path, std::uint64_t line, std::uint64_t column, std::string_view what);

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] int os_error() const noexcept { return os_error_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t line() const noexcept { return line_; }
  [[nodiscard]] std::uint64_t column() const noexcept { return column_; }

 private:
  ErrorCode code_;
  int os_error_ = 0;
  std::string path_;
  std::uint64_t line_ = 0;
  std::uint64_t column_ = 0;
};

}  // namespace kv
