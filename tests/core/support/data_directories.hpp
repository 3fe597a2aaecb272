// Data directories as tests make, damage and compare them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kv_storage/store.hpp"
#include "support/contents.hpp"
#include "support/memory_check.hpp"

namespace kv::test {

constexpr std::uint32_t kNoSyncByItself = 3'600'000;  // ms: what a test does not sync, nobody does

inline std::shared_ptr<Store> open_store(const std::string& path, std::uint32_t parts = 1,
                                         SyncMode sync = SyncMode::kInterval) {
  return Store::open(path,
                     {.max_memory = 64 * kMiB, .parts = parts, .sync = sync, .sync_interval_ms = kNoSyncByItself});
}

inline Value bytes_value(ByteView bytes) { return {ValueType::kBytes, bytes}; }

// Of the files in the directory, sorted.
inline std::vector<std::string> names_with(const std::string& path, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(path)) {
    const std::string name = file.path().filename().string();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// In one call: byte by byte it is what a test under AddressSanitizer mostly does (75 % of the samples of one).
inline std::string file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  std::string bytes(in ? static_cast<std::size_t>(in.tellg()) : 0, '\0');
  in.seekg(0);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}
inline void set_file_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
// By name, but for the LOCK.
inline std::vector<std::pair<std::string, std::string>> all_bytes(const std::string& path) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const std::string& name : names_with(path, "")) {
    if (name != "LOCK") files.emplace_back(name, file_bytes(path + "/" + name));
  }
  return files;
}

inline void copy_directory(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to);
  std::filesystem::permissions(to, std::filesystem::perms::owner_all);
}

inline Schema carrier_schema() {
  return Schema({Schema::parse_type("number", "i8"), Schema::parse_type("carrier", "category")});
}
inline void put_carrier(RecordHash& rows, ByteView key, std::int64_t number, const std::string& carrier) {
  std::string record(rows.schema().record_bytes(), '\0');
  std::memcpy(record.data(), &number, sizeof number);
  const Column& column = rows.schema().columns()[1];
  const std::uint32_t code = rows.category_code(1, carrier);
  std::memcpy(record.data() + column.offset, &code, column.bytes);
  rows.put(key, record.data());
}

inline void fill_a_list(Store& store) {
  List list = store.list("list");
  for (int i = 0; i < 50; ++i) list.append(bytes_value("value" + std::to_string(i % 9)));
  list.set(3, {ValueType::kNone, {}});
  list.erase(ListSlice{10, 40, 3});
  list.insert(5, bytes_value(std::string(1'500'000, 'l')));
  list.reverse();
}

// Something of every kind.
inline void fill_a_little(Store& store) {
  Hash root = store.root();
  for (int i = 0; i < 200; ++i) root.put("key" + std::to_string(i), bytes_value("value" + std::to_string(i)));
  for (int i = 0; i < 200; i += 7) root.erase("key" + std::to_string(i));
  root.put("large", bytes_value(std::string(2'000'000, 'b')));
  root.put("later", bytes_value("x"), 1'000'000);
  store.hash("cleared").put("x", bytes_value("x"));
  store.hash("cleared").clear();
  store.hash("cleared").put("after", bytes_value("x"));
  store.hash("dropped").put("x", bytes_value("x"));
  store.drop("dropped");
  store.hash("old").put("x", bytes_value("x"));
  store.rename("old", "renamed", false);
  Ordered map = store.ordered("map", CollectionKind::kMap, KeyType::kInt);
  for (int i = -20; i < 20; ++i) {
    map.put(ordered_key::of_integer(KeyType::kInt, i), bytes_value(std::to_string(i)));
  }
  store.ordered("set", CollectionKind::kSet).put(ordered_key::of_bytes(KeyType::kText, "member"), {});
  fill_a_list(store);
  RecordHash rows = store.records("rows", carrier_schema());
  for (int i = 0; i < 60; ++i) put_carrier(rows, "row" + std::to_string(i), i, "carrier" + std::to_string(i % 7));
}

// The names with differing contents are told.
inline void check_contents(Store& store, const Contents& expected) {
  const Contents found = contents_of(store);
  CHECK(found.size() == expected.size());
  for (const auto& [name, entries] : expected) {
    CAPTURE(name);
    REQUIRE(found.contains(name));
    CHECK(found.at(name) == entries);
  }
  CHECK(store.verify().empty());
}

}  // namespace kv::test
