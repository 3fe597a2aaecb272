// Turns the fields of a row into one fixed-size record, laid out by a Schema.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "csv/column.hpp"
#include "csv/dictionary.hpp"
#include "csv/row_reader.hpp"
#include "csv/values.hpp"

namespace kv::csv {

// Categories whose code is still to be written; one per thread.
class CodeQueue {
 private:
  friend class RecordWriter;
  struct Item {
    const Dictionary* dictionary;
    ByteView text;
    std::uint64_t hash;
    char* at;
    std::uint32_t bytes;
  };
  std::vector<Item> items_;
};

class RecordWriter {
 public:
  // The schema's columns are the stored ones of `columns`, in order. `dictionaries` holds one per column of the file.
  // All are borrowed.
  RecordWriter(const Schema& schema, const std::vector<FileColumn>& columns,
               const std::vector<Dictionary>& dictionaries, const MissingTokens& missing);

  // Writes every field of the record; padding is left alone. Some codes are only queued: record and fields must stay
  // where they are until finish(). Throws FieldError. Thread-safe with one scratch and one queue each.
  void write(std::span<const Field> fields, char* record, std::string& scratch, CodeQueue& queue) const;
  static void finish(CodeQueue& queue);

  // One value of field number `field`, which is no category; `at` is where the column lies in the record. Throws
  // FieldError.
  static void write_value(std::size_t field, const Column& column, ByteView text, char* at);
  // The missing value of a column of any type, which the file writes as `text`. Throws FieldError where it has none.
  static void write_missing(std::size_t field, const Column& column, ByteView text, char* at);

 private:
  struct Target {
    std::size_t field = 0;
    Column column;
    const Dictionary* dictionary = nullptr;
  };

  static void write_code(const Target& target, const Field& field, ByteView text, char* at, CodeQueue& queue);

  std::vector<Target> targets_;
  const MissingTokens& missing_;
};

}  // namespace kv::csv
