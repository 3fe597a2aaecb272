#include "record_codec.hpp"

#include <cstring>
#include <limits>

#include "extension_types.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

constexpr std::int64_t kMissingTime = std::numeric_limits<std::int64_t>::min();

template <class Number>
Number load(const char* at) noexcept {
  Number number;
  std::memcpy(&number, at, sizeof number);
  return number;
}
template <class Number>
void save(char* at, Number number) noexcept {
  std::memcpy(at, &number, sizeof number);
}

[[noreturn]] void out_of_range(ModuleState& state, const Column& column, PyObject* value) {
  fail(state, ErrorClass::kOverflow, "%R does not fit column '%s' of type %s", value, column.name.c_str(),
       Schema::type_name(column).c_str());
}

template <class Number>
void save_signed(ModuleState& state, const Column& column, PyObject* value, char* at) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow != 0 || number < std::numeric_limits<Number>::min() || number > std::numeric_limits<Number>::max()) {
    out_of_range(state, column, value);
  }
  save(at, static_cast<Number>(number));
}

template <class Number>
void save_unsigned(ModuleState& state, const Column& column, PyObject* value, char* at) {
  const unsigned long long number = PyLong_AsUnsignedLongLong(value);
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    out_of_range(state, column, value);
  }
  if (number > std::numeric_limits<Number>::max()) out_of_range(state, column, value);
  save(at, static_cast<Number>(number));
}

void save_int(ModuleState& state, const Column& column, PyObject* value, char* at) {
  switch (column.type) {
    case ColumnType::kInt8:
      return save_signed<std::int8_t>(state, column, value, at);
    case ColumnType::kInt16:
      return save_signed<std::int16_t>(state, column, value, at);
    case ColumnType::kInt32:
      return save_signed<std::int32_t>(state, column, value, at);
    case ColumnType::kInt64:
      return save_signed<std::int64_t>(state, column, value, at);
    case ColumnType::kUInt8:
      return save_unsigned<std::uint8_t>(state, column, value, at);
    case ColumnType::kUInt16:
      return save_unsigned<std::uint16_t>(state, column, value, at);
    case ColumnType::kUInt32:
      return save_unsigned<std::uint32_t>(state, column, value, at);
    default:
      return save_unsigned<std::uint64_t>(state, column, value, at);
  }
}

bool is_bool(PyObject* value) noexcept {
  const char* type = Py_TYPE(value)->tp_name;
  return PyBool_Check(value) || std::strcmp(type, "numpy.bool") == 0 || std::strcmp(type, "numpy.bool_") == 0;
}

std::uint32_t load_code(const Column& column, const char* at) noexcept {
  if (column.bytes == 1) return load<std::uint8_t>(at);
  return column.bytes == 2 ? load<std::uint16_t>(at) : load<std::uint32_t>(at);
}

void save_code(const Column& column, char* at, std::uint32_t code) noexcept { std::memcpy(at, &code, column.bytes); }

std::uint32_t missing_code(const Column& column) noexcept {
  return std::numeric_limits<std::uint32_t>::max() >> (32 - 8 * column.bytes);
}

}  // namespace

RecordCodec::RecordCodec(ModuleState& state, const Schema& schema) : state_(state), schema_(schema) {
  const auto& columns = schema_.columns();
  names_ = checked(PyTuple_New(static_cast<Py_ssize_t>(columns.size())));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    PyTuple_SET_ITEM(names_.get(), static_cast<Py_ssize_t>(i), key_object(columns[i].name).release());
  }
  class_ = record_class(state, names_.get());
}

// ---- Contents ----

RecordContents::RecordContents(RecordHash fixed, std::size_t columns)
    : records(std::move(fixed)), serial(records.serial()), texts(columns), codes(columns) {}

std::shared_ptr<RecordContents> RecordCodec::contents_of(const RecordHash& records) {
  {
    const std::lock_guard lock(mutex_);
    if (contents_) return contents_;
  }
  auto made = in_core([&] { return std::make_shared<RecordContents>(records.fixed(), schema_.columns().size()); });
  const std::lock_guard lock(mutex_);
  if (!contents_) contents_ = std::move(made);
  return contents_;
}

void RecordCodec::forget(const std::shared_ptr<RecordContents>& contents) {
  std::shared_ptr<RecordContents> forgotten;  // goes after the lock: it drops Python objects
  const std::lock_guard lock(mutex_);
  if (contents_ == contents) std::swap(forgotten, contents_);
}

std::shared_ptr<RecordContents> RecordCodec::contents_of_page(const RecordHash& records, const ScanPage& page) {
  std::shared_ptr<RecordContents> contents = contents_of(records);
  if (contents->serial != page.serial) {
    forget(contents);
    contents = contents_of(records);
  }
  if (contents->serial != page.serial)
    throw Error(ErrorCode::kReplaced, "the collection was replaced while it was read");
  for (std::size_t i = 0; i < schema_.columns().size(); ++i) {
    if (schema_.columns()[i].type == ColumnType::kCategory) (void)known_texts(*contents, i, 0);
  }
  return contents;
}

// ---- Decoding ----

Ref RecordCodec::decode(RecordContents& contents, const char* record) {
  auto* type = reinterpret_cast<PyTypeObject*>(class_.get());
  const auto& columns = schema_.columns();
  Ref made = checked(type->tp_alloc(type, static_cast<Py_ssize_t>(columns.size())));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    PyTuple_SET_ITEM(made.get(), static_cast<Py_ssize_t>(i),
                     decode_field(contents, i, record + columns[i].offset).release());
  }
  return made;
}

Ref RecordCodec::decode_field(RecordContents& contents, std::size_t index, const char* at) {
  const Column& column = schema_.columns()[index];
  switch (column.type) {
    case ColumnType::kBool:
      return checked(PyBool_FromLong(*at));
    case ColumnType::kInt8:
      return checked(PyLong_FromLong(load<std::int8_t>(at)));
    case ColumnType::kInt16:
      return checked(PyLong_FromLong(load<std::int16_t>(at)));
    case ColumnType::kInt32:
      return checked(PyLong_FromLong(load<std::int32_t>(at)));
    case ColumnType::kInt64:
      return checked(PyLong_FromLongLong(load<std::int64_t>(at)));
    case ColumnType::kUInt8:
      return checked(PyLong_FromLong(load<std::uint8_t>(at)));
    case ColumnType::kUInt16:
      return checked(PyLong_FromLong(load<std::uint16_t>(at)));
    case ColumnType::kUInt32:
      return checked(PyLong_FromUnsignedLong(load<std::uint32_t>(at)));
    case ColumnType::kUInt64:
      return checked(PyLong_FromUnsignedLongLong(load<std::uint64_t>(at)));
    case ColumnType::kFloat32:
      return checked(PyFloat_FromDouble(static_cast<double>(load<float>(at))));
    case ColumnType::kFloat64:
      return checked(PyFloat_FromDouble(load<double>(at)));
    case ColumnType::kDate:
    case ColumnType::kDatetime: {
      const auto time = load<std::int64_t>(at);
      if (time == kMissingTime) return new_reference(Py_None);
      return column.type == ColumnType::kDate ? date_from_days(state_, time) : datetime_from_microseconds(state_, time);
    }
    case ColumnType::kBytes: {
      std::size_t size = column.bytes;
      while (size != 0 && at[size - 1] == '\0') --size;  // the padding, as NumPy's "S" types have it
      return checked(PyBytes_FromStringAndSize(at, static_cast<Py_ssize_t>(size)));
    }
    case ColumnType::kCategory:
      return decode_category(contents, index, at);
  }
  fail(state_, ErrorClass::kCorruption, "column '%s' has an unknown type", column.name.c_str());
}

Ref RecordCodec::decode_category(RecordContents& contents, std::size_t index, const char* at) {
  const Column& column = schema_.columns()[index];
  const std::uint32_t code = load_code(column, at);
  if (code == missing_code(column)) return new_reference(Py_None);
  const Ref known = known_texts(contents, index, code + std::size_t{1});
  if (static_cast<std::size_t>(PyList_GET_SIZE(known.get())) <= code) {
    fail(state_, ErrorClass::kCorruption, "column '%s' holds a code without a text", column.name.c_str());
  }
  return new_reference(PyList_GET_ITEM(known.get(), static_cast<Py_ssize_t>(code)));
}

Ref RecordCodec::known_texts(RecordContents& contents, std::size_t column, std::size_t at_least) {
  Ref known = contents.texts[column].get();
  if (known && static_cast<std::size_t>(PyList_GET_SIZE(known.get())) >= at_least) return known;
  return texts(contents, column);
}

Ref RecordCodec::texts(RecordContents& contents, std::size_t column) {
  const std::vector<std::string> all = in_core([&] { return contents.records.categories(column); });
  Ref list = checked(PyList_New(static_cast<Py_ssize_t>(all.size())));
  for (std::size_t i = 0; i < all.size(); ++i) {
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), key_object(all[i]).release());
  }
  contents.texts[column].set(new_reference(list.get()));
  return list;
}

// ---- Encoding ----

void RecordCodec::encode(RecordContents& contents, PyObject* object, char* record) {
  if (PyTuple_Check(object)) {
    encode_tuple(contents, object, record);
  } else if (PyMapping_Check(object) && PyObject_HasAttrString(object, "keys")) {
    encode_mapping(contents, object, record);
  } else {
    fail(state_, ErrorClass::kKind, "a record is a mapping, a tuple or a Record, not %s", Py_TYPE(object)->tp_name);
  }
}

void RecordCodec::encode_tuple(RecordContents& contents, PyObject* tuple, char* record) {
  const auto& columns = schema_.columns();
  if (static_cast<std::size_t>(PyTuple_GET_SIZE(tuple)) != columns.size()) {
    fail(state_, ErrorClass::kArgument, "the tuple has %zd items, but the schema %zu columns", PyTuple_GET_SIZE(tuple),
         columns.size());
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    encode_field(contents, i, PyTuple_GET_ITEM(tuple, static_cast<Py_ssize_t>(i)), record + columns[i].offset);
  }
}

void RecordCodec::encode_mapping(RecordContents& contents, PyObject* mapping, char* record) {
  const auto& columns = schema_.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names_.get(), static_cast<Py_ssize_t>(i));
    Ref value = Ref::steal(PyObject_GetItem(mapping, name));
    if (!value) {
      if (!PyErr_ExceptionMatches(PyExc_KeyError)) throw PythonError{};
      PyErr_Clear();
      fail(state_, ErrorClass::kArgument, "the record has no value for column %R", name);
    }
    encode_field(contents, i, value.get(), record + columns[i].offset);
  }
  if (PyMapping_Size(mapping) != static_cast<Py_ssize_t>(columns.size())) check_names(mapping);
}

void RecordCodec::check_names(PyObject* mapping) {
  Ref keys = checked(PyMapping_Keys(mapping));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys.get()); ++i) (void)column_index(PyList_GET_ITEM(keys.get(), i));
}

std::size_t RecordCodec::column_index(PyObject* name) {
  const int found = PyUnicode_Check(name) ? PySequence_Contains(names_.get(), name) : 0;
  check(found);
  if (found == 0)
    fail(state_, ErrorClass::kMissingKey, "there is no column %R; the columns are %R", name, names_.get());
  const Py_ssize_t index = PySequence_Index(names_.get(), name);
  if (index < 0) throw PythonError{};
  return static_cast<std::size_t>(index);
}

void RecordCodec::wrong_type(const Column& column, PyObject* value) {
  fail(state_, ErrorClass::kKind, "column '%s' of type %s does not take %R of type %s", column.name.c_str(),
       Schema::type_name(column).c_str(), value, Py_TYPE(value)->tp_name);
}

void RecordCodec::encode_field(RecordContents& contents, std::size_t index, PyObject* value, char* at) {
  const Column& column = schema_.columns()[index];
  if (value == Py_None) return encode_missing(column, at);
  switch (column.type) {
    case ColumnType::kBool: {
      if (!is_bool(value)) wrong_type(column, value);
      const int truth = PyObject_IsTrue(value);
      check(truth);
      return save(at, static_cast<char>(truth));
    }
    case ColumnType::kFloat32:
    case ColumnType::kFloat64: {
      if (PyUnicode_Check(value) || !PyNumber_Check(value)) wrong_type(column, value);
      const double number = PyFloat_AsDouble(value);
      if (number == -1.0 && PyErr_Occurred() != nullptr) throw PythonError{};
      return column.type == ColumnType::kFloat32 ? save(at, static_cast<float>(number)) : save(at, number);
    }
    case ColumnType::kDate:
    case ColumnType::kDatetime:
      return encode_date(column, value, at);
    case ColumnType::kBytes:
      return encode_bytes(column, value, at);
    case ColumnType::kCategory:
      return encode_category(contents, index, value, at);
    default: {
      if (!PyIndex_Check(value) || PyBool_Check(value)) wrong_type(column, value);
      Ref number = checked(PyNumber_Index(value));
      return save_int(state_, column, number.get(), at);
    }
  }
}

void RecordCodec::encode_missing(const Column& column, char* at) {
  switch (column.type) {
    case ColumnType::kFloat32:
      return save(at, std::numeric_limits<float>::quiet_NaN());
    case ColumnType::kFloat64:
      return save(at, std::numeric_limits<double>::quiet_NaN());
    case ColumnType::kDate:
    case ColumnType::kDatetime:
      return save(at, kMissingTime);
    case ColumnType::kCategory:
      return save_code(column, at, missing_code(column));
    default:
      wrong_type(column, Py_None);
  }
}

void RecordCodec::encode_date(const Column& column, PyObject* value, char* at) {
  const Extension kind = extension_of(state_, Py_TYPE(value));
  if (column.type == ColumnType::kDate && kind == Extension::kDate) return save(at, days_from_date(value));
  if (column.type != ColumnType::kDatetime || kind != Extension::kDatetime) wrong_type(column, value);
  if (attribute(value, "tzinfo").get() != Py_None) {
    fail(state_, ErrorClass::kKind, "column '%s' holds datetimes without time zone: convert %R to UTC and drop tzinfo",
         column.name.c_str(), value);
  }
  save(at, microseconds_from_datetime(value));
}

void RecordCodec::encode_bytes(const Column& column, PyObject* value, char* at) {
  if (!PyBytes_Check(value)) wrong_type(column, value);
  const ByteView bytes = bytes_of(value);
  if (bytes.size() > column.bytes) {
    fail(state_, ErrorClass::kArgument, "%zu bytes do not fit column '%s' of type %s", bytes.size(),
         column.name.c_str(), Schema::type_name(column).c_str());
  }
  std::memset(at, 0, column.bytes);
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
}

void RecordCodec::encode_category(RecordContents& contents, std::size_t index, PyObject* value, char* at) {
  const Column& column = schema_.columns()[index];
  if (!PyUnicode_Check(value)) wrong_type(column, value);
  PyObject* const known = filled(contents.codes[index], [] { return checked(PyDict_New()); });
  if (const Ref code = find_item(known, value)) {
    return save_code(column, at, static_cast<std::uint32_t>(PyLong_AsUnsignedLong(code.get())));
  }
  const std::string text = key_string(state_, value);
  const std::uint32_t code = in_core([&] { return contents.records.category_code(index, text); });
  check(PyDict_SetItem(known, value, checked(PyLong_FromUnsignedLong(code)).get()));
  save_code(column, at, code);
}

Ref read_record(PyObject* collection, ByteView key) {
  RecordCodec& codec = *open_collection(collection).codec;
  RecordBuffer buffer(codec.schema());
  return codec.with_contents(open_records(collection), [&](RecordContents& contents) {
    const bool found = in_core([&] { return contents.records.get(key, buffer.data()); });
    return found ? codec.decode(contents, buffer.data()) : Ref();
  });
}

}  // namespace kv::py
