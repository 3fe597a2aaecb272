#include "store/csv_source.hpp"

#include <sys/stat.h>
#include <xxhash.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "csv/mapped_file.hpp"

namespace kv {
namespace {

constexpr std::string_view kTitle = "csv 1\n";

[[nodiscard]] std::string hex(std::uint64_t value) {
  char text[16];
  return {text, std::to_chars(text, text + sizeof text, value, 16).ptr};
}

void append(std::string& to, std::string_view text) { to += std::to_string(text.size()) + ":" + std::string(text); }

// Of everything that decides on the rows; not the path, as a file may be moved.
[[nodiscard]] std::uint64_t hash_of(const CsvOptions& options) {
  std::string all;
  append(all, options.key);
  append(all, options.where);
  all += std::to_string(options.types.size());
  for (const auto& [column, type] : options.types) {
    append(all, column);
    append(all, type);
  }
  all += static_cast<char>(options.on_duplicate);
  all += options.delimiter;
  all += options.quote;
  all += options.header ? (*options.header ? 'y' : 'n') : 'a';
  all += std::to_string(options.columns.size());
  for (const std::string& column : options.columns) append(all, column);
  for (const std::string& text : options.missing) append(all, text);
  return XXH3_64bits(all.data(), all.size());
}

// Three lines: what cannot differ, the time, the contents.
struct Description {
  std::string fixed;
  std::string time;
};

[[nodiscard]] Description describe(const CsvOptions& options) {
  struct stat status {};
  if (::stat(options.path.c_str(), &status) != 0) throw Error::from_errno(errno, "cannot look at", options.path);
  const std::int64_t modified_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  return {std::string(kTitle) + hex(hash_of(options)) + " " + std::to_string(status.st_size) + "\n",
          std::to_string(modified_ns) + "\n"};
}

[[nodiscard]] std::string hash_of_contents(const std::string& path) {
  const csv::MappedFile file(path);
  const ByteView text = file.text();
  return hex(XXH3_64bits(text.data(), text.size()));
}

}  // namespace

std::string describe_csv(const CsvOptions& options) {
  const Description now = describe(options);
  return now.fixed + now.time + hash_of_contents(options.path);
}

bool is_same_csv(const CsvOptions& options, const std::string& source) {
  try {
    const Description now = describe(options);
    if (!source.starts_with(now.fixed)) return false;
    if (source.substr(now.fixed.size()).starts_with(now.time)) return true;
    return source.ends_with("\n" + hash_of_contents(options.path));
  } catch (const Error&) {
    return false;
  }
}

}  // namespace kv
