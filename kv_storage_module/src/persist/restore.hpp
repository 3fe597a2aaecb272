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
#include "index/key_hash.hpp"
#include "memory/transaction.hpp"
#include "persist/key_changes.hpp"
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

// Whether the keys ascend and nothing expires: then the entries can be put in many at a time.
[[nodiscard]] bool appendable(std::span<const RestoredEntry> entries) noexcept;

// Applies the records of one part's files in order. Several threads may do so for different parts of the writer.
class Restorer {
 public:
  Restorer(Arena& arena, const RestoredCollections& collections, Writer writer) noexcept
      : arena_(arena), collections_(collections), writer_(writer), targets_(arena.part_count()) {}

  // False = the payload makes no sense. Records of collections that are gone are passed over, and those about names.
  // Throws Error{kOverCapacity}.
  [[nodiscard]] bool apply(LogKind kind, ByteView payload);
  [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }

  // ---- For those who read ahead: to be called by other threads, too ----
  [[nodiscard]] const RestoredCollection* find(std::uint32_t serial) const noexcept;
  [[nodiscard]] bool is_valid(const RestoredCollection& to, ValueType type, ByteView value) const noexcept;
  [[nodiscard]] std::uint64_t hash_of(ByteView key) const noexcept { return hash_key(key, arena_.header().hash_seed); }
  // False = the payload of a kPage record makes no sense.
  [[nodiscard]] bool decode_page(ByteView payload, const RestoredCollection& to,
                                 std::vector<RestoredEntry>& entries) const;
  enum class Verdict : std::uint8_t { kApply, kPassOver, kSenseless };
  [[nodiscard]] Verdict judge(const KeyRecord& record) const noexcept;

  // ---- Many at a time ----
  // `appendable`: see there. False = one of them cannot be beside the others. Throws Error{kOverCapacity}.
  [[nodiscard]] bool put(const RestoredCollection& to, std::span<const RestoredEntry> entries, bool appendable);
  // All that is left of the changes. False = the one in front makes no sense.
  [[nodiscard]] bool apply(std::uint32_t serial, KeyChanges& changes);
  // Fills the look-aside table, which until then may miss, with what put() has put in.
  void settle();

 private:
  [[nodiscard]] bool read(LogKind kind, ByteView payload);
  [[nodiscard]] bool list_record(LogKind kind, ByteView payload);
  [[nodiscard]] std::uint32_t part_of(const RestoredCollection& to, std::uint64_t hash) const noexcept;
  [[nodiscard]] Part& home(const RestoredCollection& to) const noexcept { return arena_.part(to.record.home_part); }

  [[nodiscard]] bool about_key(LogKind kind, ByteView payload);
  [[nodiscard]] bool clear(ByteView payload);
  [[nodiscard]] bool key_type(ByteView payload);
  [[nodiscard]] bool category(ByteView payload);
  [[nodiscard]] bool begin(ByteView payload);
  [[nodiscard]] bool page(ByteView payload);

  // Whether the writer's keys are those of one part of today.
  [[nodiscard]] bool same_parts() const noexcept { return writer_.parts == arena_.part_count(); }
  void erase_share(const RestoredCollection& to, Part& part);
  void change(const RestoredCollection& to, const KeyRecord& record);
  void put_one(const RestoredCollection& to, Part& part, const RestoredEntry& entry);
  void put_all(const RestoredCollection& to, Part& part, std::span<const RestoredEntry> entries, bool appendable);
  [[nodiscard]] std::size_t append(const RestoredCollection& to, Part& part, std::span<const RestoredEntry> entries);
  void remember(const RestoredCollection& to, Part& part, std::uint64_t hash, Ref entry);

  Arena& arena_;
  const RestoredCollections& collections_;
  Writer writer_;
  std::vector<std::vector<RestoredEntry>> targets_;  // by part
  std::uint64_t entries_ = 0;
  // Of the look-aside table of one collection in one part, still to be put in. While there are any, nothing may be
  // taken out of the collection.
  std::vector<std::uint64_t> words_;
  Part* words_part_ = nullptr;
  Binding words_of_{};
};

}  // namespace kv::persist
