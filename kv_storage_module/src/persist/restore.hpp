// Putting records of files into an arena that nobody else knows yet: first the names, then, by several threads, what
// the collections hold. The arena may have other parts than the one that was written: keys go to today's part.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "collections/catalog.hpp"
#include "collections/log_records.hpp"
#include "memory/transaction.hpp"
#include "persist/restore_list.hpp"

namespace kv::persist {

// What the records about names come to.
class NameHistory {
 public:
  struct Named {
    std::string name;
    CollectionKind kind = CollectionKind::kHash;
    std::string schema;
    std::string source;
  };

  // False = the payload makes no sense. Records about contents are passed over.
  [[nodiscard]] bool apply(LogKind kind, ByteView payload);
  void reserve_serials(std::uint32_t next) { next_serial_ = std::max(next_serial_, next); }

  [[nodiscard]] const std::map<std::uint32_t, Named>& collections() const noexcept { return by_serial_; }
  [[nodiscard]] std::uint32_t next_serial() const noexcept { return next_serial_; }

 private:
  [[nodiscard]] bool create(PayloadReader& reader);
  void drop(std::uint32_t serial) { by_serial_.erase(serial); }

  std::map<std::uint32_t, Named> by_serial_;
  std::uint32_t next_serial_ = 1;
};

struct LoadRecord {
  std::uint64_t file = 0;
  std::uint32_t serial = 0;
};
// Of the payload of a kLoad record.
[[nodiscard]] std::optional<LoadRecord> decode_load(ByteView payload) noexcept;

// Where a collection is in the new arena.
struct RestoredCollection {
  CatalogRecord record;
  std::uint32_t record_bytes = 0;              // of a schema collection
  std::vector<std::uint64_t> category_limits;  // by column: how many codes there can be
  std::unique_ptr<ListProgress> list;          // of a List; changed by whoever restores the part that wrote it
};
using RestoredCollections = std::unordered_map<std::uint32_t, RestoredCollection>;  // by serial

// Makes the collections, empty, with the serial numbers they had. Throws Error{kOverCapacity, kCorrupt}.
[[nodiscard]] RestoredCollections make_collections(Arena& arena, const NameHistory& names);

// Which part of how many wrote a file, and whether records may be missing.
struct Writer {
  std::uint32_t part = 0;
  std::uint32_t parts = 1;
  bool damaged = false;
};

// Applies the records of one part's files in order. Several threads may do so for different parts of the writer.
class Restorer {
 public:
  Restorer(Arena& arena, const RestoredCollections& collections, Writer writer) noexcept
      : arena_(arena), collections_(collections), writer_(writer), targets_(arena.part_count()) {}

  // False = the payload makes no sense. Records of collections that are gone are passed over, and those about names.
  // Throws Error{kOverCapacity}.
  [[nodiscard]] bool apply(LogKind kind, ByteView payload);
  [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }

 private:
  struct Item {
    ByteView key;
    ByteView value;
    ValueType type;
    std::uint64_t due_ms;
    std::uint64_t hash;
  };

  [[nodiscard]] bool read(LogKind kind, ByteView payload);
  [[nodiscard]] const RestoredCollection* find(std::uint32_t serial) const noexcept;
  [[nodiscard]] bool list_record(LogKind kind, ByteView payload);
  [[nodiscard]] std::uint32_t part_of(const RestoredCollection& to, std::uint64_t hash) const noexcept;
  [[nodiscard]] Part& home(const RestoredCollection& to) const noexcept { return arena_.part(to.record.home_part); }
  [[nodiscard]] bool is_valid(const RestoredCollection& to, ValueType type, ByteView value) const noexcept;

  [[nodiscard]] bool put(ByteView payload);
  [[nodiscard]] bool erase(ByteView payload);
  [[nodiscard]] bool due(ByteView payload);
  [[nodiscard]] bool clear(ByteView payload);
  [[nodiscard]] bool key_type(ByteView payload);
  [[nodiscard]] bool category(ByteView payload);
  [[nodiscard]] bool begin(ByteView payload);
  [[nodiscard]] bool page(ByteView payload);

  [[nodiscard]] bool same_parts() const noexcept { return writer_.parts == arena_.part_count(); }
  void erase_share(const RestoredCollection& to, Part& part);
  void put_one(const RestoredCollection& to, Part& part, const Item& item);
  void put_page(const RestoredCollection& to, Part& part, std::span<const Item> items);
  [[nodiscard]] std::size_t append(const RestoredCollection& to, Part& part, std::span<const Item> items);

  Arena& arena_;
  const RestoredCollections& collections_;
  Writer writer_;
  std::vector<std::vector<Item>> targets_;  // of a page, by part
  std::uint64_t entries_ = 0;
};

}  // namespace kv::persist
