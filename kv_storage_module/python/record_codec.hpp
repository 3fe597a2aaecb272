// Records of a schema collection <-> Python: Record objects one by one here, arrays of whole columns in columns.hpp.
#pragma once

#include <Python.h>

#include <vector>

#include "bind.hpp"

namespace kv::py {

// A Record class for these column names (a tuple of str); made once per tuple of names.
[[nodiscard]] Ref record_class(ModuleState& state, PyObject* names);

// The columns of one collection, with what decoding needs at hand. Shared by all handles' objects that refer to it.
class RecordCodec {
 public:
  RecordCodec(ModuleState& state, const Schema& schema);

  [[nodiscard]] const Schema& schema() const noexcept { return schema_; }
  [[nodiscard]] PyObject* names() const noexcept { return names_.get(); }

  [[nodiscard]] Ref decode(RecordHash& records, const char* record);
  // Writes all columns of a mapping, tuple or Record. Throws PythonError: ArgumentError, KindError,
  // IntegerOverflowError.
  void encode(RecordHash& records, PyObject* object, char* record);
  // Writes one column; `at` is where its field begins.
  void encode_field(RecordHash& records, std::size_t column, PyObject* value, char* at);

  // The column of this name. Throws PythonError: MissingKeyError listing the columns there are.
  [[nodiscard]] std::size_t column_index(PyObject* name);
  // All texts of a category column, in code order, as a list that is not to be changed.
  [[nodiscard]] Ref texts(RecordHash& records, std::size_t column, std::size_t at_least);
  // Others may have added some: the next call of texts() asks the store again.
  void forget_texts(std::size_t column) noexcept { texts_[column].set(Ref()); }

 private:
  Ref decode_field(RecordHash& records, std::size_t index, const char* at);
  Ref decode_category(RecordHash& records, std::size_t index, const char* at);
  void encode_tuple(RecordHash& records, PyObject* tuple, char* record);
  void encode_mapping(RecordHash& records, PyObject* mapping, char* record);
  void encode_missing(const Column& column, char* at);
  void encode_category(RecordHash& records, std::size_t index, PyObject* value, char* at);
  void encode_bytes(const Column& column, PyObject* value, char* at);
  void encode_date(const Column& column, PyObject* value, char* at);
  [[noreturn]] void wrong_type(const Column& column, PyObject* value);
  void check_names(PyObject* mapping);

  ModuleState& state_;
  Schema schema_;
  Ref names_;
  Ref class_;
  // Per column, for categories only; texts are never changed or taken away, so what is known stays right.
  std::vector<SharedRef> texts_;  // list: code -> text
  std::vector<Ref> codes_;        // dict: text -> code
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
