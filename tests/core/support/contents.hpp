// All that a store holds, to be compared: by collection ("" = the root) and key, the value with its type and due time.
#pragma once

#include <map>
#include <string>

#include "kv_storage/store.hpp"

namespace kv::test {

using Contents = std::map<std::string, std::map<std::string, std::string>>;

inline std::string value_of(const Hash& hash, ByteView key) {
  ValueBuffer out;
  if (!hash.get(key, out)) return "absent";
  std::string text = std::to_string(static_cast<int>(out.type())) + ":" + std::string(out.bytes());
  const auto left = hash.time_to_live(key);
  return left && left->expires ? text + "+ttl" : text;
}

template <class Collection, class Value>
void collect(Contents& contents, const std::string& name, const Collection& collection, Value&& value) {
  auto& entries = contents[name];
  Scan scan = collection.scan({}, false);
  for (ScanPage page; scan.next(page);) {
    for (const ScanPage::Item& item : page.items) entries[std::string(page.key(item))] = value(page.key(item));
  }
}

// With the names of categories instead of their codes.
inline std::string row_of(const RecordHash& records, ByteView key) {
  std::string bytes(records.schema().record_bytes(), '\0');
  if (!records.get(key, bytes.data())) return "absent";
  std::string text;
  for (std::size_t i = 0; i < records.schema().columns().size(); ++i) {
    const Column& column = records.schema().columns()[i];
    if (column.type != ColumnType::kCategory) {
      text += bytes.substr(column.offset, column.bytes) + "|";
      continue;
    }
    std::uint32_t code = 0;
    std::memcpy(&code, bytes.data() + column.offset, column.bytes);
    const auto texts = records.categories(i);
    text += (code < texts.size() ? texts[code] : "?") + "|";
  }
  const auto left = records.time_to_live(key);
  return left && left->expires ? text + "+ttl" : text;
}

// By position.
inline std::map<std::string, std::string> items_of(const List& list) {
  std::map<std::string, std::string> items;
  ListItems all;
  list.read({}, all);
  for (std::size_t i = 0; i < all.codes.size(); ++i) {
    const ListValues::Item& item = all.values.items[all.codes[i]];
    items[std::to_string(i)] =
        std::to_string(static_cast<int>(item.type)) + ":" + std::string(all.values.bytes_of(item));
  }
  return items;
}

inline Contents contents_of(Store& store) {
  Contents contents;
  const Hash root = store.root();
  collect(contents, "", root, [&](ByteView key) { return value_of(root, key); });
  for (const CollectionInfo& info : store.collections()) {
    if (info.kind == CollectionKind::kCache) continue;
    if (info.kind == CollectionKind::kRecordHash) {
      const auto records = store.find_records(info.name);
      if (records) collect(contents, info.name, *records, [&](ByteView key) { return row_of(*records, key); });
      continue;
    }
    if (info.kind == CollectionKind::kList) {
      contents[info.name] = items_of(store.list(info.name));
      contents[info.name + " is"]["kind"] = "list";
      continue;
    }
    const bool plain = info.kind == CollectionKind::kHash;
    const Hash hash = plain ? store.hash(info.name) : Hash(store.ordered(info.name, info.kind));
    collect(contents, info.name, hash, [&](ByteView key) { return value_of(hash, key); });
    if (!plain) {
      contents[info.name + " is"]["kind"] =
          std::to_string(static_cast<int>(info.kind)) + "," +
          std::to_string(static_cast<int>(store.ordered(info.name, info.kind).key_type()));
    }
  }
  return contents;
}

}  // namespace kv::test
