// The manifest reader takes any text: it refuses it by name, or what it read is written and read as the same.
// Input: a byte of flags (1: the last line is made to fit), then the text.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kv_storage/error.hpp"
#include "persist/manifest.hpp"

namespace {

constexpr std::size_t kMostBytes = 1 << 16;
const std::string kPath = "fuzz/MANIFEST";  // NOLINT(bugprone-throwing-static-initialization)

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "manifest: %s\n", what.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using kv::persist::Manifest;
  if (size == 0 || size > kMostBytes) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0) {
    const std::size_t line = text.rfind("\nend ");
    if (line != std::string::npos) text.resize(line + 1);
    if (text.empty() || text.back() != '\n') text += '\n';
    text += kv::persist::end_of(text);
  }
  Manifest manifest;
  try {
    manifest = Manifest::decode(text, kPath);
  } catch (const kv::Error& error) {
    const bool expected = error.code() == kv::ErrorCode::kCorrupt || error.code() == kv::ErrorCode::kIo;
    if (!expected || std::string(error.what()).find(kPath) == std::string::npos) fail(error.what());
    return 0;
  }
  const std::string written = manifest.encode();
  if (Manifest::decode(written, kPath).encode() != written) fail("what was written is not read as the same");
  if (manifest.checkpoint != 0 && manifest.checkpoint_parts == 0) fail("a checkpoint without parts");
  for (const kv::persist::Epoch& epoch : manifest.epochs) {
    if (epoch.logs.empty() || epoch.logs.size() > size) fail("an impossible number of logs");
  }
  return 0;
}
