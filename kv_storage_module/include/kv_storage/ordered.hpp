// Ordered: what Map and Set are made of. A Hash whose keys are of one type, in the order of their values, that lies
// whole in one part and counts: rank, select and the length of a range cost the depth of the index, not its size.
//
// Keys are given encoded (below), and every operation of Hash works on them. A Set is one whose values are all kNone.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "kv_storage/hash.hpp"

namespace kv {

// The first byte of an encoded key. Stored: the numbers are frozen.
enum class KeyType : std::uint8_t {
  kUnknown = 0,   // no key so far
  kInt = 1,       // 8 bytes, big endian, the sign bit inverted
  kFloat = 2,     // binary64 as 8 bytes, big endian: negative ones inverted, else the sign bit set. No NaN, no -0.0
  kText = 3,      // UTF-8, surrogates too: ordered by code point, as Python's str
  kBytes = 4,     // as they are
  kDate = 5,      // days since 1970-01-01 as kInt
  kDatetime = 6,  // microseconds since 1970-01-01T00:00 without a zone, as kInt
};

// Encoded keys compare, byte by byte, as their values do.
namespace ordered_key {
[[nodiscard]] std::string of_integer(KeyType type, std::int64_t value);  // kInt, kDate, kDatetime
[[nodiscard]] std::string of_float(double value);                        // throws Error{kInvalidArgument}: NaN
[[nodiscard]] std::string of_bytes(KeyType type, ByteView bytes);        // kText, kBytes
// Of an encoded key of that type.
[[nodiscard]] std::int64_t integer(ByteView key) noexcept;
[[nodiscard]] double floating(ByteView key) noexcept;
[[nodiscard]] ByteView bytes(ByteView key) noexcept;
}  // namespace ordered_key

[[nodiscard]] KeyType key_type_of(ByteView key) noexcept;
[[nodiscard]] const char* key_type_name(KeyType type) noexcept;  // as in Python
[[noreturn]] void throw_mixed_keys(KeyType present, KeyType given);

class Ordered : public Hash {
 public:
  explicit Ordered(std::shared_ptr<HashImpl> impl) noexcept : Hash(std::move(impl)) {}

  [[nodiscard]] KeyType key_type() const;
  // Decides on the type of keys. Throws Error{kTypeMismatch} if it is another already.
  void fix_key_type(KeyType type);

  // All of these are O(depth); each is one consistent section.
  [[nodiscard]] std::uint64_t rank(ByteView key) const;                             // how many keys are less
  [[nodiscard]] std::optional<std::string> select(std::uint64_t index) const;       // the key of that rank
  [[nodiscard]] std::optional<std::string> select_back(std::uint64_t index) const;  // 0 = the last
  [[nodiscard]] std::optional<std::string> floor(ByteView key) const;               // the last key not after it
  [[nodiscard]] std::optional<std::string> ceiling(ByteView key) const;             // the first key not before it
  [[nodiscard]] std::uint64_t count(const KeyRange& range) const;  // visits keys only if there is a glob
  // The keys [first, last) of the range by position (without regard to a glob), as a range of keys. Positions beyond
  // the end are clamped.
  [[nodiscard]] KeyRange slice(const KeyRange& range, std::uint64_t first, std::uint64_t last) const;

  bool take_first(std::string& key, ValueBuffer& out);
  bool take_last(std::string& key, ValueBuffer& out);

  // ---- Sets ----
  // Adds a member for as long as `ttl_ms` says, or for good: a present one gets or loses its ttl. True = it was new. To
  // add for good what is there for good is a read.
  bool add(ByteView key, std::uint64_t ttl_ms = kNoTtl);
  void add_many(std::span<const ByteView> keys, std::uint64_t ttl_ms = kNoTtl);  // the same, as put_many

  // With another set, which may lie in another store. In steps of a page of keys: others may write between. Members
  // that come from `other` stay for good; those that were here keep their ttl unless they are added again.
  void unite(const Ordered& other);                 // |=
  void intersect(const Ordered& other);             // &=
  void subtract(const Ordered& other);              // -=
  void symmetric_difference(const Ordered& other);  // ^=
  [[nodiscard]] std::uint64_t intersection_count(const Ordered& other) const;
  // Calls visit(key), in order, for the keys that `other` has too, or that it has not. Outside any section or lock.
  using Visit = std::function<void(ByteView key)>;
  void for_each_common(const Ordered& other, const Visit& visit) const;
  void for_each_only_here(const Ordered& other, const Visit& visit) const;

 private:
  [[nodiscard]] bool is_same(const Ordered& other) const;
};

}  // namespace kv
