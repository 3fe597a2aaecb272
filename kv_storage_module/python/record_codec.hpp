// Records of a schema collection <-> Python: Record objects one by one here, arrays of whole columns in columns.hpp.
#pragma once

#include <Python.h>

#include <memory>
#include <mutex>
#include <vector>

#include "bind.hpp"

namespace kv::py {

// A Record class for these column names (a tuple of str); made once per tuple of names.
[[nodiscard]] Ref record_class(ModuleState& state, PyObject* names);

// What the name of a collection stands for, through a handle that does not follow it, and what is known of the texts
// of its categories: after a reload, the same codes may be other texts.
struct RecordContents {
  RecordContents(RecordHash fixed, std::size_t columns);

  RecordHash records;
  std::uint32_t serial;
  // Per column, for categories only; texts are never changed or taken away, so what is known stays right.
  std::vector<SharedRef> texts;  // list: code -> text
  std::vector<Ref> codes;        // dict: text -> code
};

// The columns of one collection, with what decoding needs at hand. Shared by all handles' objects that refer to it.
class RecordCodec {
 public:
  RecordCodec(ModuleState& state, const Schema& schema);

  [[nodiscard]] const Schema& schema() const noexcept { return schema_; }
  [[nodiscard]] PyObject* names() const noexcept { return names_.get(); }

  // Calls `body(contents)` with what the name stands for now, and again if that was replaced meanwhile: all that a call
  // reads or writes through contents.records has the codes of that collection.
  template <class Body>
  auto with_contents(const RecordHash& records, Body&& body) {
    for (;;) {
      const std::shared_ptr<RecordContents> contents = contents_of(records);
      try {
        return body(*contents);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kReplaced) throw;
        forget(contents);
      }
    }
  }
  // What a page of a scan was read from, with all texts at hand. Throws Error{kReplaced} if that is gone already.
  [[nodiscard]] std::shared_ptr<RecordContents> contents_of_page(const RecordHash& records, const ScanPage& page);

  [[nodiscard]] Ref decode(RecordContents& contents, const char* record);
  // Writes all columns of a mapping, tuple or Record. Throws PythonError: ArgumentError, KindError,
  // IntegerOverflowError.
  void encode(RecordContents& contents, PyObject* object, char* record);
  // Writes one column; `at` is where its field begins.
  void encode_field(RecordContents& contents, std::size_t column, PyObject* value, char* at);

  // The column of this name. Throws PythonError: MissingKeyError listing the columns there are.
  [[nodiscard]] std::size_t column_index(PyObject* name);
  // All texts of a category column, in code order, as a list that is not to be changed.
  [[nodiscard]] Ref texts(RecordContents& contents, std::size_t column);

 private:
  [[nodiscard]] std::shared_ptr<RecordContents> contents_of(const RecordHash& records);
  void forget(const std::shared_ptr<RecordContents>& contents);
  [[nodiscard]] Ref known_texts(RecordContents& contents, std::size_t column, std::size_t at_least);

  Ref decode_field(RecordContents& contents, std::size_t index, const char* at);
  Ref decode_category(RecordContents& contents, std::size_t index, const char* at);
  void encode_tuple(RecordContents& contents, PyObject* tuple, char* record);
  void encode_mapping(RecordContents& contents, PyObject* mapping, char* record);
  void encode_missing(const Column& column, char* at);
  void encode_category(RecordContents& contents, std::size_t index, PyObject* value, char* at);
  void encode_bytes(const Column& column, PyObject* value, char* at);
  void encode_date(const Column& column, PyObject* value, char* at);
  [[noreturn]] void wrong_type(const Column& column, PyObject* value);
  void check_names(PyObject* mapping);

  ModuleState& state_;
  Schema schema_;
  Ref names_;
  Ref class_;
  std::mutex mutex_;  // of the next; nothing is called under it
  std::shared_ptr<RecordContents> contents_;
};

// Memory for one record: on the stack if it is small.
class RecordBuffer {
 public:
  explicit RecordBuffer(const Schema& schema) {
    if (schema.record_bytes() > sizeof inline_) heap_ = std::make_unique_for_overwrite<char[]>(schema.record_bytes());
    std::memset(data(), 0, schema.record_bytes());  // padding takes part in nothing, but is stored
  }
  [[nodiscard]] char* data() noexcept { return heap_ ? heap_.get() : inline_; }

 private:
  alignas(8) char inline_[256];
  std::unique_ptr<char[]> heap_;
};

// The Record under `key`; empty if absent.
[[nodiscard]] Ref read_record(PyObject* collection, ByteView key);

}  // namespace kv::py
