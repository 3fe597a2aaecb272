// The rows of a table, batch by batch: each is one state of the collection.
//
// Pages are read without a lock. A batch ends where the state ended that it shows; where that would make small batches,
// because somebody writes all the time, the next one is read under the lock.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/source.hpp"
#include "arrow/table.hpp"

namespace kv::arrow {

class Batches final : public Source {
 public:
  Batches(std::unique_ptr<Table> table, const Selection& selection);

  [[nodiscard]] const std::vector<Field>& fields() const noexcept override { return table_->fields(); }
  bool next(ArrowArray* out) override;
  void rest(ArrowArray* out) override;  // of whatever states

 private:
  // Where a batch begins.
  struct Place {
    std::optional<std::string> behind;
    std::uint64_t skip = 0, left = 0;
  };

  void fill();
  void fill_locked();
  void take(const ScanPage& page);
  void go_back();
  [[nodiscard]] bool full() const noexcept;
  [[nodiscard]] std::size_t rows() const noexcept { return columns_.front().rows(); }

  std::unique_ptr<Table> table_;
  PartScan scan_;
  std::vector<Column> columns_;
  ScanPage page_;
  bool page_is_ahead_ = false;  // it begins the next batch
  bool in_progress_ = false;    // the batch was begun, but not handed out
  bool contended_ = false;
  bool whole_ = false;     // everything is one batch
  PartScan::State state_;  // of the batch, once it has rows
  std::optional<std::string> behind_;
  std::uint64_t skip_, left_;
  Place start_;
};

}  // namespace kv::arrow
