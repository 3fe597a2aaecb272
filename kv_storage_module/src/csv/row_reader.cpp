#include "csv/row_reader.hpp"

#include <algorithm>
#include <cstring>

#include "csv/block.hpp"

namespace kv::csv {
namespace {

constexpr std::size_t kPadding = 8;  // Field::text promises this many readable bytes

bool is_line_end(char c) noexcept { return c == '\n' || c == '\r'; }

// Whether quoted content has a doubled quote or a line end: most has neither, and is then used as it stands.
bool needs_care(const char* data, std::size_t size, char quote) noexcept {
  for (std::size_t at = 0; at < size; at += kBlockBytes) {
    if ((Block(data + at).any_of(quote, '\n', '\r') & low_bits(size - at)) != 0) return true;
  }
  return false;
}

std::string counted_fields(std::size_t count) { return std::to_string(count) + (count == 1 ? " field" : " fields"); }

std::string separator_note(char delimiter) {
  return delimiter == '\t' ? " separated by tabs" : std::string(" separated by '") + delimiter + "'";
}

}  // namespace

ByteView Field::unescape(std::string& scratch) const {
  scratch.resize(size + kPadding);
  char* out = scratch.data();
  const char* const end = data + size;
  for (const char* p = data; p != end; ++p) {
    *out++ = *p;
    if (*p == escaped) ++p;  // quotes inside quotes come in pairs
  }
  const auto length = static_cast<std::size_t>(out - scratch.data());
  std::memset(out, 0, kPadding);
  return {scratch.data(), length};
}

RowReader::RowReader(const Source& source, const RowRange& range, std::size_t columns)
    : source_(source),
      dialect_(source.dialect),
      tokenizer_(range.begin, range.end, source.dialect),
      cursor_(range.begin),
      range_end_(range.end),
      row_begin_(range.begin),
      line_(range.line),
      fields_(columns) {}

bool RowReader::read(std::span<Field> fields) {
  const char* at = skip_blank_lines();
  if (at == nullptr) return false;
  const std::size_t last = fields.size() - 1;
  for (std::size_t index = 0;; ++index) {
    const char* const after = add_field(fields[index], cursor_, at);
    if (is_row_end(at)) {
      if (index != last) fail_too_few(index + 1, at);
      end_line(at);
      return true;
    }
    if (index == last) fail_too_many(after);
    cursor_ = after;
    at = tokenizer_.next();
    if (at == nullptr) fail_without_end(cursor_);
  }
}

// The first field end of the next row that is not blank; nullptr at the end of the range.
const char* RowReader::skip_blank_lines() {
  const char* at = tokenizer_.next();
  while (at != nullptr && at == cursor_ && at != range_end_ && is_line_end(*at)) {
    end_line(at);
    at = tokenizer_.next();
  }
  row_begin_ = cursor_;
  row_line_ = line_;
  if (at == nullptr && (tokenizer_.fault() != nullptr || tokenizer_.unterminated())) fail_without_end(cursor_);
  return at;
}

const char* RowReader::add_field(Field& field, const char* begin, const char* end) {
  const char quote = dialect_.quote;
  field = {.begin = begin, .data = begin, .size = static_cast<std::size_t>(end - begin), .escaped = 0};
  if (begin != end && *begin == quote && quote != 0) [[unlikely]] {
    field.data = begin + 1;
    field.size -= 2;
    if (needs_care(field.data, field.size, quote)) {
      line_ += count_lines({field.data, field.size});
      if (std::memchr(field.data, quote, field.size) != nullptr) field.escaped = quote;
    }
  }
  return end + 1;
}

void RowReader::end_line(const char* line_end) {
  ++line_;
  cursor_ = line_end;
  if (line_end == range_end_) return;
  ++cursor_;
  if (*line_end == '\r' && cursor_ != range_end_ && *cursor_ == '\n') cursor_ = tokenizer_.next() + 1;
}

Error RowReader::error_in(const char* row, std::uint64_t line, const char* at, std::string_view what) const {
  const Location place = locate(row, line, at);
  return Error::at(source_.path, place.line, place.column, what);
}

// The tokenizer stopped before it found the end of the field that begins at `field`.
void RowReader::fail_without_end(const char* field) const {
  const char quote = dialect_.quote;
  const std::string shown = std::string("'") + quote + "'";
  if (tokenizer_.fault() == nullptr) {
    throw error_at(field, "this field opens with " + shown + " and is never closed; close it, or double each " + shown +
                              " inside it");
  }
  if (*tokenizer_.fault() == '\0') {
    throw error_at(tokenizer_.fault(), "a NUL byte; the file is damaged, or not UTF-8 (UTF-16?)");
  }
  if (*field == quote) {
    throw error_at(tokenizer_.fault(), "expected a delimiter or the end of the line after the closing " + shown +
                                           ", found " + quoted({tokenizer_.fault(), 1}) + "; inside a quoted field " +
                                           shown + " is written twice");
  }
  throw error_at(tokenizer_.fault(), "a " + shown + " in a field that does not begin with it; put the whole field in " +
                                         shown + " and double those inside, or load without a quote character");
}

void RowReader::fail_too_few(std::size_t found, const char* at) const {
  throw error_at(at, "expected " + counted_fields(fields_.size()) + separator_note(dialect_.delimiter) +
                         ", the row ends after " + std::to_string(found));
}

void RowReader::fail_too_many(const char* at) const {
  throw error_at(at, "expected " + counted_fields(fields_.size()) + separator_note(dialect_.delimiter) +
                         ", here begins one more; quote a field that holds the delimiter");
}

FirstRow read_first_row(const Source& source, std::size_t max_columns) {
  Tokenizer tokens(source.begin(), source.end(), source.dialect);
  const char* row = source.begin();
  std::size_t columns = 1;
  for (;; ++columns) {
    const char* at = tokens.next();
    const bool broken = tokens.fault() != nullptr || tokens.unterminated();
    if (at == nullptr && !broken) return {};
    if (at == nullptr) break;
    if (at != source.end() && *at == source.dialect.delimiter) {
      if (columns < max_columns) continue;
      throw Error::at(source.path, locate(source.begin(), 1, row).line, 0,
                      "more than " + std::to_string(max_columns) + " columns; is the delimiter right?");
    }
    if (at != row || at == source.end()) break;
    row = at + 1;  // a blank line, or the LF of a CRLF
    columns = 0;
  }
  const RowRange all{.begin = source.begin(), .end = source.end(), .line = 1};
  RowReader reader(source, all, columns);
  FirstRow first;
  first.found = reader.next();
  std::string scratch;
  for (const Field& field : reader.fields()) {
    if (field.size > 2 * kMaxTextBytes) throw reader.error_at(field.begin, "a field of the first row is too long");
    first.texts.emplace_back(field.text(scratch));
    first.locations.push_back(locate(source.begin(), 1, field.begin));
  }
  first.rest = {.begin = reader.position(), .end = source.end(), .line = reader.next_line()};
  return first;
}

}  // namespace kv::csv
