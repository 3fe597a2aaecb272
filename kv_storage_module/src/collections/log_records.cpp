#include "collections/log_records.hpp"

#include "collections/records.hpp"

namespace kv::logged {
namespace {

[[nodiscard]] ByteView shared_bytes(const std::byte* at, std::size_t bytes) noexcept {
  return {reinterpret_cast<const char*>(at), bytes};
}

// Of a live entry, under the lock.
[[nodiscard]] ByteView logged_value(const Part& part, const CollectionRoot& root, Ref entry,
                                    const EntryHeader& header) noexcept {
  if (root.record_bytes == 0) return shared_bytes(entry_value(part, entry), header.value_bytes);
  const Ref record = record_of_entry(part, entry).record;
  return shared_bytes(part.slice() + std::uint64_t{record} * kGranule, root.record_bytes);
}

}  // namespace

void append_put(LogSink& log, Transaction& txn, const CollectionRoot& root, Ref entry) {
  const std::byte* const at = txn.at(entry);
  const EntryHeader header = EntryHeader::load(at);
  const std::uint64_t due_ms = due_of_entry(txn.part(), entry, header);
  const unsigned flag = due_ms != kNeverDue ? kLoggedDue : 0;
  const KeyFront front{root.serial, header.key_bytes,
                       static_cast<std::uint8_t>(static_cast<unsigned>(header.type) | flag), 0};
  const ByteView due = due_ms != kNeverDue ? bytes_of(due_ms) : ByteView();
  const std::array<ByteView, 4> pieces{bytes_of(front), due, shared_bytes(at + kEntryHeaderBytes, header.key_bytes),
                                       logged_value(txn.part(), root, entry, header)};
  log.append(txn, static_cast<std::uint8_t>(LogKind::kPut), pieces);
}

void append_due(LogSink& log, Transaction& txn, const CollectionRoot& root, Ref entry) {
  const std::byte* const at = txn.at(entry);
  const EntryHeader header = EntryHeader::load(at);
  const std::uint64_t due_ms = due_of_entry(txn.part(), entry, header);
  const KeyFront front{root.serial, header.key_bytes, 0, 0};
  const std::array<ByteView, 3> pieces{bytes_of(front), bytes_of(due_ms),
                                       shared_bytes(at + kEntryHeaderBytes, header.key_bytes)};
  log.append(txn, static_cast<std::uint8_t>(LogKind::kDue), pieces);
}

void append_key(LogSink& log, Transaction& txn, LogKind kind, const CollectionRoot& root, ByteView key) {
  const KeyFront front{root.serial, static_cast<std::uint16_t>(key.size()), 0, 0};
  const std::array<ByteView, 2> pieces{bytes_of(front), key};
  log.append(txn, static_cast<std::uint8_t>(kind), pieces);
}

void append_words(LogSink& log, Transaction& txn, LogKind kind, std::span<const std::uint32_t> words, ByteView text) {
  const std::array<ByteView, 2> pieces{
      ByteView(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(std::uint32_t)), text};
  log.append(txn, static_cast<std::uint8_t>(kind), pieces);
}

void append_name(LogSink& log, Transaction& txn, LogKind kind, std::span<const ByteView> pieces) {
  log.append(txn, static_cast<std::uint8_t>(kind), pieces);
  txn.store64(&txn.part().arena().header().durable.catalog_end, txn.control().log.tail);
}

}  // namespace kv::logged
