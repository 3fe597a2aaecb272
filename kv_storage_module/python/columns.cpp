#include "columns.hpp"

#include <cstring>

#include "array_codec.hpp"
#include "record_codec.hpp"
#include "text.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

// NumPy's spelling of a column as it lies in memory.
std::string numpy_type(const Column& column) {
  switch (column.type) {
    case ColumnType::kDate:
      return "<M8[D]";
    case ColumnType::kDatetime:
      return "<M8[us]";
    case ColumnType::kBytes:
      return "S" + std::to_string(column.bytes);
    case ColumnType::kCategory:
      return "<u" + std::to_string(column.bytes);
    default:
      return Schema::type_name(column);  // bool, int8 ... float64: the same names
  }
}

Ref dtype_object(PyObject* spec) { return checked(PyObject_CallMethod(numpy_module().get(), "dtype", "O", spec)); }

Ref dtype_named(const std::string& name) { return dtype_object(key_object(name).get()); }

RecordCodec& codec_of(PyObject* collection) {
  Collection& open = open_collection(collection);
  if (!open.codec) {
    fail(state_of(collection), ErrorClass::kKind,
         "only collections with a schema have columns: kv.hash(name, schema=...)");
  }
  return *open.codec;
}

// ---- Reading ----

// The bytes [offset, offset + size) of each matching record, row by row.
std::vector<char> gather(const Matches& matches, RecordContents& contents, std::uint32_t offset, std::uint32_t size) {
  std::vector<char> rows;
  if (!matches.sliced() && !matches.reverse) {
    in_core_detached([&] { contents.records.gather(matches.range, offset, size, rows); });
    return rows;
  }
  visit_entries(matches, true, [&](const ScanPage& page, const ScanPage::Item& item) {
    if (page.serial != contents.serial) throw Error(ErrorCode::kReplaced, "the collection was replaced meanwhile");
    const char* field = page.value(item).data() + offset;
    rows.insert(rows.end(), field, field + size);
    return true;
  });
  return rows;
}

Ref array_of(ModuleState& state, std::vector<char> rows, std::size_t size, PyObject* dtype) {
  Ref shape = checked(Py_BuildValue("(n)", static_cast<Py_ssize_t>(rows.size() / size)));
  Ref memory = make_memory(state, std::move(rows));
  return make_ndarray(state, shape.get(), dtype, memory.get());
}

// Codes to texts, by one take(). A missing value's code is the largest of its width; it becomes ''.
Ref texts_of_codes(RecordCodec& codec, RecordContents& contents, std::size_t column, PyObject* codes) {
  Ref numpy = numpy_module();
  Ref texts = checked(PySequence_List(codec.texts(contents, column).get()));
  const Py_ssize_t known = PyList_GET_SIZE(texts.get());
  check(PyList_Append(texts.get(), key_object("").get()));
  Ref table = checked(PyObject_CallMethod(numpy.get(), "array", "O", texts.get()));
  Ref places = checked(PyObject_CallMethod(numpy.get(), "minimum", "On", codes, known));
  return checked(PyObject_CallMethod(table.get(), "take", "O", places.get()));
}

Ref decoded(RecordCodec& codec, RecordContents& contents, std::size_t column, Ref raw) {
  if (codec.schema().columns()[column].type != ColumnType::kCategory) return raw;
  return texts_of_codes(codec, contents, column, raw.get());
}

Ref item(PyObject* array, PyObject* key) { return checked(PyObject_GetItem(array, key)); }

// An array of `count` records whose categories are texts: the columns are decoded first, since their width decides.
Ref with_texts(RecordCodec& codec, RecordContents& contents, PyObject* raw) {
  const Py_ssize_t size = PyTuple_GET_SIZE(codec.names());
  Ref columns = checked(PyList_New(size));
  Ref fields = checked(PyList_New(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* name = PyTuple_GET_ITEM(codec.names(), i);
    Ref column = decoded(codec, contents, static_cast<std::size_t>(i), item(raw, name));
    PyList_SET_ITEM(fields.get(), i, checked(PyTuple_Pack(2, name, attribute(column.get(), "dtype").get())).release());
    PyList_SET_ITEM(columns.get(), i, column.release());
  }
  Ref made = checked(PyObject_CallMethod(numpy_module().get(), "empty", "nO", PyObject_Size(raw), fields.get()));
  for (Py_ssize_t i = 0; i < size; ++i) {
    check(PyObject_SetItem(made.get(), PyTuple_GET_ITEM(codec.names(), i), PyList_GET_ITEM(columns.get(), i)));
  }
  return made;
}

bool has_categories(const Schema& schema) noexcept {
  for (const Column& column : schema.columns()) {
    if (column.type == ColumnType::kCategory) return true;
  }
  return false;
}

// ---- Writing ----

// The codes of an array of texts; '' and None are missing. Each distinct text is looked up once.
Ref codes_of_texts(ModuleState& state, RecordCodec& codec, RecordContents& contents, std::size_t index,
                   PyObject* array) {
  const Column& column = codec.schema().columns()[index];
  Ref list = checked(PyObject_CallMethod(array, "tolist", nullptr));
  const Py_ssize_t size = PyList_GET_SIZE(list.get());
  std::vector<char> codes(static_cast<std::size_t>(size) * column.bytes);
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* text = PyList_GET_ITEM(list.get(), i);
    const bool missing = PyUnicode_Check(text) && PyUnicode_GET_LENGTH(text) == 0;
    codec.encode_field(contents, index, missing ? Py_None : text,
                       codes.data() + static_cast<std::size_t>(i) * column.bytes);
  }
  return array_of(state, std::move(codes), column.bytes, dtype_named(numpy_type(column)).get());
}

// A column converted to its type in memory. What would lose more than precision is refused.
Ref stored_column(ModuleState& state, RecordCodec& codec, RecordContents& contents, std::size_t index,
                  PyObject* values) {
  const Column& column = codec.schema().columns()[index];
  Ref array = checked(PyObject_CallMethod(numpy_module().get(), "asarray", "O", values));
  if (column.type == ColumnType::kCategory) return codes_of_texts(state, codec, contents, index, array.get());
  Ref keywords = checked(Py_BuildValue("{s:s}", "casting", "same_kind"));
  Ref arguments = checked(PyTuple_Pack(1, dtype_named(numpy_type(column)).get()));
  Ref converted = checked(PyObject_Call(attribute(array.get(), "astype").get(), arguments.get(), keywords.get()));
  if (column.type >= ColumnType::kInt8 && column.type <= ColumnType::kUInt64) {
    Ref same = checked(PyObject_CallMethod(numpy_module().get(), "array_equal", "OO", array.get(), converted.get()));
    if (PyObject_IsTrue(same.get()) != 1) {
      fail(state, ErrorClass::kOverflow, "column '%s' of type %s does not hold all of the values", column.name.c_str(),
           Schema::type_name(column).c_str());
    }
  }
  return converted;
}

}  // namespace

Ref storage_dtype(const Schema& schema) {
  Ref names = checked(PyList_New(0));
  Ref formats = checked(PyList_New(0));
  Ref offsets = checked(PyList_New(0));
  for (const Column& column : schema.columns()) {
    check(PyList_Append(names.get(), key_object(column.name).get()));
    check(PyList_Append(formats.get(), key_object(numpy_type(column)).get()));
    check(PyList_Append(offsets.get(), checked(PyLong_FromUnsignedLong(column.offset)).get()));
  }
  Ref spec = checked(Py_BuildValue("{s:O,s:O,s:O,s:I}", "names", names.get(), "formats", formats.get(), "offsets",
                                   offsets.get(), "itemsize", schema.record_bytes()));
  return dtype_object(spec.get());
}

Ref read_column(const Matches& matches, std::size_t index, Categories categories) {
  PyObject* collection = matches.collection.get();
  RecordCodec& codec = codec_of(collection);
  const Column& column = codec.schema().columns()[index];
  return codec.with_contents(open_records(collection), [&](RecordContents& contents) {
    Ref raw = array_of(state_of(collection), gather(matches, contents, column.offset, column.bytes), column.bytes,
                       dtype_named(numpy_type(column)).get());
    return categories == Categories::kCodes ? std::move(raw) : decoded(codec, contents, index, std::move(raw));
  });
}

Ref read_columns(const Matches& matches) {
  PyObject* collection = matches.collection.get();
  RecordCodec& codec = codec_of(collection);
  const Schema& schema = codec.schema();
  return codec.with_contents(open_records(collection), [&](RecordContents& contents) {
    Ref raw = array_of(state_of(collection), gather(matches, contents, 0, schema.record_bytes()), schema.record_bytes(),
                       storage_dtype(schema).get());
    return has_categories(schema) ? with_texts(codec, contents, raw.get()) : std::move(raw);
  });
}

namespace {

// A structured array in storage layout.
Ref build_records(ModuleState& state, RecordCodec& codec, RecordContents& contents, PyObject* columns,
                  Py_ssize_t count) {
  Ref records =
      checked(PyObject_CallMethod(numpy_module().get(), "zeros", "nO", count, storage_dtype(codec.schema()).get()));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(codec.names()); ++i) {
    PyObject* name = PyTuple_GET_ITEM(codec.names(), i);
    Ref column = stored_column(state, codec, contents, static_cast<std::size_t>(i), item(columns, name).get());
    check(PyObject_SetItem(records.get(), name, column.get()));
  }
  return records;
}

}  // namespace

Ref decode_columns(PyObject* collection, std::vector<char> records) {
  RecordCodec& codec = codec_of(collection);
  const Schema& schema = codec.schema();
  Ref raw = array_of(state_of(collection), std::move(records), schema.record_bytes(), storage_dtype(schema).get());
  Ref columns = checked(PyDict_New());
  for (std::size_t i = 0; i < schema.columns().size(); ++i) {
    Ref name = key_object(schema.columns()[i].name);
    Ref column = codec.with_contents(open_records(collection), [&](RecordContents& contents) {
      return decoded(codec, contents, i, item(raw.get(), name.get()));
    });
    check(PyDict_SetItem(columns.get(), name.get(), column.get()));
  }
  return columns;
}

std::uint64_t put_columns(PyObject* collection, PyObject* keys, PyObject* columns, std::uint64_t ttl_ms) {
  ModuleState& state = state_of(collection);
  RecordCodec& codec = codec_of(collection);
  const std::uint32_t record_bytes = codec.schema().record_bytes();
  return codec.with_contents(open_records(collection), [&](RecordContents& contents) {
    Ref array = build_records(state, codec, contents, columns, PyTuple_GET_SIZE(keys));
    Scratch scratch;
    const Py_buffer& buffer =
        scratch.keep_buffer(checked(PyObject_CallMethod(array.get(), "view", "s", "u1")).get(), PyBUF_SIMPLE);
    const auto* record = static_cast<const char*>(buffer.buf);
    std::uint64_t added = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keys); ++i, record += record_bytes) {
      KeyBytes key;
      if (!key.assign(state, PyTuple_GET_ITEM(keys, i))) throw PythonError{};
      added += in_core([&] { return contents.records.put(key.view(), record, ttl_ms); }) ? 1 : 0;
    }
    return added;
  });
}

// ---- Methods ----

namespace {

Matches all_of(PyObject* collection) {
  (void)codec_of(collection);
  return {new_reference(collection), {}, "all"};
}

PyObject* named_column(const Matches& matches, PyObject* name, Categories categories) {
  RecordCodec& codec = codec_of(matches.collection.get());
  const std::size_t index = codec.column_index(name);
  if (categories == Categories::kCodes && codec.schema().columns()[index].type != ColumnType::kCategory) {
    fail(state_of(matches.collection.get()), ErrorClass::kKind, "column %R is no category and has no codes", name);
  }
  return read_column(matches, index, categories).release();
}

// Which slots of a slab are in use, as an array of bool.
Ref used_mask(ModuleState& state, const RecordHash::Slab& slab) {
  std::vector<char> used(slab.count);
  for (std::size_t i = 0; i < slab.count; ++i) used[i] = static_cast<char>(slab.used[i / 8] >> (i % 8) & 1);
  return array_of(state, std::move(used), 1, dtype_named("bool").get());
}

Ref slab_pair(ModuleState& state, RecordHash::Slab slab, PyObject* dtype) {
  Ref mask = used_mask(state, slab);
  Ref shape = checked(Py_BuildValue("(K)", static_cast<unsigned long long>(slab.count)));
  Ref view = make_slab_view(state, std::move(slab.pin), slab.records);
  return checked(Py_BuildValue("(NN)", make_ndarray(state, shape.get(), dtype, view.get()).release(), mask.release()));
}

}  // namespace

PyObject* matches_column(PyObject* self, PyObject* name) {
  return named_column(fields<Matches>(self), name, Categories::kTexts);
}
PyObject* matches_codes(PyObject* self, PyObject* name) {
  return named_column(fields<Matches>(self), name, Categories::kCodes);
}
PyObject* matches_to_numpy(PyObject* self, PyObject*) { return read_columns(fields<Matches>(self)).release(); }

PyObject* records_column(PyObject* self, PyObject* name) {
  return named_column(all_of(self), name, Categories::kTexts);
}
PyObject* records_codes(PyObject* self, PyObject* name) { return named_column(all_of(self), name, Categories::kCodes); }
PyObject* records_to_numpy(PyObject* self, PyObject*) { return read_columns(all_of(self)).release(); }

PyObject* records_categories(PyObject* self, PyObject* name) {
  RecordCodec& codec = codec_of(self);
  const std::size_t index = codec.column_index(name);
  if (codec.schema().columns()[index].type != ColumnType::kCategory) {
    fail(state_of(self), ErrorClass::kKind, "column %R is no category", name);
  }
  return codec
      .with_contents(
          open_records(self),
          [&](RecordContents& contents) { return checked(PySequence_List(codec.texts(contents, index).get())); })
      .release();
}

PyObject* records_slabs(PyObject* self, PyObject*) {
  ModuleState& state = state_of(self);
  RecordHash& records = open_records(self);
  std::vector<RecordHash::Slab> slabs = in_core([&] { return records.slabs(); });
  Ref dtype = storage_dtype(codec_of(self).schema());
  Ref list = checked(PyList_New(0));
  for (RecordHash::Slab& slab : slabs) {
    check(PyList_Append(list.get(), slab_pair(state, std::move(slab), dtype.get()).get()));
  }
  return list.release();
}

}  // namespace kv::py
