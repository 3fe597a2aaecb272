// The configuration reader takes any bytes: it neither crashes nor invents lines, and never loses an entry in silence.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "ini_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  const runner::IniFile file = runner::parse_ini(text);
  std::size_t found = file.problems.size();
  for (const runner::IniProblem& problem : file.problems) {
    if (problem.text.empty() || problem.line < 0 || problem.line > lines) std::abort();
  }
  for (const runner::IniSection& section : file.sections) {
    ++found;
    if (section.line < 1 || section.line > lines) std::abort();
    for (const runner::IniEntry& entry : section.entries) {
      if (entry.line <= section.line || entry.line > lines) std::abort();
      if (entry.value.size() > size || text.find(entry.name) == std::string::npos) std::abort();
    }
  }
  const bool has_word = std::any_of(text.begin(), text.end(), [](char c) { return c == '=' || c == '['; });
  const bool has_comment = text.find_first_of(";#") != std::string::npos;
  if (has_word && !has_comment && found == 0) std::abort();
  return 0;
}
