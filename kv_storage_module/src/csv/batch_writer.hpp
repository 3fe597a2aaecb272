// The batch that one thread is filling.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "csv/csv_file.hpp"

namespace kv::csv {

class BatchWriter {
 public:
  BatchWriter(const BatchSink& sink, unsigned thread, std::size_t record_bytes)
      : sink_(sink),
        thread_(thread),
        capacity_(std::clamp<std::size_t>(kRecordBytes / record_bytes, 1, kRows)),
        record_bytes_(record_bytes) {}

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }  // rows
  [[nodiscard]] const CsvBatch& batch() const noexcept { return batch_; }
  [[nodiscard]] bool is_full() const noexcept { return !has_room(1); }
  [[nodiscard]] bool has_room(std::size_t rows) const noexcept {
    return batch_.rows + rows <= capacity_ && batch_.keys.size() < kKeyBytes;
  }

  void begin_range(std::size_t range) {
    batch_.range = range;
    batch_.sequence = 0;
    start();
  }
  // A row is a record, a key appended to keys(), then end_row().
  [[nodiscard]] char* record(std::size_t ahead = 0) noexcept {
    return batch_.records.data() + (batch_.rows + ahead) * record_bytes_;
  }
  [[nodiscard]] std::string& keys() noexcept { return batch_.keys; }
  void end_row(std::uint64_t line) {
    batch_.key_ends.push_back(static_cast<std::uint32_t>(batch_.keys.size()));
    batch_.lines.push_back(line);
    ++batch_.rows;
  }
  // If there are rows.
  void deliver() {
    if (batch_.rows == 0) return;
    const std::size_t range = batch_.range;
    const std::size_t sequence = batch_.sequence;
    sink_(thread_, std::move(batch_));
    batch_.range = range;
    batch_.sequence = sequence + 1;
    start();
  }

 private:
  static constexpr std::size_t kRows = 4'096;
  static constexpr std::size_t kRecordBytes = 256 * 1024;
  static constexpr std::size_t kKeyBytes = 1U << 20U;

  void start() {
    batch_.rows = 0;
    batch_.record_bytes = record_bytes_;
    batch_.records.resize(capacity_ * record_bytes_);  // zeros, also where records have padding
    batch_.keys.clear();
    batch_.key_ends.clear();
    batch_.lines.clear();
  }

  const BatchSink& sink_;
  unsigned thread_;
  std::size_t capacity_;
  std::size_t record_bytes_;
  CsvBatch batch_;
};

}  // namespace kv::csv
