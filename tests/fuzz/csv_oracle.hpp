// What a CSV text means, told by a state machine that reads one byte after the other, and a comparison of it with the
// parallel parser. Shared by the fuzz target and by the unit test that replays its findings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "csv/ranges.hpp"
#include "csv/row_reader.hpp"
#include "csv/source.hpp"
#include "csv/workers.hpp"

namespace kv::test {

struct CsvRow {
  std::uint64_t line = 0;
  std::vector<std::string> fields;
  friend bool operator==(const CsvRow&, const CsvRow&) = default;
};

struct CsvContent {
  std::vector<CsvRow> rows;
  std::uint64_t error_line = 0;  // 0 = no error
  std::uint64_t error_column = 0;
  friend bool operator==(const CsvContent&, const CsvContent&) = default;
};

class CsvOracle {
 public:
  CsvOracle(std::string_view text, csv::Dialect dialect) : text_(text), dialect_(dialect) {}

  CsvContent read() {
    while (at_ < text_.size()) {
      if (is_line_end()) {
        end_line();
      } else if (!read_row()) {
        break;
      }
    }
    return content_;
  }

 private:
  // False = error.
  bool read_row() {
    CsvRow row{.line = line_, .fields = {}};
    for (;;) {
      std::string field;
      if (!read_field(field)) return false;
      row.fields.push_back(field);
      if (at_ == text_.size() || is_line_end()) break;
      if (columns_ != 0 && row.fields.size() == columns_) return fail(line_, column(at_ + 1));
      ++at_;  // the delimiter
    }
    if (columns_ == 0) columns_ = row.fields.size();
    if (row.fields.size() != columns_) return fail(line_, column(at_));
    content_.rows.push_back(row);
    if (at_ != text_.size()) end_line();
    return true;
  }

  bool read_field(std::string& field) {
    if (dialect_.quote != 0 && at_ < text_.size() && text_[at_] == dialect_.quote) return read_quoted(field);
    for (; at_ < text_.size() && text_[at_] != dialect_.delimiter && !is_line_end(); ++at_) {
      if (text_[at_] == '\0' || (dialect_.quote != 0 && text_[at_] == dialect_.quote)) return fail(line_, column(at_));
      field += text_[at_];
    }
    return true;
  }

  bool read_quoted(std::string& field) {
    const std::uint64_t opening_line = line_;
    const std::uint64_t opening_column = column(at_);
    ++at_;
    for (;;) {
      if (at_ == text_.size()) return fail(opening_line, opening_column);
      const char c = text_[at_];
      if (c == '\0') return fail(line_, column(at_));
      if (c == dialect_.quote) {
        if (at_ + 1 == text_.size() || text_[at_ + 1] != dialect_.quote) break;
        ++at_;
      }
      field += c;
      ++at_;
      if (c == '\n' || (c == '\r' && (at_ == text_.size() || text_[at_] != '\n'))) begin_line();
    }
    ++at_;
    if (at_ == text_.size() || text_[at_] == dialect_.delimiter || is_line_end()) return true;
    return fail(line_, column(at_));
  }

  [[nodiscard]] bool is_line_end() const { return text_[at_] == '\n' || text_[at_] == '\r'; }
  [[nodiscard]] std::uint64_t column(std::size_t at) const { return at - line_begin_ + 1; }

  void end_line() {
    at_ += text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n' ? 2 : 1;
    begin_line();
  }

  void begin_line() {
    ++line_;
    line_begin_ = at_;
  }

  bool fail(std::uint64_t line, std::uint64_t at_column) {
    content_.error_line = line;
    content_.error_column = at_column;
    return false;
  }

  std::string_view text_;
  csv::Dialect dialect_;
  std::size_t at_ = 0;
  std::size_t line_begin_ = 0;
  std::uint64_t line_ = 1;
  std::size_t columns_ = 0;
  CsvContent content_;
};

// The same by the parser under test, the text cut into ranges of about `range_bytes`.
inline CsvContent parse_csv(std::string_view text, csv::Dialect dialect, std::size_t range_bytes) {
  constexpr std::size_t kReadable = 64;
  // What lies behind the text must not be taken for a part of it, whatever it looks like.
  std::string padded(text);
  for (std::size_t i = 0; i < kReadable; ++i) padded += "\",\n\r"[i % 4];
  const csv::Source source{.path = "", .text = std::string_view(padded).substr(0, text.size()), .dialect = dialect};
  CsvContent content;
  try {
    const csv::FirstRow first = csv::read_first_row(source, text.size() + 1);
    if (!first.found) return content;
    const csv::RowRange all{.begin = source.begin(), .end = source.end(), .line = 1};
    std::string scratch;
    for (const csv::RowRange& range : csv::split_rows(source, all, range_bytes, csv::Workers(1)).ranges) {
      csv::RowReader reader(source, range, first.texts.size());
      while (reader.next()) {
        CsvRow row{.line = reader.line(), .fields = {}};
        for (const csv::Field& field : reader.fields()) row.fields.emplace_back(field.text(scratch));
        content.rows.push_back(std::move(row));
      }
    }
  } catch (const Error& error) {
    content.error_line = error.line();
    content.error_column = error.column();
  }
  return content;
}

// Where and how the two differ; nullopt if they agree.
inline std::optional<std::string> compare_csv(std::string_view text, csv::Dialect dialect, std::size_t range_bytes) {
  const CsvContent expected = CsvOracle(text, dialect).read();
  const CsvContent found = parse_csv(text, dialect, range_bytes);
  if (found == expected) return std::nullopt;
  const auto describe = [](const CsvContent& content) {
    std::string out;
    for (const CsvRow& row : content.rows) {
      out += "  line " + std::to_string(row.line) + ":";
      for (const std::string& field : row.fields) out += " [" + field + "]";
      out += "\n";
    }
    return out + "  error at " + std::to_string(content.error_line) + ":" + std::to_string(content.error_column) + "\n";
  };
  return "range_bytes " + std::to_string(range_bytes) + "\nexpected\n" + describe(expected) + "found\n" +
         describe(found);
}

// A fuzzer's input: two bytes of settings, then the text. compare_csv() of it.
inline std::optional<std::string> compare_csv_input(std::string_view input) {
  if (input.size() < 2) return std::nullopt;
  static constexpr csv::Dialect kDialects[] = {{.delimiter = ',', .quote = '"'},
                                               {.delimiter = '\t', .quote = '"'},
                                               {.delimiter = ';', .quote = '\''},
                                               {.delimiter = '|', .quote = 0}};
  const auto range_bytes = static_cast<std::size_t>(static_cast<unsigned char>(input[0])) + 1;
  const csv::Dialect dialect = kDialects[static_cast<unsigned char>(input[1]) % 4];
  return compare_csv(input.substr(2), dialect, range_bytes);
}

}  // namespace kv::test
