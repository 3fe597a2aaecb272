// Every change of a List goes through here: five of them, each a part of one transaction step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "collections/list_dictionary.hpp"
#include "collections/list_directory.hpp"
#include "collections/list_edits.hpp"
#include "collections/list_state.hpp"

namespace kv {

// Lives for one step. Changes of many positions end early when the journal runs short or the log record grows long: the
// caller commits what was done, which is a list, and goes on in the next step. All may throw Error{kOverCapacity};
// erasing does so only where somebody has a chunk pinned.
class ListWriter {
 public:
  // Makes the state of an empty list.
  ListWriter(Transaction& txn, CollectionRoot& root, Binding binding);
  ListWriter(const ListWriter&) = delete;
  ListWriter& operator=(const ListWriter&) = delete;

  [[nodiscard]] std::uint64_t size() const noexcept { return root_.entries; }
  [[nodiscard]] const Part& part() const noexcept { return txn_.part(); }
  [[nodiscard]] const CollectionRoot& root() const noexcept { return root_; }
  [[nodiscard]] const ListState& state() const noexcept { return state_; }
  // Whether the step has room for one further change of one position.
  [[nodiscard]] bool room() const noexcept {
    return txn_.journal_room() >= kReserve && edits_.bytes() < kMostLoggedBytes;
  }

  // ---- The changes. Positions exist; the others shift. The first position is always done. ----

  // Puts values before `position`, which may be size(). Returns how many.
  std::size_t insert(std::uint64_t position, std::span<const HashedValue> values);
  // Erases up to `count` positions from `position` on. Returns how many.
  std::uint64_t erase(std::uint64_t position, std::uint64_t count);
  // Erases one, and calls `taken(transaction, entry)` with its value before that may go.
  void take(std::uint64_t position, const std::function<void(Transaction&, Ref)>& taken);
  void set(std::uint64_t position, const HashedValue& value);
  // Exchanges the values of first + i and last - i, for up to `count` i from 0 on. Returns how many. The two ranges
  // do not meet.
  std::uint64_t exchange(std::uint64_t first, std::uint64_t last, std::uint64_t count);

  // Logs and commits; a list that is empty now gives all its memory to the trash. True = there is something in it to
  // be freed. The writer is not used after that.
  bool commit();

 private:
  static constexpr std::size_t kReserve = 1024;
  static constexpr std::uint64_t kMostLoggedBytes = 1 << 20;  // recovery takes memory for the longest record

  [[nodiscard]] std::uint64_t tail_start() const noexcept { return root_.entries - state_.tail_length; }
  [[nodiscard]] Ref make_chunk(const std::uint32_t* codes, std::size_t count, std::size_t capacity);
  [[nodiscard]] bool is_pinned(Ref chunk);
  void add_to_length(std::int64_t change) {
    txn_.store64(&root_.entries, root_.entries + static_cast<std::uint64_t>(change));
  }

  void append_codes(const std::uint32_t* codes, std::size_t count);
  void insert_into_tail(std::uint32_t offset, const std::uint32_t* codes, std::size_t count);
  void insert_into_chunk(std::uint64_t position, const std::uint32_t* codes, std::size_t count);
  void push_tail();
  void set_tail(Ref chunk, std::uint32_t length);
  // Takes `count` positions of one chunk out of the sequence, whose codes the caller has.
  void remove_codes(std::uint64_t position, std::uint32_t count);
  void remove_from_tail(std::uint32_t offset, std::uint32_t count);
  void remove_from_directory(std::uint64_t position, std::uint32_t count);
  template <class Rebuild, class InPlace>
  void close_gap(Ref chunk, std::uint32_t offset, std::uint32_t count, std::uint32_t length, Rebuild&& rebuild,
                 InPlace&& in_place);
  void rebuild_chunk(const ListDirectory::Path& path, std::uint32_t count);
  void put_code(std::uint64_t position, std::uint32_t code);
  [[nodiscard]] std::uint32_t code_of(std::uint64_t position) const noexcept;
  [[nodiscard]] std::uint32_t acquire(const HashedValue& value);
  void release(std::uint32_t code);
  // What has been done, for the log.
  void note_set(std::uint64_t position, std::uint64_t count);
  void note_erased(std::uint64_t position, std::uint64_t count);

  Transaction& txn_;
  CollectionRoot& root_;
  Binding binding_;
  ListState& state_;
  ListDirectory directory_;
  std::uint32_t safe_length_ = 0;  // of the tail: what an undo may bring back lies before it
  LogSink* log_;                   // nullptr = the store is in memory
  ListEdits edits_;
  std::uint64_t walk_;  // root.list_walk from the commit on
};

}  // namespace kv
