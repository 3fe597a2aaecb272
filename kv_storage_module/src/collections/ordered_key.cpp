#include <bit>
#include <cmath>
#include <cstring>

#include "kv_storage/error.hpp"
#include "kv_storage/ordered.hpp"

namespace kv {
namespace {

constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;

[[nodiscard]] std::string of_word(KeyType type, std::uint64_t word) {
  std::string key(9, static_cast<char>(type));
  const std::uint64_t big_endian = __builtin_bswap64(word);
  std::memcpy(key.data() + 1, &big_endian, sizeof big_endian);
  return key;
}

[[nodiscard]] std::uint64_t word_of(ByteView key) noexcept {
  std::uint64_t big_endian = 0;
  if (key.size() == 1 + sizeof big_endian) std::memcpy(&big_endian, key.data() + 1, sizeof big_endian);
  return __builtin_bswap64(big_endian);
}

}  // namespace

namespace ordered_key {

std::string of_integer(KeyType type, std::int64_t value) {
  return of_word(type, static_cast<std::uint64_t>(value) ^ kSignBit);
}

std::string of_float(double value) {
  if (std::isnan(value)) throw Error(ErrorCode::kInvalidArgument, "NaN is no key: it has no place in an order");
  const auto bits = std::bit_cast<std::uint64_t>(value + 0.0);  // -0.0 becomes 0.0
  return of_word(KeyType::kFloat, (bits & kSignBit) != 0 ? ~bits : bits | kSignBit);
}

std::string of_bytes(KeyType type, ByteView bytes) {
  std::string key;
  key.reserve(1 + bytes.size());
  key += static_cast<char>(type);
  key += bytes;
  return key;
}

std::int64_t integer(ByteView key) noexcept { return static_cast<std::int64_t>(word_of(key) ^ kSignBit); }

double floating(ByteView key) noexcept {
  const std::uint64_t word = word_of(key);
  return std::bit_cast<double>((word & kSignBit) != 0 ? word ^ kSignBit : ~word);
}

ByteView bytes(ByteView key) noexcept { return key.substr(key.empty() ? 0 : 1); }

}  // namespace ordered_key

KeyType key_type_of(ByteView key) noexcept {
  return key.empty() ? KeyType::kUnknown : static_cast<KeyType>(key.front());
}

const char* key_type_name(KeyType type) noexcept {
  switch (type) {
    case KeyType::kInt:
      return "int";
    case KeyType::kFloat:
      return "float";
    case KeyType::kText:
      return "str";
    case KeyType::kBytes:
      return "bytes";
    case KeyType::kDate:
      return "date";
    case KeyType::kDatetime:
      return "datetime";
    case KeyType::kUnknown:
      break;
  }
  return "unknown";
}

void throw_mixed_keys(KeyType present, KeyType given) {
  throw Error(ErrorCode::kTypeMismatch, std::string("the keys of this collection are of type ") +
                                            key_type_name(present) + ", not " + key_type_name(given));
}

}  // namespace kv
