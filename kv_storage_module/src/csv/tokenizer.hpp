// Where fields end: the unquoted delimiters and line ends of a text, found 64 bytes at a time.
//
// A quote toggles "inside quotes"; an escaped quote ("") toggles twice. So the bytes inside quotes are a running parity
// of the quotes before them, and one bit mask per block tells them all:
//
//   text      a,"b,""c""",d      quotes  ..x..xx.xxx..
//   inside    ..11111.1.1..      ends    .1.........1.
//
// That agrees with RFC 4180 as long as an opening quote begins a field and a closing one ends it. Both are checked, and
// that there is no NUL byte, the sign of a damaged file or of UTF-16. The first byte that breaks a rule is the text's
// fault, and nothing after it is looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "csv/scan.hpp"
#include "csv/source.hpp"

namespace kv::csv {

class Tokenizer {
 public:
  // [begin, end) starts outside quotes, at the beginning of a field. 64 bytes past `end` are readable.
  Tokenizer(const char* begin, const char* end, Dialect dialect);

  // The next field end: a delimiter, LF or CR outside quotes; `end` once if the text does not end with a line end;
  // then, or at a fault, nullptr.
  [[nodiscard]] const char* next() {
    if (next_ == count_ && !refill()) return nullptr;
    return window_ + positions_[next_++];
  }

  // After next() returned nullptr: the first byte that breaks the rules, or nullptr.
  [[nodiscard]] const char* fault() const noexcept { return fault_; }
  // After next() returned nullptr without a fault: true if the last quoted field was never closed.
  [[nodiscard]] bool unterminated() const noexcept { return state_.in_quotes != 0; }

 private:
  static constexpr std::size_t kWindowBytes = 4096;

  bool refill();
  void scan_window(const char* window_end);

  decltype(ScanKernels::find_field_ends) find_field_ends_;
  Dialect dialect_;
  const char* cursor_;  // scanned up to here
  const char* end_;
  const char* window_;  // positions_ are relative to it
  const char* fault_ = nullptr;
  ScanState state_;
  bool finished_;  // no field is ended by the end of the text, or it was returned
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  std::unique_ptr<std::uint32_t[]> positions_;
};

}  // namespace kv::csv
