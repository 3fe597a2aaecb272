// Copying parts of a List out of shared memory, in optimistic sections.
//
// A section may not allocate, so a reader owns buffers that are made outside of it: a run that finds them too small
// says what it needs, and runs again.
#pragma once

#include <cstdint>
#include <vector>

#include "collections/collection.hpp"
#include "collections/list_dictionary.hpp"
#include "collections/list_state.hpp"
#include "kv_storage/list.hpp"

namespace kv {

class ListReader {
 public:
  ListReader(const HashImpl& list, ListItems& out) noexcept : list_(list), out_(out) {}

  void read(const ListSlice& slice, std::uint64_t max_bytes);
  void read_stored(bool with_codes);

 private:
  // Runs section(part, root) until its buffers were large enough.
  template <class Section>
  void run(Section&& section);

  void gather(const Part& part, const CollectionRoot& root, const ListSlice& slice, std::uint64_t max_bytes) noexcept;
  void gather_stored(const Part& part, const CollectionRoot& root, bool with_codes) noexcept;
  // The local number of a code, or kNone if there is no room for it.
  [[nodiscard]] std::uint32_t number_of(std::uint32_t code) noexcept;
  void copy_value(const Part& part, Ref entry, std::uint64_t number) noexcept;

  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  const HashImpl& list_;
  ListItems& out_;
  // What the last run filled or needs. More than there is in the buffers: it has to run again.
  std::uint64_t codes_ = 0, values_ = 0, bytes_ = 0;
  // Open addressing: code + 1 and local number.
  struct Numbered {
    std::uint64_t code_and_one;
    std::uint32_t number;
    std::uint32_t generation;
  };
  std::vector<Numbered> numbered_;
  std::uint32_t generation_ = 0;
};

}  // namespace kv
