// The reader of checkpoints and loads takes any bytes: surveying visits what is intact and tells what is not, and what
// the records say leaves a sound store.
// Input: a byte of flags (1: checksums are set right), then the file, header included.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/stored_file.hpp"
#include "persist/survey.hpp"

namespace {

using namespace kv;           // NOLINT(google-build-using-namespace)
using namespace kv::persist;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kMostBytes = 1 << 16;
constexpr const char* kName = "checkpoint-1-0";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > kMostBytes) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0) test::seal_file(bytes, kCheckpointMagic);
  const std::uint64_t file_bytes = bytes.size();
  test::MemoryFiles files;
  files.contents[kName] = std::move(bytes);

  std::vector<std::pair<LogKind, std::string>> records;
  std::vector<FileDamage> damage;
  std::uint64_t last_offset = 0;
  std::uint64_t intact = 0;
  try {
    survey_whole(
        -1, "fuzz", kName, kCheckpointMagic,
        [&](const Record& record, const std::string&, std::uint64_t offset) {
          if (offset < kFileHeaderBytes || offset <= last_offset) test::fail_fuzz("records are visited out of order");
          last_offset = offset;
          intact += record_bytes(record.payload.size());
          records.emplace_back(record.kind, record.payload);
        },
        damage);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kIo) test::fail_fuzz(error.what());
    return 0;  // a newer format
  }
  for (const FileDamage& lost : damage) {
    if (lost.offset > file_bytes || lost.bytes > file_bytes - lost.offset) test::fail_fuzz("damage outside the file");
  }
  if (intact > file_bytes) test::fail_fuzz("records overlap");
  const bool complete = !records.empty() && records.back().first == LogKind::kEnd;
  if (damage.empty() && !(complete && intact + kFileHeaderBytes == file_bytes)) {
    test::fail_fuzz("no damage is told of a file that is not complete");
  }

  NameHistory names;
  for (const auto& [kind, payload] : records) (void)names.apply(kind, payload);
  try {
    test::Restoration restoration(names);
    Restorer restorer = restoration.restorer(1);
    for (const auto& [kind, payload] : records) restoration.apply(restorer, kind, payload);
    restoration.check();
  } catch (const Error&) {  // the names make no sense, or a schema
  }
  return 0;
}
