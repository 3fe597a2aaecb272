#include <cstring>

#include "workload.hpp"

namespace kv::crash {
namespace {

struct Header {
  std::uint64_t key;
  std::uint64_t version;
  std::uint64_t bytes;
};
static_assert(sizeof(Header) == Payload::kHeaderBytes);

[[nodiscard]] char body_byte(std::uint64_t seed, std::size_t i) noexcept {
  return static_cast<char>(seed >> i % 8 * 8);
}

}  // namespace

std::size_t Payload::size(std::uint64_t key, std::uint64_t version) noexcept {
  const std::uint64_t draw = mix(key * 1'000'003 + version);
  const auto up_to = [&](std::size_t most) { return kHeaderBytes + (draw >> 8) % (most - kHeaderBytes); };
  switch (draw % 64) {
    case 0:
      return up_to(200'000);
    case 1:
    case 2:
      return up_to(40'000);
    case 3:
    case 4:
    case 5:
    case 6:
      return up_to(6'000);
    default:
      return up_to(400);
  }
}

void Payload::fill(char* to, std::size_t bytes, std::uint64_t key, std::uint64_t version) noexcept {
  const Header header{key, version, bytes};
  std::memcpy(to, &header, sizeof header);
  const std::uint64_t seed = mix(key ^ version << 20);
  for (std::size_t i = sizeof header; i < bytes; ++i) to[i] = body_byte(seed, i);
}

std::uint64_t Payload::version_in(const char* from, std::size_t bytes, std::uint64_t key) {
  Header header{};
  if (bytes < sizeof header) throw Violation("a payload of " + std::to_string(bytes) + " bytes");
  std::memcpy(&header, from, sizeof header);
  if (header.key != key || header.bytes != bytes || header.bytes != size(key, header.version)) {
    throw Violation("key " + std::to_string(key) + " with " + std::to_string(bytes) + " bytes holds key " +
                    std::to_string(header.key) + " version " + std::to_string(header.version) + " with " +
                    std::to_string(header.bytes) + " bytes");
  }
  const std::uint64_t seed = mix(key ^ header.version << 20);
  for (std::size_t i = sizeof header; i < bytes; ++i) {
    if (from[i] == body_byte(seed, i)) continue;
    throw Violation("key " + std::to_string(key) + " version " + std::to_string(header.version) + " is torn at byte " +
                    std::to_string(i) + " of " + std::to_string(bytes));
  }
  return header.version;
}

}  // namespace kv::crash
