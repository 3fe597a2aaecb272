#include "collections/list_edits.hpp"

#include "collections/list_dictionary.hpp"
#include "index/entry.hpp"

namespace kv {

void ListEdits::begin(ListEditKind kind, std::uint64_t position) {
  edits_.push_back({static_cast<std::uint8_t>(kind), {}, 0, position});
  bytes_ += sizeof(ListEdit);
}

std::uint32_t ListEdits::number_of(std::uint32_t code) const {
  if (values_.size() > kFew) {
    const auto found = by_code_.find(code);
    return found == by_code_.end() ? kNone : found->second;
  }
  for (std::uint32_t i = 0; i < values_.size(); ++i) {
    if (values_[i].code == code) return i;
  }
  return kNone;
}

void ListEdits::add(const Part& part, const ListState& state, std::uint32_t code) {
  std::uint32_t number = number_of(code);
  if (number == kNone) {
    const Ref entry = list_dictionary::entry_of(part, state, code);
    const EntryHeader header = EntryHeader::load(part.at(entry, kEntryHeaderBytes));
    number = static_cast<std::uint32_t>(values_.size());
    values_.push_back({{header.value_bytes, static_cast<std::uint8_t>(header.type), {}},
                       {reinterpret_cast<const char*>(entry_value(part, entry)), header.value_bytes},
                       code});
    if (values_.size() == kFew + 1) {
      for (std::uint32_t i = 0; i < values_.size(); ++i) {
        if (values_[i].code != kNone) by_code_[values_[i].code] = i;
      }
    } else if (values_.size() > kFew) {
      by_code_[code] = number;
    }
    bytes_ += sizeof(ListedValue) + header.value_bytes;
  }
  numbers_.push_back(number);
  ++edits_.back().count;
  bytes_ += sizeof number;
}

void ListEdits::erase(std::uint64_t position, std::uint64_t count) {
  begin(ListEditKind::kErase, position);
  edits_.back().count = static_cast<std::uint32_t>(count);  // a step takes out no more than its journal can undo
}

void ListEdits::clear() { begin(ListEditKind::kClear, 0); }

void ListEdits::forget(std::uint32_t code) {
  const std::uint32_t number = number_of(code);
  if (number == kNone) return;
  values_[number].code = kNone;
  by_code_.erase(code);
}

void ListEdits::append(LogSink& log, Transaction& txn, const CollectionRoot& root) const {
  const ListEditFront front{root.serial, static_cast<std::uint32_t>(values_.size()), root.list_version};
  const std::uint32_t width = number_bytes(values_.size());
  std::vector<ByteView> pieces;
  pieces.reserve(2 + 2 * values_.size());
  pieces.push_back(bytes_of(front));
  for (const ListedBytes& value : values_) {
    pieces.push_back(bytes_of(value.front));
    pieces.push_back(value.bytes);
  }
  std::string changes;
  changes.reserve(edits_.size() * sizeof(ListEdit) + numbers_.size() * width);
  std::size_t at = 0;
  for (const ListEdit& edit : edits_) {
    changes += bytes_of(edit);
    const bool has_values = edit.kind == static_cast<std::uint8_t>(ListEditKind::kInsert) ||
                            edit.kind == static_cast<std::uint8_t>(ListEditKind::kSet);
    if (!has_values) continue;
    append_numbers(changes, std::span(numbers_).subspan(at, edit.count), width);
    at += edit.count;
  }
  pieces.push_back(changes);
  log.append(txn, static_cast<std::uint8_t>(LogKind::kListEdit), pieces);
}

}  // namespace kv
