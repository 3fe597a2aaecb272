// Some rows that follow one another, split into fields, to be looked at one column after the other: what is done for a
// column is then one short loop without a choice by type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <vector>

#include "csv/row_reader.hpp"

namespace kv::csv {

class RowBlock {
 public:
  // As many rows as have about 2,000 fields, so that the block stays in the cache; at most `rows`.
  RowBlock(std::size_t columns, std::size_t rows);

  // Replaces the rows by the next ones of `reader`. False = there are none. An error in a row is thrown when those
  // before it have been handed out.
  [[nodiscard]] bool fill(RowReader& reader);

  [[nodiscard]] std::size_t rows() const noexcept { return lines_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::span<const Field> row(std::size_t row) const noexcept {
    return std::span(fields_).subspan(row * columns_, columns_);
  }
  [[nodiscard]] const Field& field(std::size_t row, std::size_t column) const noexcept {
    return fields_[row * columns_ + column];
  }
  [[nodiscard]] std::uint64_t line(std::size_t row) const noexcept { return lines_[row]; }

 private:
  std::size_t columns_;
  std::size_t capacity_;
  std::vector<Field> fields_;
  std::vector<std::uint64_t> lines_;
  std::exception_ptr error_;  // of the row behind the block
};

}  // namespace kv::csv
