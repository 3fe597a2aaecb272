#include "base/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace kv {
namespace {

// Length of the sequence that begins at `at`, 0 if it is none. Table 3-7 of the Unicode standard.
[[nodiscard]] std::size_t sequence_bytes(const unsigned char* at, std::size_t left) noexcept {
  const unsigned char lead = at[0];
  if (lead < 0x80) return 1;
  std::size_t bytes = 2;
  unsigned char lowest = 0x80, highest = 0xbf;  // of the second byte
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead >= 0xe0) bytes = 3;
  if (lead >= 0xf0) bytes = 4;
  if (lead == 0xe0) lowest = 0xa0;
  if (lead == 0xed) highest = 0x9f;
  if (lead == 0xf0) lowest = 0x90;
  if (lead == 0xf4) highest = 0x8f;
  if (bytes > left || at[1] < lowest || at[1] > highest) return 0;
  for (std::size_t i = 2; i < bytes; ++i) {
    if (at[i] < 0x80 || at[i] > 0xbf) return 0;
  }
  return bytes;
}

}  // namespace

bool is_utf8(ByteView bytes) noexcept {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  while (left != 0) {
    std::uint64_t word = 0;
    if (left >= sizeof word) std::memcpy(&word, at, sizeof word);
    const bool ascii = left >= sizeof word && (word & 0x8080808080808080) == 0;
    const std::size_t step = ascii ? sizeof word : sequence_bytes(at, left);
    if (step == 0) return false;
    at += step, left -= step;
  }
  return true;
}

}  // namespace kv
