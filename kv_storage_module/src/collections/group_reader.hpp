// Reading many keys: their hashes first, then all table lines, then all entries are on their way from memory before the
// first is looked at.
#pragma once

#include <array>
#include <span>

#include "collections/collection.hpp"
#include "collections/value_reader.hpp"

namespace kv {

// The values of up to kKeys keys, copied. Meant for the stack. Not atomic across keys.
class GroupReader {
 public:
  static constexpr std::size_t kKeys = 32;
  using Outcome = ValueBufferWriter::Outcome;

  // `keys` must outlive the reader. `time` decides what has expired.
  GroupReader(const HashImpl& collection, std::span<const ByteView> keys, CallTime& time);

  // Of the key in this place. kLarge: to be read by itself.
  [[nodiscard]] Outcome outcome(std::size_t place) const noexcept { return members_[place].outcome; }
  [[nodiscard]] ValueType type(std::size_t place) const noexcept { return members_[place].type; }
  [[nodiscard]] ByteView value(std::size_t place) const noexcept {
    return {values_ + members_[place].offset, members_[place].bytes};
  }

 private:
  static constexpr std::size_t kBytes = 16 * 1024;

  struct Member {
    std::uint64_t hash;
    std::uint64_t sequence;  // of its stripe
    std::uint32_t slice;
    std::uint32_t offset;
    std::uint32_t bytes;
    Outcome outcome;
    ValueType type;
    bool settled;
  };

  void read_slice(const HashImpl& collection, std::uint32_t slice);
  [[nodiscard]] bool read_by_stripe(const HashImpl& collection, std::uint32_t slice);
  template <class Find>
  void look_up(const Part& part, const CollectionRoot& root, std::uint32_t slice, Find&& find) noexcept;
  void copy(const Part& part, Ref entry, Member& member, std::size_t& used) noexcept;

  std::span<const ByteView> keys_;
  CallTime& time_;
  std::array<Member, kKeys> members_;
  char values_[kBytes];
};

}  // namespace kv
