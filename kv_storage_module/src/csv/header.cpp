#include "csv/header.hpp"

#include <unordered_map>

namespace kv::csv {
namespace {

constexpr std::size_t kMaxColumns = 4'096;  // as Schema

[[noreturn]] void refuse_option(const std::string& what) { throw Error(ErrorCode::kInvalidArgument, "csv: " + what); }

bool is_line_end(char c) noexcept { return c == '\n' || c == '\r'; }

std::vector<std::string> column_names(const Source& source, const CsvOptions& options, const FirstRow& first,
                                      bool has_header) {
  if (!options.columns.empty()) {
    if (first.found && options.columns.size() != first.texts.size()) {
      throw Error::at(source.path, first.locations[0].line, 0,
                      "columns names " + std::to_string(options.columns.size()) + " columns, the file has " +
                          std::to_string(first.texts.size()));
    }
    return options.columns;
  }
  std::vector<std::string> names(first.texts.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (has_header) names[i] = first.texts[i];
    // Tools that write row labels leave their column nameless.
    if (names[i].empty()) names[i].append(1, 'c').append(std::to_string(i));
  }
  return names;
}

void check_unique(const Source& source, const std::vector<std::string>& names, const FirstRow& first) {
  std::unordered_map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto [earlier, is_new] = seen.emplace(names[i], i);
    if (is_new) continue;
    const Location at = i < first.locations.size() ? first.locations[i] : Location{.line = 0, .column = 0};
    throw Error::at(source.path, at.line, at.column,
                    "columns " + std::to_string(earlier->second + 1) + " and " + std::to_string(i + 1) +
                        " are both named " + quoted(names[i]) + "; rename one, or give all names with columns");
  }
}

}  // namespace

Source make_source(const CsvOptions& options, ByteView text) {
  const char delimiter = options.delimiter;
  const char quote = options.quote;
  if (is_line_end(delimiter) || is_line_end(quote)) refuse_option("a line end cannot be the delimiter or the quote");
  if (delimiter != 0 && delimiter == quote) refuse_option("the delimiter and the quote must differ");
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    throw Error::at(options.path, 1, 1, "the file is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8");
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return {.path = options.path,
          .text = text,
          .dialect = {.delimiter = delimiter == 0 ? detect_delimiter(text, quote) : delimiter, .quote = quote}};
}

Header read_header(const Source& source, const CsvOptions& options) {
  const bool has_header = options.header.value_or(options.columns.empty());
  const FirstRow first = read_first_row(source, kMaxColumns);
  if (!first.found && (has_header || options.columns.empty())) {
    throw Error::at(source.path, 1, 0,
                    source.text.empty() ? "the file is empty; expected a header line with the names of the columns"
                                        : "nothing but blank lines; expected a header line");
  }
  Header header{.names = column_names(source, options, first, has_header),
                .rows = {.begin = source.begin(), .end = source.end(), .line = 1}};
  if (has_header) header.rows = first.rest;
  check_unique(source, header.names, first);
  return header;
}

}  // namespace kv::csv
