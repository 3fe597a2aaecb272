#include "csv/row_block.hpp"

#include <algorithm>
#include <utility>

#include "kv_storage/error.hpp"

namespace kv::csv {
namespace {

constexpr std::size_t kFields = 2048;
constexpr std::size_t kFewRows = 16;

}  // namespace

RowBlock::RowBlock(std::size_t columns, std::size_t rows)
    : columns_(columns),
      capacity_(std::min(rows, std::max(kFewRows, kFields / columns))),
      fields_(capacity_ * columns) {
  lines_.reserve(capacity_);
}

bool RowBlock::fill(RowReader& reader) {
  lines_.clear();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  try {
    while (lines_.size() < capacity_ && reader.read(std::span(fields_).subspan(lines_.size() * columns_, columns_))) {
      lines_.push_back(reader.line());
    }
  } catch (const Error&) {
    if (lines_.empty()) throw;
    error_ = std::current_exception();
  }
  return !lines_.empty();
}

}  // namespace kv::csv
