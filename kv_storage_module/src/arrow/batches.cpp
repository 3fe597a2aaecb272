#include "arrow/batches.hpp"

#include "kv_storage/error.hpp"

namespace kv::arrow {
namespace {

constexpr std::size_t kFewRows = 4096;  // what is worth the lock, and held not much longer than a quarter millisecond
constexpr std::size_t kBatchBytes = 64 << 20;  // of one column: texts have offsets of 32 bits
constexpr int kAttempts = 100;

}  // namespace

Table::Table(std::shared_ptr<HashImpl> collection, std::vector<Field> fields, bool has_values)
    : collection_(std::move(collection)), fields_(std::move(fields)), has_values_(has_values) {}

PartScan Table::scan(const Selection& selection) const {
  return {*collection_, -1, selection.range, has_values_, selection.reverse};
}

std::vector<Column> Table::make_columns() const {
  std::vector<Column> columns;
  columns.reserve(fields_.size());
  for (const Field& field : fields_) columns.emplace_back(field);
  return columns;
}

bool Table::finish(const PartScan::State&, std::vector<Column>& columns, ArrowArray* out) {
  finish_batch(columns, TextsOfColumns(columns.size()), out);
  return true;
}

Batches::Batches(std::unique_ptr<Table> table, const Selection& selection)
    : table_(std::move(table)),
      scan_(table_->scan(selection)),
      columns_(table_->make_columns()),
      skip_(selection.offset),
      left_(selection.limit),
      start_{std::nullopt, skip_, left_} {}

bool Batches::next(ArrowArray* out) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (in_progress_ || contended_) go_back();
    in_progress_ = true;
    if (contended_) {
      fill_locked();
    } else {
      fill();
    }
    const bool any = rows() != 0 || whole_;
    if (any && !table_->finish(state_, columns_, out)) continue;  // replaced or cleared in this very moment
    in_progress_ = false;
    start_ = {behind_, skip_, left_};
    return any;
  }
  throw Error(ErrorCode::kClosed, "the collection is being replaced again and again");
}

void Batches::rest(ArrowArray* out) {
  whole_ = true;
  (void)next(out);
}

// To where the batch begins.
void Batches::go_back() {
  columns_ = table_->make_columns();
  scan_.resume_after(start_.behind);
  page_is_ahead_ = false;
  behind_ = start_.behind;
  skip_ = start_.skip;
  left_ = start_.left;
}

bool Batches::full() const noexcept {
  if (whole_) return false;
  if (rows() >= kBatchRows) return true;
  for (const Column& column : columns_) {
    if (column.bytes() >= kBatchBytes) return true;
  }
  return false;
}

void Batches::fill() {
  while (left_ != 0 && !full()) {
    if (!page_is_ahead_ && !scan_.next(page_)) break;
    page_is_ahead_ = true;
    const bool same = whole_ ? scan_.state().same_contents(state_) : scan_.state() == state_;
    if (rows() != 0 && !same) {
      if (whole_) {  // begin again: a batch has one dictionary
        go_back();
        continue;
      }
      contended_ = rows() < kFewRows;
      return;
    }
    state_ = scan_.state();
    take(page_);
    page_is_ahead_ = false;
  }
}

void Batches::fill_locked() {
  contended_ = false;
  for (const ScanPage& page : scan_.next_locked(kFewRows)) take(page);
  state_ = scan_.state();
}

void Batches::take(const ScanPage& page) {
  if (page.items.empty()) return;
  std::size_t first = 0;
  if (skip_ != 0) {
    first = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, page.items.size()));
    skip_ -= first;
  }
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, page.items.size() - first));
  left_ -= count;
  table_->append(page, first, first + count, columns_);
  behind_ = page.key(page.items.back());
}

}  // namespace kv::arrow
