#include "persist/format.hpp"

#include <xxhash.h>

#include <cerrno>
#include <charconv>
#include <vector>

#include "kv_storage/error.hpp"

namespace kv::persist {
namespace {

// "<word>-<number>-<number>..." with exactly `count` numbers, written as to_chars does.
[[nodiscard]] std::optional<std::vector<std::uint64_t>> parse_name(const std::string& name, const std::string& word,
                                                                   std::size_t count) {
  if (!name.starts_with(word)) return std::nullopt;
  std::vector<std::uint64_t> numbers;
  const char* at = name.data() + word.size();
  const char* const end = name.data() + name.size();
  while (at != end && *at == '-') {
    std::uint64_t number = 0;
    const auto [next, error] = std::from_chars(at + 1, end, number);
    if (error != std::errc()) return std::nullopt;
    numbers.push_back(number);
    at = next;
  }
  if (at != end || numbers.size() != count) return std::nullopt;
  return numbers;
}

}  // namespace

void FileHeader::seal() noexcept { checksum = XXH3_64bits(this, offsetof(FileHeader, checksum)); }

std::uint64_t record_checksum(const std::byte* record, std::uint64_t payload_bytes, std::uint64_t seed,
                              std::uint64_t position) noexcept {
  constexpr std::size_t kFrom = offsetof(RecordHeader, kind_and_bytes);
  return XXH3_64bits_withSeed(record + kFrom, record_bytes(payload_bytes) - kFrom, seed + position);
}

void throw_newer(std::uint32_t version, const std::string& path) {
  throw Error::from_errno(ENOTSUP,
                          "a newer version wrote it (format " + std::to_string(version) + ", this one reads up to " +
                              std::to_string(kFormatVersion) + ")",
                          path);
}

std::string LogName::text() const {
  return "log-" + std::to_string(epoch) + "-" + std::to_string(part) + "-" + std::to_string(number);
}
std::optional<LogName> LogName::parse(const std::string& name) {
  const auto numbers = parse_name(name, "log", 3);
  if (!numbers) return std::nullopt;
  return LogName{(*numbers)[0], static_cast<std::uint32_t>((*numbers)[1]), (*numbers)[2]};
}

std::string CheckpointName::text() const { return "checkpoint-" + std::to_string(number) + "-" + std::to_string(part); }
std::optional<CheckpointName> CheckpointName::parse(const std::string& name) {
  const auto numbers = parse_name(name, "checkpoint", 2);
  if (!numbers) return std::nullopt;
  return CheckpointName{(*numbers)[0], static_cast<std::uint32_t>((*numbers)[1])};
}

std::string LoadName::text() const { return "load-" + std::to_string(number); }
std::optional<LoadName> LoadName::parse(const std::string& name) {
  const auto numbers = parse_name(name, "load", 1);
  if (!numbers) return std::nullopt;
  return LoadName{(*numbers)[0]};
}

}  // namespace kv::persist
