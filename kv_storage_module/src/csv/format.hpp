// Writing values into keys: a subset of Python's format() that needs neither locale nor printf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kv_storage/bytes.hpp"

namespace kv::csv {

struct FormatSpec {
  std::string fill = " ";        // one UTF-8 character
  char align = 0;                // < > ^ =, 0 = numbers right, text left
  std::size_t width = 0;         // in characters
  std::optional<int> precision;  // digits after the point
  char type = 0;                 // d x X b o f s, 0 = none
};

// [[fill]align][0][width][.precision][type]. Returns what is wrong, or nullopt and sets `spec`.
[[nodiscard]] std::optional<std::string> parse_spec(std::string_view text, FormatSpec& spec);

void append_text(std::string& out, ByteView text, const FormatSpec& spec);
void append_integer(std::string& out, bool negative, std::uint64_t magnitude);
void append_integer(std::string& out, bool negative, std::uint64_t magnitude, const FormatSpec& spec);
void append_float(std::string& out, double value, const FormatSpec& spec);         // with spec.precision digits, or 6
void append_number_text(std::string& out, ByteView text, const FormatSpec& spec);  // a number as the file writes it

// %Y %m %d %H %M %S %% of a time in microseconds since 1970-01-01.
void append_time(std::string& out, std::int64_t microseconds, std::string_view format);
void append_iso_datetime(std::string& out, std::int64_t microseconds);
[[nodiscard]] std::optional<std::string> check_time_format(std::string_view format);

}  // namespace kv::csv
