// Putting the records of a List into an arena that nobody else knows yet.
//
// After the pages of a checkpoint a list is as of several steps: the further back a position, the later the step. A
// step of the log that some pages have in them is done to the pages before those alone (collections/list_records.hpp).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collections/list_records.hpp"
#include "collections/list_writer.hpp"
#include "memory/arena.hpp"

namespace kv::persist {

// How far the records of one list have been applied. All come from one part's files, in order.
struct ListProgress {
  std::uint64_t version = 0;    // steps up to this one have been done to the whole list
  std::uint64_t positions = 0;  // of the list
  // Of a checkpoint:
  struct Stretch {
    std::uint64_t version;
    std::uint64_t positions;
  };
  std::vector<Stretch> stretches;    // pages of the same version; their lengths as they were written
  std::size_t opened = 0;            // of them, those before the step that was done last
  std::uint64_t open_positions = 0;  // which are now so long
  std::uint64_t image_version = 0;   // of the last page: behind this step the list is as of one step again
  bool imaged = false;               // no page follows
  std::vector<Ref> values;           // number -> entry; null = lost

  // What a damaged directory has lost:
  std::uint64_t lost_positions = 0;  // they hold None
  std::uint64_t lost_steps = 0;

  // Whether the log has all that the pages have in them.
  [[nodiscard]] bool complete() const noexcept { return version >= image_version; }
  // In words.
  [[nodiscard]] std::vector<std::string> losses(const std::string& name) const;
};

class ListRestorer {
 public:
  // `damaged`: records may be missing; what is left then is put where it fits.
  ListRestorer(Arena& arena, const CatalogRecord& list, ListProgress& progress, bool damaged) noexcept
      : arena_(arena), part_(arena.part(list.home_part)), list_(list.binding), at_(progress), damaged_(damaged) {}

  // Each false if the payload makes no sense. Throws Error{kOverCapacity}.
  [[nodiscard]] bool edit(ByteView payload);
  [[nodiscard]] bool page(ByteView payload);
  [[nodiscard]] bool end(ByteView payload);
  // Once all records have been applied: the list's next step counts on.
  void finish();

 private:
  [[nodiscard]] HashedValue hashed(const Value& value) const;
  [[nodiscard]] bool read_values(PayloadReader& reader, std::uint32_t count);
  [[nodiscard]] bool read_numbers(PayloadReader& reader, std::uint32_t count);
  [[nodiscard]] bool apply(PayloadReader& reader, const ListEdit& edit, bool whole);
  [[nodiscard]] bool read_page(PayloadReader& reader, const ListPageFront& front);
  [[nodiscard]] bool skip_to(std::uint64_t positions, std::uint64_t version);
  [[nodiscard]] bool remember_values();
  void add_stretch(std::uint64_t version, std::uint64_t positions);

  void insert(std::uint64_t position, std::span<const HashedValue> values);
  void erase(std::uint64_t position, std::uint64_t count);
  void set(std::uint64_t position, std::span<const HashedValue> values);
  void clear();

  Arena& arena_;
  Part& part_;
  Binding list_;
  ListProgress& at_;
  bool damaged_;
  std::vector<HashedValue> values_;    // of the record
  std::vector<HashedValue> sequence_;  // of the change or page: what its positions hold
};

}  // namespace kv::persist
