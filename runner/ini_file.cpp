#include "ini_file.hpp"

#include <ini.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "concat.hpp"
#include "utf8.hpp"

namespace runner {
namespace {

constexpr std::string_view kBlanks = " \t\r\f\v";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_blank(char c) { return kBlanks.find(c) != std::string_view::npos; }

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// inih's rules: a comment starts at ';' or '#' as the first character, or at ';' after a blank.
std::string_view without_comment(std::string_view line) {
  const std::size_t first = line.find_first_not_of(kBlanks);
  if (first == std::string_view::npos || line[first] == ';' || line[first] == '#') return {};
  for (std::size_t i = first + 1; i < line.size(); ++i) {
    if (line[i] == ';' && is_blank(line[i - 1])) return line.substr(0, i);
  }
  return line;
}

// `name = ...` where a continuation was due: somebody indented the keys of a section, which inih would swallow.
bool looks_like_entry(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || text.substr(equals).starts_with("==")) return false;
  const std::string_view name = trim(text.substr(0, equals));
  return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos;
}

// Hands the text to inih line by line and takes what inih makes of it.
class Feeder {
 public:
  explicit Feeder(std::string_view text) : rest_(text) {
    // All of them: inih skips one by itself, and would take a header behind it for a section that we never see.
    while (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
  }

  IniFile run() {
    const int bad_call = ini_parse_stream(&Feeder::read_line, this, &Feeder::take_value, this);
    if (bad_call > 0) {
      problem(line_of_call_[static_cast<std::size_t>(bad_call) - 1], "expected 'key = value' or '[section]'");
    }
    std::stable_sort(file_.problems.begin(), file_.problems.end(), [](auto& a, auto& b) { return a.line < b.line; });
    return std::move(file_);
  }

 private:
  enum class Piece { kEntry, kContinuation, kRestOfLine };

  static char* read_line(char* buffer, int size, void* self) {
    return static_cast<Feeder*>(self)->next(buffer, static_cast<std::size_t>(size));
  }

  static int take_value(void* self, const char*, const char* name, const char* value) {
    static_cast<Feeder*>(self)->take(name, value);
    return 1;
  }

  char* next(char* buffer, std::size_t size) {
    std::string text;
    if (!remainder_.empty()) {
      piece_ = Piece::kRestOfLine;
      text = fold(concat(" ", std::exchange(remainder_, {})), size);
    } else if (!rest_.empty()) {
      text = fold(next_line(), size);
    } else {
      return nullptr;
    }
    line_of_call_.push_back(line_);
    std::memcpy(buffer, text.c_str(), text.size() + 1);
    return buffer;
  }

  std::string next_line() {
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    const std::string_view line = without_comment(rest_.substr(0, end));
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++line_;
    const std::string_view text = trim(line);
    if (text.starts_with('[')) return open_section(line, text);
    piece_ = Piece::kEntry;
    if (line.empty() || !is_blank(line[0]) || !in_entry_) return std::string(line);
    piece_ = Piece::kContinuation;
    if (looks_like_entry(text))
      problem(line_, "an indented line continues the value above: remove the blanks before it");
    return std::string(line);
  }

  // inih gets a short stand-in: it would cut a long name, and continue a value by an indented header.
  std::string open_section(std::string_view line, std::string_view text) {
    if (is_blank(line[0])) problem(line_, "a section header may not be indented");
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      problem(line_, "expected ']' after the name of the section");
    } else if (close + 1 != text.size()) {
      problem(line_, "unexpected text after the section header");
    }
    file_.sections.push_back(
        {std::string(text.substr(1, close == std::string_view::npos ? close : close - 1)), line_, {}});
    in_entry_ = false;
    return "[]";
  }

  // As much of the line as inih's buffer takes; the remainder follows as a continuation without a blank between.
  // A piece may not end or start with a blank, which inih trims, nor start like a comment.
  std::string fold(std::string line, std::size_t size) {
    const std::size_t limit = size - 2;
    if (line.size() <= limit) return line;
    std::size_t cut = limit;
    while (cut > limit / 2 && (is_blank(line[cut - 1]) || is_blank(line[cut]) || std::strchr(";#", line[cut]))) --cut;
    const bool has_value = piece_ != Piece::kEntry || line.find_first_of("=:") < cut - 1;
    if (cut == limit / 2 || !has_value) {
      problem(line_, "too long a key, or too many blanks in a row");
      return {};
    }
    remainder_ = line.substr(cut);
    line.resize(cut);
    return line;
  }

  void take(std::string_view name, std::string_view value) {
    if (file_.sections.empty()) return problem(line_, concat("'", name, "' comes before any [section]"));
    std::vector<IniEntry>& entries = file_.sections.back().entries;
    if (piece_ == Piece::kEntry) {
      entries.push_back({std::string(name), std::string(value), line_});
      in_entry_ = true;
      return;
    }
    std::string& text = entries.back().value;
    if (piece_ == Piece::kContinuation && !text.empty()) text += ' ';
    text += value;
  }

  void problem(int line, std::string text) { file_.problems.push_back({line, std::move(text)}); }

  IniFile file_;
  std::string_view rest_;          // lines not yet read
  std::string remainder_;          // of the line being read: did not fit inih's buffer
  int line_ = 0;                   // counts from 1
  Piece piece_ = Piece::kEntry;    // what inih has been given last
  bool in_entry_ = false;          // an indented line would continue the value of an entry
  std::vector<int> line_of_call_;  // inih counts the pieces; this says from which line each was
};

// inih and everything after it take C strings in UTF-8.
void check_encoding(const std::string& text, IniFile& file) {
  const std::size_t bad = std::min(text.find('\0'), find_invalid_utf8(text));
  if (bad >= text.size()) return;
  const int line =
      1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n'));
  file.problems.push_back({line, text[bad] == '\0' ? "a NUL byte: this is no text file" : "not UTF-8"});
}

}  // namespace

IniFile parse_ini(const std::string& text) {
  IniFile file;
  check_encoding(text, file);
  return file.problems.empty() ? Feeder(text).run() : file;
}

}  // namespace runner
