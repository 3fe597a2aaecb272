#include "collections/group_reader.hpp"

#include <algorithm>

#include "collections/keyed.hpp"
#include "index/lookaside.hpp"

namespace kv {
namespace {

// Header and key, and the start of a value behind a short key.
void prefetch_entry(const Part& part, Ref entry) noexcept {
  const std::byte* at = part.at(entry, 2 * Lookaside::kBucketBytes);
  __builtin_prefetch(at);
  __builtin_prefetch(at + Lookaside::kBucketBytes);
}

}  // namespace

// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): filled as far as there are keys
GroupReader::GroupReader(const HashImpl& collection, std::span<const ByteView> keys, CallTime& time)
    : keys_(keys), time_(time) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t hash = collection.hash(keys[i]);
    members_[i] = {hash, 0, collection.slice_of(hash), 0, 0, Outcome::kAbsent, {}, false};
  }
  for (std::uint32_t slice = 0; slice < collection.slice_count(); ++slice) read_slice(collection, slice);
}

// Each key by its stripe, so that writers of other keys do not disturb, and what the table does not have in one
// section.
void GroupReader::read_slice(const HashImpl& collection, std::uint32_t slice) {
  if (read_by_stripe(collection, slice)) return;
  static_cast<void>(collection.read_slice(slice, [&](const Part& part, const CollectionRoot& root) {
    look_up(part, root, slice,
            [&](const Member& member, ByteView key) { return keyed::find(part, root, member.hash, key); });
    return true;
  }));
  for (Member& member : std::span(members_).first(keys_.size())) member.settled |= member.slice == slice;
}

// True = that was all of them.
bool GroupReader::read_by_stripe(const HashImpl& collection, std::uint32_t slice) {
  const std::span<Member> members = std::span(members_).first(keys_.size());
  const auto settled = collection.read_wide(slice, [&](const Part& part, const CollectionRoot& root) {
    const Lookaside table(part, load32(&root.lookaside));
    for (Member& member : members) {
      if (member.slice == slice) member.sequence = part.stripe_sequence(stripe_of_hash(member.hash));
    }
    look_up(part, root, slice, [&](const Member& member, ByteView key) { return table.find(member.hash, key); });
    std::atomic_thread_fence(std::memory_order_acquire);
    bool all = true;
    for (Member& member : members) {
      if (member.slice != slice) continue;
      member.settled =
          member.outcome != Outcome::kAbsent && part.stripe_unchanged(stripe_of_hash(member.hash), member.sequence);
      all &= member.settled;
    }
    return std::optional<bool>(all);
  });
  if (!settled) {
    for (Member& member : members) member.settled &= member.slice != slice;
  }
  return settled.value_or(false);
}

// In a section: `find(member, key)` gives the entry of each key of the slice that is not settled.
template <class Find>
void GroupReader::look_up(const Part& part, const CollectionRoot& root, std::uint32_t slice, Find&& find) noexcept {
  const Lookaside table(part, load32(&root.lookaside));
  const std::span<Member> members = std::span(members_).first(keys_.size());
  const auto is_open = [&](const Member& member) { return member.slice == slice && !member.settled; };
  std::size_t used = 0;  // behind what is settled; a section that runs again starts there again
  for (const Member& member : members) {
    if (member.settled) used = std::max<std::size_t>(used, member.offset + member.bytes);
    if (is_open(member)) table.prefetch(member.hash);
  }
  for (const Member& member : members) {
    if (is_open(member)) prefetch_entry(part, table.candidate(member.hash));
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    Member& member = members[i];
    if (is_open(member)) copy(part, find(member, keys_[i]), member, used);
  }
}

void GroupReader::copy(const Part& part, Ref entry, Member& member, std::size_t& used) noexcept {
  member.outcome = Outcome::kAbsent;
  member.offset = member.bytes = 0;
  if (entry == kNullRef) return;
  const std::byte* at = part.at(entry, kEntryHeaderBytes);
  const EntryHeader header = EntryHeader::load(at);
  if (entry_expired(part, entry, header, time_)) return;
  if (!ValueBuffer::fits_inline(header.type, header.value_bytes) || header.value_bytes > kBytes - used ||
      !part.contains(entry, header.total_bytes())) {
    member.outcome = Outcome::kLarge;
    return;
  }
  copy_out(values_ + used, at + header.value_offset(), header.value_bytes);
  member.outcome = Outcome::kCopied;
  member.type = header.type;
  member.offset = static_cast<std::uint32_t>(used);
  member.bytes = header.value_bytes;
  used += header.value_bytes;
}

}  // namespace kv
