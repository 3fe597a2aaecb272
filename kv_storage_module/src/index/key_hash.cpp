#include "index/key_hash.hpp"

#include <xxhash.h>

namespace kv {

std::uint64_t hash_key(ByteView key, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace kv
