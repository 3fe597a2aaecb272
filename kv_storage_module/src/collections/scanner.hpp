// ScanImpl: an ordered iteration over a collection, page by page: one cursor for each part, merged by key.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collections/collection.hpp"
#include "index/cursor.hpp"
#include "kv_storage/hash.hpp"

namespace kv {

// One part's share of a scan.
class PartScan {
 public:
  // `part` < 0: the part that a collection lives in which is whole, wherever that is by then.
  PartScan(const HashImpl& collection, int part, const KeyRange& range, bool with_values, bool reverse);

  // Replaces the contents of `page` by the next items; false = there are none.
  bool next(ScanPage& page);

  // What a page was read from. Equal states: the pages together are one state of the collection.
  struct State {
    const CollectionRoot* root = nullptr;
    std::uint32_t serial = 0;
    std::uint64_t sequence = 0;
    [[nodiscard]] bool same_contents(const State& other) const noexcept {
      return root == other.root && serial == other.serial;
    }
    friend bool operator==(const State&, const State&) = default;
  };
  [[nodiscard]] const State& state() const noexcept { return state_; }  // of the last page
  [[nodiscard]] bool current() const noexcept;                          // see Scan::current

  // The next pages up to `items` items or a few more, all of one state, however much others write: they wait for the
  // lock meanwhile. Only of a collection that is whole. Empty = there are none.
  std::vector<ScanPage> next_locked(std::size_t items);

  // Where the scan stands: behind this key; none = at its beginning. Going back to a place reads what follows it again.
  [[nodiscard]] const std::optional<std::string>& position() const noexcept { return last_key_; }
  void resume_after(const std::optional<std::string>& key);

 private:
  enum class Filled : std::uint8_t { kPage, kNeedsRoom, kMoved };
  struct Result {
    Filled outcome;
    std::size_t items;
    std::size_t bytes;  // used, or (kNeedsRoom) needed
  };

  Result fill(const Part& part, const CollectionRoot& root, ScanPage& page) noexcept;
  Result fill_page(ScanPage& page);
  template <class Fill>
  bool next_filled(ScanPage& page, Fill&& fill_by);

  const HashImpl& collection_;
  int part_index_;
  KeyRange range_;
  bool with_values_;
  bool reverse_;
  Cursor cursor_;
  State state_;  // without a root: the cursor has been nowhere
  const Part* read_from_ = nullptr;
  bool expires_ = false;  // something that was read can
  std::optional<std::string> last_key_;
  bool more_ = true;
};

class ScanImpl {
 public:
  ScanImpl(std::shared_ptr<HashImpl> collection, const KeyRange& range, bool with_values, bool reverse);
  bool next(ScanPage& page);  // see Scan::next
  [[nodiscard]] bool current() const noexcept;

 private:
  // Items of a part that have been read but not handed out.
  struct Source {
    PartScan scan;
    ScanPage page;
    std::size_t taken = 0;
  };

  bool merge(ScanPage& page);

  std::shared_ptr<HashImpl> collection_;
  std::shared_ptr<const GlobPattern> glob_;  // which the cursors point to
  bool reverse_;
  std::vector<Source> sources_;
};

}  // namespace kv
