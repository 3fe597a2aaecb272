// The key of a row, made from its fields: "{origin}-{dest}-{day:02}-{month:02}-{year}-{carrier}{flight}".
//
//   template := (text | "{{" | "}}" | "{" column [":" spec] "}")*
//   spec     := [[fill] align] ["0"] [width] ["." precision] [type]        a subset of Python's, format.hpp
//             | text with %Y %m %d %H %M %S %%                             dates and datetimes
//
// Without a spec a field is written as in the file, except that an integer is written as an integer (007 as 7) and a
// datetime as 2018-06-06T12:00:00. A number that is no integer ignores everything but width, fill and alignment, unless
// the type is f.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "csv/column.hpp"
#include "csv/format.hpp"
#include "csv/row_reader.hpp"
#include "csv/values.hpp"

namespace kv::csv {

class KeyTemplate {
 public:
  // Throws Error{kParse} located in "key" (column = position in the template, from 1).
  explicit KeyTemplate(std::string_view text);

  // Finds the columns; throws as above. Types need not be known yet.
  void find_columns(std::span<const FileColumn> columns);
  // Checks the specs against the types, which must be known now; throws as above.
  void bind_types(std::span<const FileColumn> columns);

  // The only column, if the key is just that, unformatted: "{id}".
  [[nodiscard]] std::optional<std::size_t> whole_column() const noexcept;

  // Appends the key of a row to `out`. Throws FieldError: a missing value, a value that does not fit, a key longer than
  // kMaxKeyBytes. Thread-safe with one scratch each.
  void append(std::span<const Field> fields, const MissingTokens& missing, std::string& scratch,
              std::string& out) const;

 private:
  enum class Style : std::uint8_t {
    kText,
    kPlainText,
    kInteger,
    kPlainInteger,
    kNumber,
    kPlainNumber,
    kDate,
    kDatetime
  };
  struct Piece {
    std::string before;  // literal text in front of the field
    std::string name;
    std::size_t position = 0;  // of the field in the template, from 1
    std::string spec_text;
    FormatSpec spec;
    std::size_t field = 0;
    Column column;
    Style style = Style::kPlainText;
  };

  static Style style_of(const Piece& piece);
  static void append_value(const Piece& piece, ByteView text, std::string& out);

  std::vector<Piece> pieces_;
  std::string after_;  // literal text behind the last field
};

}  // namespace kv::csv
