// The log reader takes any bytes: it finds an end or names the damage, surveying finds no less, and what the records
// say leaves a sound store. Input: a byte of flags (1: checksums are set right, 2: in two segments, 4: read by another
// start of the machine), then the segment, header included.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fuzz/stored_file.hpp"
#include "persist/log_reader.hpp"
#include "persist/survey.hpp"

namespace {

using namespace kv;           // NOLINT(google-build-using-namespace)
using namespace kv::persist;  // NOLINT(google-build-using-namespace)

constexpr unsigned kSeal = 1;
constexpr unsigned kTwoSegments = 2;
constexpr unsigned kOtherBoot = 4;
constexpr std::size_t kMostBytes = 1 << 16;

void put_header(std::string& bytes, std::uint64_t number, std::uint64_t boot) {
  FileHeader header{};
  if (bytes.size() < sizeof header) return;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.part = 0;
  header.epoch = 1;
  header.number = number;
  header.boot = boot;
  std::memcpy(bytes.data(), &header, sizeof header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > kMostBytes) return 0;
  const unsigned flags = data[0];
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  test::MemoryFiles files;
  std::vector<std::uint64_t> numbers{1};
  const std::uint64_t boot = (flags & kOtherBoot) != 0 ? 2 : 1;
  if ((flags & kTwoSegments) != 0 && bytes.size() >= 2 * kFileHeaderBytes) {
    std::string second = bytes.substr(bytes.size() / 16 * 8);
    bytes.resize(bytes.size() / 16 * 8);
    if ((flags & kSeal) != 0) {
      put_header(second, 2, boot);
      test::seal_file(second, kLogMagic);
    }
    files.contents["log-1-0-2"] = std::move(second);
    numbers.push_back(2);
  }
  if ((flags & kSeal) != 0) {
    put_header(bytes, 1, boot);
    test::seal_file(bytes, kLogMagic);
  }
  files.contents["log-1-0-1"] = std::move(bytes);

  const LogStart start{1, 0};
  std::uint64_t visited = 0;
  std::uint64_t replayed = 0;
  std::optional<LogExtent> extent;
  bool newer = false;
  try {
    extent = read_log(-1, "fuzz", 1, 0, start, numbers, [&](const Record&) { ++visited; });
    if (extent->records != visited) test::fail_fuzz("other records were counted than visited");
    for (const LogSpan& span : extent->spans) {
      SpanImage image(-1, "fuzz", span);
      for (Record record{}; image.next(record);) ++replayed;
    }
    if (replayed != visited) test::fail_fuzz("other records were replayed than visited");
  } catch (const Error& error) {
    newer = error.code() == ErrorCode::kIo;
    if (!newer && error.code() != ErrorCode::kCorrupt) test::fail_fuzz(error.what());
  }
  if (newer) return 0;

  std::vector<FileDamage> damage;
  std::vector<std::pair<LogKind, std::string>> records;
  (void)survey_log(
      -1, "fuzz", 1, 0, start, numbers,
      [&](const Record& record, auto&&...) { records.emplace_back(record.kind, record.payload); }, damage);
  if (extent.has_value() != damage.empty()) test::fail_fuzz("a survey finds damage where reading finds none, or not");
  if (extent && records.size() != visited) test::fail_fuzz("a survey visits other records than reading");

  NameHistory names;
  for (const auto& [kind, payload] : records) (void)names.apply(kind, payload);
  try {
    test::Restoration restoration(names);
    Restorer restorer = restoration.restorer(0);
    for (const auto& [kind, payload] : records) restoration.apply(restorer, kind, payload);
    restoration.check();
  } catch (const Error&) {  // the names make no sense, or a schema
  }
  return 0;
}
