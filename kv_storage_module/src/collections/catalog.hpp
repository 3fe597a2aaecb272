// The catalog: names of collections, kept in part 0. Every change is one transaction there and moves the epoch, so that
// handles look their name up again.
//
// A collection whose name begins with NUL is hidden: being loaded, or being dropped. What a dead process left hidden is
// dropped by the next one that makes, drops or loads a collection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collections/roots.hpp"
#include "kv_storage/store.hpp"
#include "memory/arena.hpp"

namespace kv {

enum class CollectionState : std::uint8_t {  // stored: the numbers are frozen
  kCreating = 1,                             // roots are being made in the parts; whoever opens it completes them
  kReady = 2,
  kLoading = 3,   // hidden, belongs to the process that holds its lock (catalog.cpp)
  kDropping = 4,  // hidden; whoever finds it may go on dropping it
};

struct CatalogRecord {
  Binding binding{};
  CollectionKind kind = CollectionKind::kHash;
  CollectionState state = CollectionState::kReady;
  std::uint16_t home_part = 0;  // where a schema collection lives
  std::string schema;           // encoded; empty for a Hash
  std::string source;           // what it was loaded from, in the words of who loaded it; empty = nothing
};

// The part that a collection lies in which is not divided.
[[nodiscard]] constexpr std::uint32_t home_of(std::uint32_t serial, std::uint32_t parts) noexcept {
  return serial % parts;
}

class Catalog {
 public:
  explicit Catalog(Arena& arena) noexcept : arena_(arena) {}

  [[nodiscard]] std::uint64_t epoch() const noexcept;
  [[nodiscard]] std::optional<CatalogRecord> find(const std::string& name) const;
  [[nodiscard]] std::vector<std::pair<std::string, CatalogRecord>> all() const;  // hidden ones, too

  // Finds or makes; a present collection is returned as it is, whatever its kind.
  CatalogRecord open(const std::string& name, CollectionKind kind, const std::string& schema);
  [[nodiscard]] std::vector<std::pair<std::string, CatalogRecord>> all_locked() const;  // under the lock of part 0
  // A hidden collection of this process, and its name.
  std::pair<std::string, CatalogRecord> open_hidden(const std::string& schema);
  bool drop(const std::string& name);
  // False = there is no `from`. Throws Error{kInvalidArgument} if `to` exists and !replace.
  bool rename(const std::string& from, const std::string& to, bool replace);

  // Gives a hidden collection of this process its name, in place of one that has it. `file` holds its contents, for the
  // log; 0 = there is none to read again.
  void publish(const std::string& hidden, const std::string& name, std::uint64_t file, const std::string& source);
  // While nobody else knows the store: makes a collection with the serial number it had. Later ones get greater ones.
  CatalogRecord restore(const std::string& name, const CatalogRecord& record);

  // Finishes drops and loads that a dead process left behind.
  void drop_leftovers();

  static void check_name(const std::string& name);  // throws Error{kInvalidArgument}: empty, NUL, too long

 private:
  CatalogRecord create(const std::string& name, CollectionKind kind, const std::string& schema, CollectionState state);
  struct Publication {
    std::uint64_t file;
    const std::string& source;
  };
  bool move(const std::string& from, const std::string& to, bool replace, const Publication* publication);
  void complete(const std::string& name, CatalogRecord& record);
  void finish_drop(const std::string& hidden_name, const CatalogRecord& record);

  Arena& arena_;
};

}  // namespace kv
