#include "csv/tokenizer.hpp"

#include <algorithm>

namespace kv::csv {
namespace {

bool ends_with_line_end(const char* begin, const char* end) noexcept {
  return begin != end && (end[-1] == '\n' || end[-1] == '\r');
}

}  // namespace

Tokenizer::Tokenizer(const char* begin, const char* end, Dialect dialect)
    : find_field_ends_(fastest_scan().find_field_ends),
      dialect_(dialect),
      cursor_(begin),
      end_(end),
      window_(begin),
      finished_(begin == end || ends_with_line_end(begin, end)),
      positions_(new std::uint32_t[kWindowBytes + ScanKernels::kSpare]) {}

bool Tokenizer::refill() {
  next_ = 0;
  count_ = 0;
  while (count_ == 0 && cursor_ < end_ && fault_ == nullptr) {
    window_ = cursor_;
    scan_window(cursor_ + std::min(kWindowBytes, static_cast<std::size_t>(end_ - cursor_)));
  }
  if (count_ != 0) return true;
  if (finished_ || fault_ != nullptr || unterminated()) return false;
  finished_ = true;
  window_ = end_;
  positions_[count_++] = 0;
  return true;
}

void Tokenizer::scan_window(const char* window_end) {
  const ScanResult found =
      find_field_ends_({.begin = cursor_, .end = window_end, .text_end = end_}, dialect_, state_, positions_.get());
  count_ = found.ends;
  cursor_ = found.at;
  fault_ = found.fault;
}

}  // namespace kv::csv
