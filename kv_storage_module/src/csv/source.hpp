// What the parser reads: the text of a file and how its fields are separated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kv_storage/bytes.hpp"
#include "kv_storage/error.hpp"

namespace kv::csv {

struct Dialect {
  char delimiter = ',';
  char quote = '"';  // 0 = quotes are ordinary characters
};

// Borrowed: must outlive everything made from it. 64 bytes past the end of `text` must be readable (mapped_file.hpp).
struct Source {
  std::string path;  // for messages
  ByteView text;     // without a byte order mark
  Dialect dialect;

  [[nodiscard]] const char* begin() const noexcept { return text.data(); }
  [[nodiscard]] const char* end() const noexcept { return text.data() + text.size(); }
};

// A position in a file as people count: lines end with LF, CRLF or a lone CR, also inside quotes; columns are bytes.
struct Location {
  std::uint64_t line = 1;
  std::uint64_t column = 1;
};

// The location of `at`, given that line `line` begins at `line_begin` <= `at`. Linear in the distance.
[[nodiscard]] Location locate(const char* line_begin, std::uint64_t line, const char* at) noexcept;

// The number of line ends in `text`.
[[nodiscard]] std::uint64_t count_lines(ByteView text) noexcept;

// `text` for a message: in single quotes, control characters escaped, cut after about 40 bytes.
[[nodiscard]] std::string quoted(ByteView text);

// The separator among , TAB ; | with which the first rows of `text` have the same number of fields, as many as
// possible; a comma if there is none.
[[nodiscard]] char detect_delimiter(ByteView text, char quote);

}  // namespace kv::csv
