// The line on standard error that shows how far the loading of a file is:
//
//   loading flights.csv: 41 % 138,000 rows 1.2 s
//   loaded flights.csv: 336,776 rows in 2.9 s
//
// On a terminal the line is written over; elsewhere there is a new line once a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "config.hpp"

namespace runner {

class Progress {
 public:
  Progress(ProgressMode mode, const std::string& path);

  void update(std::uint64_t bytes_done, std::uint64_t bytes_total, std::uint64_t rows);
  void finish(std::uint64_t rows);
  void finish_transformed();  // the loader process does not report rows
  void abandon();             // leaves the terminal's line clean for an error message

 private:
  void show(const std::string& text, bool is_last);
  [[nodiscard]] double seconds() const;

  bool is_shown_;
  bool is_terminal_;
  std::string name_;
  std::chrono::steady_clock::time_point start_;
  double next_ = 0;  // seconds after the start, where there is no terminal
  bool line_is_open_ = false;
};

}  // namespace runner
