#include "csv/key_template.hpp"

#include <algorithm>

#include "csv/source.hpp"
#include "kv_storage/error.hpp"

namespace kv::csv {
namespace {

[[noreturn]] void refuse(std::size_t position, const std::string& what) { throw Error::at("key", 0, position, what); }

bool is_integer(ColumnType type) noexcept { return type >= ColumnType::kInt8 && type <= ColumnType::kUInt64; }
bool is_float(ColumnType type) noexcept { return type == ColumnType::kFloat32 || type == ColumnType::kFloat64; }
bool is_time(ColumnType type) noexcept { return type == ColumnType::kDate || type == ColumnType::kDatetime; }

}  // namespace

KeyTemplate::KeyTemplate(std::string_view text) {
  if (text.empty()) refuse(0, "a key template is needed, such as {origin}-{dest}-{day:02}");
  std::string literal;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      literal += c;
      ++i;
      continue;
    }
    if (c == '}') refuse(i + 1, "a } without {; write }} for the character itself");
    if (c != '{') {
      literal += c;
      continue;
    }
    const std::size_t end = text.find('}', i);
    if (end == std::string_view::npos) refuse(i + 1, "this { is never closed; write {{ for the character itself");
    const std::string_view inside = text.substr(i + 1, end - i - 1);
    const std::size_t colon = std::min(inside.find(':'), inside.size());
    if (colon == 0) refuse(i + 1, "name a column between { and }");
    Piece piece;
    piece.before = std::move(literal);
    piece.name = inside.substr(0, colon);
    piece.position = i + 1;
    if (colon != inside.size()) piece.spec_text = inside.substr(colon + 1);
    literal.clear();
    pieces_.push_back(std::move(piece));
    i = end;
  }
  after_ = std::move(literal);
  if (pieces_.empty()) refuse(0, "the template names no column, so all rows would have the same key; write {column}");
}

void KeyTemplate::find_columns(std::span<const FileColumn> columns) {
  for (Piece& piece : pieces_) piece.field = find_column(columns, piece.name, "key", 0, piece.position);
}

void KeyTemplate::bind_types(std::span<const FileColumn> columns) {
  for (Piece& piece : pieces_) {
    piece.column = columns[piece.field].column;
    std::optional<std::string> wrong;
    const bool dates = piece.spec_text.find('%') != std::string::npos;
    wrong = dates ? check_time_format(piece.spec_text) : parse_spec(piece.spec_text, piece.spec);
    if (wrong) refuse(piece.position, "in the format '" + piece.spec_text + "': " + *wrong);
    piece.style = style_of(piece);
  }
}

// How to write the field; refuses formats that its type does not have.
KeyTemplate::Style KeyTemplate::style_of(const Piece& piece) {
  const ColumnType type = piece.column.type;
  const bool plain = piece.spec_text.empty();
  const auto unfit = [&](const std::string& accepted) {
    refuse(piece.position, "column '" + piece.name + "' is " + Schema::type_name(piece.column) + "; its format '" +
                               piece.spec_text + "' must be " + accepted);
  };
  if (is_time(type)) {
    if (!plain && piece.spec_text.find('%') == std::string::npos) unfit("made of %Y %m %d %H %M %S, as in %Y%m%d");
    return type == ColumnType::kDate ? Style::kDate : Style::kDatetime;
  }
  if (piece.spec_text.find('%') != std::string::npos) unfit("without %, which is for dates");
  if (is_integer(type) || is_float(type)) {
    if (piece.spec.type == 's') unfit("one for numbers: d x X b o f");
    if (is_integer(type) && piece.spec.type != 'f') return plain ? Style::kPlainInteger : Style::kInteger;
    return plain ? Style::kPlainNumber : Style::kNumber;
  }
  const bool explicit_sign_padding = piece.spec.align == '=' && !piece.spec_text.starts_with('0');
  if ((piece.spec.type != 0 && piece.spec.type != 's') || explicit_sign_padding) {
    unfit("one for text: [[fill]<>^][width]");
  }
  return plain ? Style::kPlainText : Style::kText;
}

std::optional<std::size_t> KeyTemplate::whole_column() const noexcept {
  if (pieces_.size() != 1 || !pieces_[0].before.empty() || !after_.empty() || !pieces_[0].spec_text.empty()) return {};
  return pieces_[0].field;
}

void KeyTemplate::append(std::span<const Field> fields, const MissingTokens& missing, std::string& scratch,
                         std::string& out) const {
  const std::size_t begin = out.size();
  for (const Piece& piece : pieces_) {
    const Field& field = fields[piece.field];
    const ByteView text = field.size > 2 * kMaxTextBytes ? ByteView(field.data, field.size) : field.text(scratch);
    out += piece.before;
    if (missing.contains(text)) {
      throw FieldError{.field = piece.field,
                       .what = "the key needs column '" + piece.name + "', which is missing here (" + quoted(text) +
                               "); leave such rows out with where = " + piece.name + " is not null"};
    }
    if (text.size() > kMaxKeyBytes) {
      throw FieldError{.field = piece.field, .what = "the key of this row is longer than 65,535 bytes"};
    }
    append_value(piece, text, out);
  }
  out += after_;
  if (out.size() - begin > kMaxKeyBytes) {
    throw FieldError{.field = pieces_[0].field, .what = "the key of this row is longer than 65,535 bytes"};
  }
}

void KeyTemplate::append_value(const Piece& piece, ByteView text, std::string& out) {
  bool negative = false;
  std::uint64_t magnitude = 0;
  std::int64_t time = 0;
  double number = 0;
  switch (piece.style) {
    case Style::kPlainText:
      out += text;
      return;
    case Style::kText:
      return append_text(out, text, piece.spec);
    case Style::kPlainInteger:
      if (!parse_magnitude(text, negative, magnitude)) break;
      return append_integer(out, negative, magnitude);
    case Style::kInteger:
      if (!parse_magnitude(text, negative, magnitude)) break;
      return append_integer(out, negative, magnitude, piece.spec);
    case Style::kPlainNumber:
      if (parse_magnitude(text, negative, magnitude)) return append_integer(out, negative, magnitude);
      if (!parse_float(text, number)) break;
      out += trim(text);
      return;
    case Style::kNumber:
      if (piece.spec.type == 'f') {
        if (!parse_float(text, number)) break;
        return append_float(out, number, piece.spec);
      }
      // A column of integers with missing values is float64, and its keys are those of the integers all the same.
      if (parse_magnitude(text, negative, magnitude)) return append_integer(out, negative, magnitude, piece.spec);
      if (piece.spec.type != 0 || !parse_float(text, number)) break;
      return append_number_text(out, trim(text), piece.spec);
    case Style::kDate:
      if (!parse_date(text, time)) break;
      if (piece.spec_text.empty()) {
        out += trim(text);
      } else {
        append_time(out, time * kMicrosPerDay, piece.spec_text);
      }
      return;
    case Style::kDatetime:
      if (!parse_datetime(text, time)) break;
      if (piece.spec_text.empty()) return append_iso_datetime(out, time);
      return append_time(out, time, piece.spec_text);
  }
  const bool integer_wanted = piece.style == Style::kNumber && piece.spec.type != 'f';
  throw wrong_value(piece.field, piece.column, text,
                    integer_wanted ? "; the key format '" + piece.spec_text + "' needs an integer" : "");
}

}  // namespace kv::csv
