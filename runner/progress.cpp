#include "progress.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "concat.hpp"

namespace runner {
namespace {

std::string grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string one_decimal(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", number);
  return text;
}

}  // namespace

Progress::Progress(ProgressMode mode, const std::string& path)
    : is_terminal_(isatty(STDERR_FILENO) == 1),
      name_(std::filesystem::path(path).filename().string()),
      start_(std::chrono::steady_clock::now()) {
  is_shown_ = mode == ProgressMode::kOn || (mode == ProgressMode::kAuto && is_terminal_);
}

void Progress::update(std::uint64_t bytes_done, std::uint64_t bytes_total, std::uint64_t rows) {
  if (!is_terminal_ && seconds() < next_) return;
  next_ = seconds() + 1;
  const std::uint64_t percent = bytes_total == 0 ? 100 : bytes_done * 100 / bytes_total;
  show(concat("loading ", name_, ": ", std::to_string(percent), " % ", grouped(rows), " rows ", one_decimal(seconds()),
              " s"),
       false);
}

void Progress::finish(std::uint64_t rows) {
  show(concat("loaded ", name_, ": ", grouped(rows), " rows in ", one_decimal(seconds()), " s"), true);
}

void Progress::finish_transformed() { show(concat("loaded ", name_, " in ", one_decimal(seconds()), " s"), true); }

void Progress::abandon() {
  if (line_is_open_) std::fputs("\r\x1b[K", stderr);
  line_is_open_ = false;
}

void Progress::show(const std::string& text, bool is_last) {
  if (!is_shown_) return;
  if (is_terminal_) std::fputs("\r\x1b[K", stderr);
  std::fputs(text.c_str(), stderr);
  line_is_open_ = is_terminal_ && !is_last;
  if (!line_is_open_) std::fputc('\n', stderr);
  std::fflush(stderr);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace runner
