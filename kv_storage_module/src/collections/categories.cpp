#include "collections/categories.hpp"

#include "collections/entries.hpp"
#include "index/key_index.hpp"
#include "kv_storage/error.hpp"

namespace kv::categories {
namespace {

constexpr std::uint32_t kFirstCapacity = 16;

// root.categories: this header, then Dictionary[columns].
struct Header {
  std::uint64_t columns;
};

[[nodiscard]] Dictionary* dictionary(Transaction& txn, const CollectionRoot& root, std::size_t column) noexcept {
  auto* const first = reinterpret_cast<Dictionary*>(txn.fresh(root.categories) + sizeof(Header));
  return first + column;
}

void make_dictionaries(Transaction& txn, CollectionRoot& root, std::size_t columns) {
  const Ref block = txn.allocate(sizeof(Header) + columns * sizeof(Dictionary));
  auto* const header = reinterpret_cast<Header*>(txn.fresh(block));
  header->columns = columns;
  std::fill_n(reinterpret_cast<Dictionary*>(header + 1), columns, Dictionary{});
  txn.store32(&root.categories, block);
}

void grow(Transaction& txn, Dictionary* dictionary) {
  const std::uint32_t capacity = dictionary->capacity == 0 ? kFirstCapacity : dictionary->capacity * 2;
  const Ref old_entries = dictionary->entries;
  const Ref entries = txn.allocate(capacity * sizeof(Ref));
  for (std::uint32_t i = 0; i < dictionary->count; ++i) {
    store_relaxed<Ref>(txn.fresh(entries) + i * sizeof(Ref), load32(txn.at(old_entries) + i * sizeof(Ref)));
  }
  txn.store32(&dictionary->entries, entries);
  txn.store32(&dictionary->capacity, capacity);
  if (old_entries != kNullRef) txn.free(old_entries);
}

[[nodiscard]] std::uint32_t code_of(const Part& part, Ref entry) noexcept {
  std::uint32_t code = 0;
  copy_out(&code, entry_value(part, entry), sizeof code);
  return code;
}

}  // namespace

std::span<const Dictionary> dictionaries(const Part& part, const CollectionRoot& root) {
  if (root.categories == kNullRef) return {};
  const std::byte* block = part.slice() + std::uint64_t{root.categories} * kGranule;
  return {reinterpret_cast<const Dictionary*>(block + sizeof(Header)), reinterpret_cast<const Header*>(block)->columns};
}

std::uint32_t code(Transaction& txn, CollectionRoot& root, std::size_t column, std::size_t columns, ByteView text,
                   std::uint64_t limit) {
  if (const auto present = find(txn.part(), root, column, text)) return *present;
  if (root.categories == kNullRef) make_dictionaries(txn, root, columns);
  Dictionary* const dict = dictionary(txn, root, column);
  const std::uint32_t code = dict->count;
  if (code >= limit) {
    throw Error(ErrorCode::kOverCapacity, "a category column of this width holds at most " + std::to_string(limit) +
                                              " distinct texts; use a wider one or bytes[N]");
  }
  if (code == dict->capacity) grow(txn, dict);
  const Value value{ValueType::kBytes, {reinterpret_cast<const char*>(&code), sizeof code}};
  const Ref entry = make_entry(txn, text, value);
  static_cast<void>(kv::insert(txn, &dict->index, entry));
  txn.store32(txn.fresh(dict->entries) + code * sizeof(Ref), entry);
  txn.store32(&dict->count, code + 1);
  return code;
}

std::optional<std::uint32_t> find(const Part& part, const CollectionRoot& root, std::size_t column, ByteView text) {
  const auto all = dictionaries(part, root);
  if (column >= all.size()) return std::nullopt;
  const Ref entry = kv::find(part, all[column].index, text);
  if (entry == kNullRef) return std::nullopt;
  return code_of(part, entry);
}

std::vector<std::string> texts(const Part& part, const CollectionRoot& root, std::size_t column) {
  std::vector<std::string> found;
  const auto all = dictionaries(part, root);
  if (column >= all.size()) return found;
  found.reserve(all[column].count);
  const std::byte* entries = part.slice() + std::uint64_t{all[column].entries} * kGranule;
  for (std::uint32_t i = 0; i < all[column].count; ++i) {
    found.push_back(entry_key(part, load32(entries + i * sizeof(Ref))));
  }
  return found;
}

bool free_some(Transaction& txn, CollectionRoot& root) {
  constexpr std::uint32_t kEntriesPerStep = 64;
  const auto all = dictionaries(txn.part(), root);
  for (std::size_t column = 0; column < all.size(); ++column) {
    Dictionary* const dict = dictionary(txn, root, column);
    // From the last code down: what is left is a dictionary still.
    for (std::uint32_t step = 0; dict->count != 0; ++step) {
      if (step == kEntriesPerStep) return true;
      const Ref entry = load32(txn.at(dict->entries) + (dict->count - 1) * sizeof(Ref));
      static_cast<void>(kv::erase(txn, &dict->index, entry_key(txn.part(), entry)));
      txn.store32(&dict->count, dict->count - 1);
      txn.free(entry);
    }
    if (dict->entries != kNullRef) {
      txn.free(dict->entries);
      txn.store32(&dict->entries, kNullRef);
      txn.store32(&dict->capacity, 0);
    }
  }
  if (root.categories == kNullRef) return false;
  txn.free(root.categories);
  txn.store32(&root.categories, kNullRef);
  return false;
}

}  // namespace kv::categories
