// Columns in the making: values are appended, and at the end their memory is handed over as an Arrow array.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arrow/buffer.hpp"
#include "arrow/field.hpp"
#include "kv_storage/bytes.hpp"

namespace kv::arrow {

// The texts of a category column in the order of their codes. Shared by all batches that were made with it.
class Texts {
 public:
  // Throws Error{kOverflow} beyond 2 GiB and, with `must_be_utf8`, kInvalidArgument: both name the column.
  Texts(const std::vector<std::string>& texts, const std::string& column, bool must_be_utf8);

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] ByteView text(std::size_t code) const noexcept;
  [[nodiscard]] const Buffer& offsets() const noexcept { return offsets_; }
  [[nodiscard]] const Buffer& bytes() const noexcept { return bytes_; }

 private:
  std::size_t count_;
  Buffer offsets_;
  Buffer bytes_;
};

class Column {
 public:
  explicit Column(Field field);

  [[nodiscard]] const Field& field() const noexcept { return field_; }
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  // Of the values; texts without their offsets.
  [[nodiscard]] std::size_t bytes() const noexcept { return values_.size(); }
  void clear();

  // ---- Appending: what fits the type of the field ----

  // Room for `count` values of a type of fixed size, which the caller writes; all valid unless it says otherwise with
  // mark_last().
  template <class T>
  [[nodiscard]] T* append_fixed(std::size_t count) {
    return reinterpret_cast<T*>(values_.append(count * sizeof(T)));
  }
  // Counts `count` rows as valid.
  void mark_valid(std::size_t count);
  // Counts one row, valid or null.
  void mark(bool valid);

  template <class T>
  void append_value(T value) {
    values_.push(value);
    mark(true);
  }
  void append_bool(bool value);
  // Of text and binary columns. Throws Error{kInvalidArgument} if a text column gets what is no UTF-8, kOverflow beyond
  // 2 GiB.
  void append_bytes(ByteView bytes);
  void append_null();

  // A category column as one of texts.
  [[nodiscard]] Column decoded(const Texts& texts, Field as) const;

  // Hands the memory over to `out`; the column is empty then. A category column takes its dictionary over.
  void finish(ArrowArray* out, ArrowArray* dictionary = nullptr);

 private:
  void append_bit(Buffer& bits, std::size_t index, bool bit);

  Field field_;
  std::size_t rows_ = 0;
  std::size_t nulls_ = 0;
  Buffer validity_;  // only once there is a null
  Buffer values_;
  Buffer offsets_;  // of text and binary columns
};

// Columns of the same length as one struct array: a batch. They are empty then. `texts` are those of each, if any.
using TextsOfColumns = std::vector<std::shared_ptr<const Texts>>;
void finish_batch(std::vector<Column>& columns, const TextsOfColumns& texts, ArrowArray* out);
// The same of one column, and its dictionary if it is a category column.
void finish_batch(Column& column, Column* dictionary, ArrowArray* out);

}  // namespace kv::arrow
