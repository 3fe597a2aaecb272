// A strict reader of INI files over inih.
//
// inih alone cuts long lines in silence, does not say on which line a value stood, drops text after a section header,
// and never mentions a section without keys. So it is fed by a reader of ours that folds long lines, counts, and opens
// the sections itself. What the names and values mean is config.cpp's business.
#pragma once

#include <string>
#include <vector>

namespace runner {

struct IniEntry {
  std::string name;
  std::string value;  // without comment and surrounding blanks; indented continuation lines are joined by one space
  int line;
};

struct IniSection {
  std::string name;
  int line;
  std::vector<IniEntry> entries;
};

struct IniProblem {
  int line;  // 0 = the file as a whole
  std::string text;
};

struct IniFile {
  std::vector<IniSection> sections;
  std::vector<IniProblem> problems;
};

// Never throws for what is in the text: every problem found is listed.
[[nodiscard]] IniFile parse_ini(const std::string& text);

}  // namespace runner
