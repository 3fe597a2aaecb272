// Records whose checksum fits and that make no sense all the same: refused, with nothing of them left behind.
#include "persist/restore.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "collections/catalog.hpp"
#include "collections/log_records.hpp"
#include "kv_storage/ordered.hpp"
#include "memory/arena.hpp"
#include "store/store_impl.hpp"
#include "store/verify.hpp"

namespace kv::test {
namespace {

constexpr std::uint32_t kHashSerial = 1;
constexpr std::uint32_t kSetSerial = 2;

std::string create(std::uint32_t serial, CollectionKind kind, const std::string& name) {
  NameFront front{};
  front.serial = serial;
  front.kind = static_cast<std::uint8_t>(kind);
  front.name_bytes = static_cast<std::uint16_t>(name.size());
  return std::string(bytes_of(front)) + name;
}

std::string page_of(std::uint32_t serial, std::uint32_t entries) {
  return std::string(bytes_of(serial)) + std::string(bytes_of(entries));
}

std::string page_entry(const std::string& key, const std::string& value) {
  PageEntry front{};
  front.key_bytes = static_cast<std::uint16_t>(key.size());
  front.value_bytes = static_cast<std::uint32_t>(value.size());
  front.type = static_cast<std::uint8_t>(ValueType::kBytes);
  return std::string(bytes_of(front)) + key + value;
}

std::string key_type(std::uint32_t serial, KeyType type) {
  return std::string(bytes_of(serial)) + std::string(bytes_of(static_cast<std::uint32_t>(type)));
}

struct Restored {
  Restored() : arena(Arena::create({.max_memory = 16 << 20, .parts = 2})) {
    make_root_hash(*arena);
    CHECK(names.apply(LogKind::kCreate, create(kHashSerial, CollectionKind::kHash, "hash")));
    CHECK(names.apply(LogKind::kCreate, create(kSetSerial, CollectionKind::kSet, "set")));
    collections = persist::make_collections(*arena, names);
  }
  bool apply(LogKind kind, const std::string& payload) { return restorer().apply(kind, payload); }
  persist::Restorer& restorer() {
    if (!restorer_) restorer_ = std::make_unique<persist::Restorer>(*arena, collections, persist::Writer{0, 2});
    return *restorer_;
  }
  void check(std::uint64_t entries) {
    CHECK(verify_arena(*arena).empty());
    CHECK(restorer().entries() == entries);
  }

  std::shared_ptr<Arena> arena;
  persist::NameHistory names;
  persist::RestoredCollections collections;

 private:
  std::unique_ptr<persist::Restorer> restorer_;
};

}  // namespace

TEST_CASE("restore: a page that ends half-way leaves nothing to the next page") {
  Restored restored;
  {
    const std::string cut = page_of(kHashSerial, 3) + page_entry("a", "1") + page_entry("b", "2");
    CHECK_FALSE(restored.apply(LogKind::kPage, cut));
  }
  CHECK(restored.apply(LogKind::kPage, page_of(kHashSerial, 1) + page_entry("c", "3")));
  restored.check(1);
}

TEST_CASE("restore: the type of keys is fixed once") {
  Restored restored;
  CHECK_FALSE(restored.apply(LogKind::kKeyType, key_type(kSetSerial, KeyType::kUnknown)));
  CHECK(restored.apply(LogKind::kKeyType, key_type(kSetSerial, KeyType::kText)));
  CHECK(restored.apply(LogKind::kKeyType, key_type(kSetSerial, KeyType::kText)));
  CHECK_FALSE(restored.apply(LogKind::kKeyType, key_type(kSetSerial, KeyType::kInt)));
  CHECK_FALSE(restored.apply(LogKind::kKeyType, key_type(kHashSerial, KeyType::kText)));
  restored.check(0);
}

TEST_CASE("restore: pages whose keys come twice leave nothing in the look-aside table that is gone") {
  Restored restored;
  persist::Restorer& restorer = restored.restorer();
  const persist::RestoredCollection& to = *restorer.find(kHashSerial);
  std::vector<std::string> keys;
  for (int i = 1000; i < 3000; ++i) keys.push_back("key" + std::to_string(i));
  for (int round = 0; round < 2; ++round) {
    std::vector<persist::RestoredEntry> entries;
    for (const std::string& key : keys) {
      entries.push_back({key, "value", ValueType::kBytes, kNeverDue, restorer.hash_of(key)});
    }
    CHECK(restorer.put(to, entries, true));
  }
  restorer.settle();
  restored.check(2 * keys.size());
}

}  // namespace kv::test
