#include "index/key_hash.hpp"

#define XXH_INLINE_ALL  // a call into the shared library would cost as much as the hash of a short key
#include <xxhash.h>

namespace kv {

std::uint64_t hash_key(ByteView key, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace kv
