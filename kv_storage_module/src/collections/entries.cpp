#include "collections/entries.hpp"

#include <limits>

#include "kv_storage/error.hpp"

namespace kv {

namespace {

[[nodiscard]] EntryHeader header_for(ByteView key, const Value& value, std::uint64_t due_ms) noexcept {
  return {kEntryKind, value.type, static_cast<std::uint16_t>(key.size()), static_cast<std::uint32_t>(value.size()),
          due_ms != kNeverDue};
}

void check_sizes(ByteView key, const Value& value) {
  if (key.size() > kMaxKeyBytes) {
    throw Error(ErrorCode::kInvalidArgument,
                "a key of " + std::to_string(key.size()) + " bytes is longer than " + std::to_string(kMaxKeyBytes));
  }
  if (value.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorCode::kInvalidArgument,
                "a value of " + std::to_string(value.size()) + " bytes is longer than 4 GiB less one");
  }
}

void fill_entry(std::byte* at, const EntryHeader& header, ByteView key, const Value& value, std::uint64_t due_ms) {
  store_relaxed<std::uint64_t>(at, header.encode());
  copy_in(at + kEntryHeaderBytes, key.data(), key.size());
  std::byte* const to = at + header.value_offset();
  copy_in(to, value.data.data(), value.data.size());
  copy_in(to + value.data.size(), value.trailer.data(), value.trailer.size());
  if (header.expires) store_relaxed<std::uint64_t>(at + header.due_offset(), due_ms);
}

}  // namespace

std::size_t entry_bytes(ByteView key, const Value& value, std::uint64_t due_ms) noexcept {
  return header_for(key, value, due_ms).total_bytes();
}

Ref make_entry(Transaction& txn, ByteView key, const Value& value, std::uint64_t due_ms, std::size_t behind) {
  check_sizes(key, value);
  const EntryHeader header = header_for(key, value, due_ms);
  const std::size_t bytes = header.total_bytes();
  const Ref entry = txn.allocate(behind == 0 ? bytes : (bytes + 7) / 8 * 8 + behind);
  fill_entry(txn.fresh(entry), header, key, value, due_ms);
  return entry;
}

Ref make_entry(BlockSupply& blocks, ByteView key, const Value& value) {
  check_sizes(key, value);
  const EntryHeader header = header_for(key, value, kNeverDue);
  const Ref entry = blocks.allocate(header.total_bytes());
  fill_entry(blocks.txn().fresh(entry), header, key, value, kNeverDue);
  return entry;
}

std::string entry_key(const Part& part, Ref entry) {
  const std::byte* at = part.slice() + std::uint64_t{entry} * kGranule;
  std::string key(EntryHeader::load(at).key_bytes, '\0');
  copy_out(key.data(), at + kEntryHeaderBytes, key.size());
  return key;
}

}  // namespace kv
