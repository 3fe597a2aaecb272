// ScanImpl: an ordered iteration over a collection, page by page: one cursor for each part, merged by key.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collections/collection.hpp"
#include "index/cursor.hpp"
#include "kv_storage/hash.hpp"

namespace kv {

// One part's share of a scan.
class PartScan {
 public:
  // `part` < 0: the part that the schema collection lives in, wherever that is by then.
  PartScan(const HashImpl& collection, int part, const KeyRange& range, bool with_values, bool reverse);

  // Replaces the contents of `page` by the next items; false = there are none.
  bool next(ScanPage& page);

 private:
  enum class Filled : std::uint8_t { kPage, kNeedsRoom, kMoved };
  struct Result {
    Filled outcome;
    std::size_t items;
    std::size_t bytes;  // used, or (kNeedsRoom) needed
  };

  Result fill(const Part& part, const CollectionRoot& root, ScanPage& page) noexcept;
  Result fill_page(ScanPage& page);
  void restart_after(ByteView key);

  const HashImpl& collection_;
  int part_index_;
  KeyRange range_;
  bool with_values_;
  bool reverse_;
  Cursor cursor_;
  const Part* part_ = nullptr;  // where the cursor has been
  std::string last_key_;
  bool more_ = true;
};

class ScanImpl {
 public:
  ScanImpl(std::shared_ptr<HashImpl> collection, const KeyRange& range, bool with_values, bool reverse);
  bool next(ScanPage& page);  // see Scan::next

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
