// Writing a List into a checkpoint, page by page while others write (collections/list_records.hpp).
//
// Values are written once, with the first page that has them: of each code of the list, eight bytes tell that and under
// which number. A code that goes to another value meanwhile gives itself away, as that came during the walk; and what
// came during the walk is written again with each page that has it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "collections/list_records.hpp"
#include "collections/list_state.hpp"
#include "kv_storage/value.hpp"
#include "memory/transaction.hpp"
#include "persist/record_writer.hpp"

namespace kv::persist {

// Of one list. One walk at a time in a store: while files are locked.
class ListWalk {
 public:
  // `list`: whose home is `part`.
  ListWalk(Part& part, RecordWriter& out, Binding list) noexcept : part_(part), out_(out), list_(list) {}

  // The next page, or the end. False = that was the end, or the list is gone. Throws Error{kIo}.
  bool write_some();
  [[nodiscard]] std::uint64_t positions() const noexcept { return positions_; }

 private:
  enum class Taken : std::uint8_t { kPage, kEnd, kGone };
  struct Seen {
    std::uint32_t number_and_one = 0;  // 0 = never
    std::uint32_t page = 0;            // in which it was seen last
  };

  [[nodiscard]] Taken take_page();
  // False = the page ends before this code.
  [[nodiscard]] bool take(Transaction& txn, const ListState& state, std::uint32_t code);
  void write_page();
  void write_end();

  Part& part_;
  RecordWriter& out_;
  Binding list_;
  bool begun_ = false;
  std::uint32_t walk_ = 0;       // the list's number for it
  std::uint32_t pages_ = 0;      // begun
  std::vector<Seen> seen_;       // by code
  std::uint32_t values_ = 0;     // numbers given
  std::uint64_t positions_ = 0;  // written
  std::uint64_t version_ = 0;    // of the page
  std::vector<std::uint32_t> numbers_;
  std::uint32_t page_values_ = 0;
  std::string page_bytes_;    // of its values
  std::optional<Pin> large_;  // or of the one that it has
};

}  // namespace kv::persist
