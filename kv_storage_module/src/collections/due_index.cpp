#include "collections/due_index.hpp"

#include <array>

#include "collections/entries.hpp"
#include "index/key_index.hpp"

namespace kv::due_index {
namespace {

constexpr std::size_t kKeyBytes = sizeof(std::uint64_t) + sizeof(Ref);

// The key of a record: numbers in big-endian order compare as bytes.
class RecordKey {
 public:
  explicit RecordKey(const Record& record) noexcept {
    for (unsigned i = 0; i < 8; ++i) bytes_[i] = static_cast<char>(record.due_ms >> (56 - 8 * i));
    for (unsigned i = 0; i < 4; ++i) bytes_[8 + i] = static_cast<char>(record.entry >> (24 - 8 * i));
  }
  [[nodiscard]] ByteView view() const noexcept { return {bytes_.data(), bytes_.size()}; }

 private:
  std::array<char, kKeyBytes> bytes_{};
};

void lower(Transaction& txn, std::uint64_t& bound, std::uint64_t due_ms) {
  if (due_ms < bound) txn.store64(&bound, due_ms);
}

}  // namespace

void add(Transaction& txn, CollectionRoot& root, Ref entry) {
  const std::uint64_t due_ms = due_of_entry(txn.part(), entry);
  if (due_ms == kNeverDue) return;
  const RecordKey key({due_ms, entry});
  static_cast<void>(insert(txn, &root.due_index, make_entry(txn, key.view(), Value{})));
  lower(txn, root.next_due_ms, due_ms);
  lower(txn, txn.control().expiry.next_due_ms, due_ms);
  lower(txn, txn.control().expiry.pass_due_ms, due_ms);
}

void remove(Transaction& txn, CollectionRoot& root, Ref entry) {
  const std::uint64_t due_ms = due_of_entry(txn.part(), entry);
  if (due_ms == kNeverDue) return;
  const RecordKey key({due_ms, entry});
  const Ref record = erase(txn, &root.due_index, key.view());
  if (record != kNullRef) txn.free(record);
}

std::optional<Record> first(const Part& part, const CollectionRoot& root) noexcept {
  const Ref record = first_entry(part, root.due_index);
  return record != kNullRef ? std::optional(decode(part, record)) : std::nullopt;
}

Record decode(const Part& part, Ref record) noexcept {
  const ByteView key = key_of(part, record);
  Record found{};
  if (key.size() != kKeyBytes) return found;
  for (unsigned i = 0; i < 8; ++i) found.due_ms = found.due_ms << 8 | static_cast<unsigned char>(key[i]);
  for (unsigned i = 8; i < kKeyBytes; ++i) found.entry = found.entry << 8 | static_cast<unsigned char>(key[i]);
  return found;
}

}  // namespace kv::due_index
