// RecordHash: a Hash with a schema. Its values are records of fixed size, which NumPy sees as columns.

#include "args.hpp"
#include "array_codec.hpp"
#include "bind.hpp"
#include "columns.hpp"
#include "pairs.hpp"
#include "record_codec.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"

namespace kv::py {
namespace {

PyObject* missing_key(ModuleState& state, PyObject* key) {
  set_missing_key(state, key);
  return nullptr;
}

// A key argument; throws PythonError.
KeyBytes key_argument(PyObject* self, PyObject* key) {
  KeyBytes bytes;
  if (!bytes.assign(state_of(self), key)) throw PythonError{};
  return bytes;
}

constexpr Signature<2> kGet = {"get", {"key", "default"}, 1};

PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kGet.parse(args, count, keywords, given)) return nullptr;
  if (Ref record = read_record(self, key_argument(self, given[0]).view())) return record.release();
  return Py_NewRef(given[1] == nullptr ? Py_None : given[1]);
}

PyObject* subscript(PyObject* self, PyObject* key) {
  if (Ref record = read_record(self, key_argument(self, key).view())) return record.release();
  return missing_key(state_of(self), key);
}

void put_record(PyObject* self, PyObject* key, PyObject* object, std::uint64_t ttl_ms = kNoTtl) {
  const KeyBytes bytes = key_argument(self, key);
  RecordCodec& codec = *open_collection(self).codec;
  RecordBuffer buffer(codec.schema());
  codec.with_contents(open_records(self), [&](RecordContents& contents) {
    codec.encode(contents, object, buffer.data());
    return in_core([&] { return contents.records.put(bytes.view(), buffer.data(), ttl_ms); });
  });
}

constexpr Signature<3> kPut = {"put", {"key", "value", "ttl"}, 2};

PyObject* put(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[3];
  if (!kPut.parse(args, count, keywords, given)) return nullptr;
  put_record(self, given[0], given[1], ttl_argument(state_of(self), given[2]));
  Py_RETURN_NONE;
}

int assign_subscript(PyObject* self, PyObject* key, PyObject* record) {
  if (record != nullptr) {
    put_record(self, key, record);
    return 0;
  }
  const KeyBytes bytes = key_argument(self, key);
  RecordHash& records = open_records(self);
  if (in_core([&] { return records.erase(bytes.view()); })) return 0;
  set_missing_key(state_of(self), key);
  return -1;
}

constexpr Signature<2> kPop = {"pop", {"", ""}, 1};

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kPop.parse(args, count, keywords, given)) return nullptr;
  const KeyBytes key = key_argument(self, given[0]);
  RecordCodec& codec = *open_collection(self).codec;
  RecordBuffer buffer(codec.schema());
  Ref record = codec.with_contents(open_records(self), [&](RecordContents& contents) {
    const bool found = in_core([&] { return contents.records.take(key.view(), buffer.data()); });
    return found ? codec.decode(contents, buffer.data()) : Ref();
  });
  if (record) return record.release();
  return given[1] == nullptr ? missing_key(state_of(self), given[0]) : Py_NewRef(given[1]);
}

PyObject* pop_item(PyObject* self, PyObject*) {
  RecordCodec& codec = *open_collection(self).codec;
  RecordBuffer buffer(codec.schema());
  std::string key;
  Ref record = codec.with_contents(open_records(self), [&](RecordContents& contents) {
    if (!in_core([&] { return contents.records.take_last(key, buffer.data()); })) {
      fail(state_of(self), ErrorClass::kMissingKey, "popitem(): there are no keys");
    }
    return codec.decode(contents, buffer.data());
  });
  return PyTuple_Pack(2, key_object(key).get(), record.get());
}

constexpr Signature<2> kSetDefault = {"setdefault", {"key", "default"}, 1};

PyObject* set_default(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kSetDefault.parse(args, count, keywords, given)) return nullptr;
  const KeyBytes key = key_argument(self, given[0]);
  Ref record = read_record(self, key.view());
  if (!record) {
    put_record(self, given[0], given[1] == nullptr ? Py_None : given[1]);
    record = read_record(self, key.view());
  }
  return record ? record.release() : missing_key(state_of(self), given[0]);
}

// The new values of some columns, encoded one after another.
class FieldUpdates {
 public:
  void add(RecordCodec& codec, RecordContents& contents, PyObject* name, PyObject* value) {
    const std::size_t index = codec.column_index(name);
    const Column& column = codec.schema().columns()[index];
    memory_.push_back(std::make_unique<char[]>(column.bytes));
    codec.encode_field(contents, index, value, memory_.back().get());
    fields_.push_back({column.offset, column.bytes, memory_.back().get()});
  }
  [[nodiscard]] std::span<const RecordHash::Field> fields() const noexcept { return fields_; }

 private:
  std::vector<std::unique_ptr<char[]>> memory_;
  std::vector<RecordHash::Field> fields_;
};

PyObject* set_fields(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  if (count != 1) {
    PyErr_SetString(PyExc_TypeError, "set_fields() takes one key, and the columns as keyword arguments");
    return nullptr;
  }
  const KeyBytes key = key_argument(self, args[0]);
  const Py_ssize_t fields = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  RecordCodec& codec = *open_collection(self).codec;
  const bool found = codec.with_contents(open_records(self), [&](RecordContents& contents) {
    FieldUpdates updates;
    for (Py_ssize_t i = 0; i < fields; ++i) {
      updates.add(codec, contents, PyTuple_GET_ITEM(keywords, i), args[1 + i]);
    }
    return in_core([&] { return contents.records.set_fields(key.view(), updates.fields()); });
  });
  if (!found) {
    return missing_key(state_of(self), args[0]);
  }
  Py_RETURN_NONE;
}

class RecordBatches final : public PairBatches {
 public:
  RecordBatches(PyObject* records, std::uint64_t ttl_ms) noexcept : records_(records), ttl_ms_(ttl_ms) {}

 private:
  void store(std::span<const Ref> keys, std::span<const Ref> values) override {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      put_record(records_, keys[i].get(), values[i].get(), ttl_ms_);
    }
  }

  PyObject* records_;
  std::uint64_t ttl_ms_;
};

constexpr Signature<3> kPutMany = {"put_many", {"", "", "ttl"}, 1, 2};

bool is_structured(PyObject* values) {
  if (!is_ndarray(values)) return false;
  return attribute(attribute(values, "dtype").get(), "names").get() != Py_None;
}

PyObject* put_many(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[3];
  if (!kPutMany.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  (void)open_records(self);
  const std::uint64_t ttl_ms = ttl_argument(state, given[2]);
  RecordBatches batches(self, ttl_ms);
  if (given[1] == nullptr) {
    feed_mapping_or_pairs(batches, given[0]);
  } else if (is_structured(given[1])) {
    Ref keys = key_tuple(state, given[0]);
    const Py_ssize_t size = PyTuple_GET_SIZE(keys.get());
    if (PyObject_Size(given[1]) != size)
      fail(state, ErrorClass::kArgument, "there are %zd keys and %zd records", size, PyObject_Size(given[1]));
    put_columns(self, keys.get(), given[1], ttl_ms);
  } else {
    feed_keys_and_values(state, batches, given[0], given[1]);
  }
  Py_RETURN_NONE;
}

PyObject* update(PyObject* self, PyObject* args, PyObject* keywords) {
  PyObject* other = nullptr;
  if (!PyArg_UnpackTuple(args, "update", 0, 1, &other)) return nullptr;
  (void)open_records(self);
  RecordBatches batches(self, kNoTtl);
  if (other != nullptr) feed_mapping_or_pairs(batches, other);
  if (keywords != nullptr) feed_mapping_or_pairs(batches, keywords);
  Py_RETURN_NONE;
}

constexpr Signature<2> kGetMany = {"get_many", {"keys", "default"}, 1};

PyObject* get_many(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kGetMany.parse(args, count, keywords, given)) return nullptr;
  Ref keys = key_tuple(state_of(self), given[0]);
  PyObject* absent = given[1] == nullptr ? Py_None : given[1];
  Ref list = checked(PyList_New(0));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keys.get()); ++i) {
    Ref record = read_record(self, key_argument(self, PyTuple_GET_ITEM(keys.get(), i)).view());
    check(PyList_Append(list.get(), record ? record.get() : absent));
  }
  return list.release();
}

PyObject* schema(PyObject* self, void*) {
  Ref types = checked(PyDict_New());
  for (const Column& column : open_records(self).schema().columns()) {
    check(PyDict_SetItem(types.get(), key_object(column.name).get(), key_object(Schema::type_name(column)).get()));
  }
  return types.release();
}

constexpr char kGetDoc[] = "get($self, /, key, default=None)\n--\n\nThe Record of `key`, or `default`.";
constexpr char kPutDoc[] =
    "put($self, /, key, value, ttl=None)\n--\n\n"
    "Store a record: a mapping with a value for each column, a tuple in the order of the columns, or a Record.\n\n"
    "None is a missing value where the column has one: NaN in float columns, NaT in date and datetime columns, no\n"
    "category. Raises KindError, ArgumentError or IntegerOverflowError naming the column; nothing is stored then.";
constexpr char kPopDoc[] =
    "pop($self, key, default=..., /)\n--\n\n"
    "Delete `key` and return its Record, in one step. An absent key returns `default`, or raises MissingKeyError.";
constexpr char kPopItemDoc[] =
    "popitem($self, /)\n--\n\nDelete the last key in byte order and return it with its Record.";
constexpr char kSetDefaultDoc[] =
    "setdefault($self, /, key, default=None)\n--\n\n"
    "The Record of `key`; an absent key gets `default` first. Unlike Hash.setdefault() two steps: of two callers at "
    "the\n"
    "same time, both may store.";
constexpr char kSetFieldsDoc[] =
    "set_fields($self, key, /, **columns)\n--\n\n"
    "Change some columns of a record, in one step: h.set_fields(key, dep_delay=5).\n\n"
    "Raises:\n    MissingKeyError: the key is absent, or there is no such column.";
constexpr char kPutManyDoc[] =
    "put_many($self, keys_or_mapping, values=..., /, *, ttl=None)\n--\n\n"
    "Store many records: put_many(mapping), or put_many(keys, values) with a record for each key.\n\n"
    "`values` may be a structured array with the columns as fields, in which '' stands for a missing category.";
constexpr char kGetManyDoc[] =
    "get_many($self, /, keys, default=None)\n--\n\nThe Records of many keys as a list, `default` where a key is "
    "absent.";
constexpr char kUpdateDoc[] =
    "update($self, other=(), /, **kwargs)\n--\n\nStore every item of a mapping, or of an iterable of pairs, as "
    "dict.update().";
constexpr char kColumnDoc[] =
    "column($self, name, /)\n--\n\n"
    "A copy of one column as an array, in the order of the keys. Category columns become texts, '' where missing.";
constexpr char kCodesDoc[] =
    "codes($self, name, /)\n--\n\n"
    "The codes of a category column as an array, in the order of the keys: categories(name)[code] is the text, and "
    "the\n"
    "largest number of the dtype stands for a missing one.";
constexpr char kCategoriesDoc[] =
    "categories($self, name, /)\n--\n\nThe texts of a category column, in the order of their codes.";
constexpr char kToNumpyDoc[] =
    "to_numpy($self, /)\n--\n\nA copy of all records as a structured array, in the order of the keys.";
constexpr char kSlabsDoc[] =
    "slabs($self, /)\n--\n\n"
    "The records where they lie, without a copy: a list of (records, used), in no particular order.\n\n"
    "Lifetime: `records` is a read-only structured array over the store's memory, with category columns as codes. It "
    "is\n"
    "live: it shows changes made while it exists, perhaps half of one. `used` tells which rows were in use at the "
    "time\n"
    "of the call. Slots of deleted records are not used again while an array over their slab exists.";

PyMethodDef methods[] = {
    {"get", method<get>(), METH_FASTCALL | METH_KEYWORDS, kGetDoc},
    {"put", method<put>(), METH_FASTCALL | METH_KEYWORDS, kPutDoc},
    {"pop", method<pop>(), METH_FASTCALL | METH_KEYWORDS, kPopDoc},
    {"popitem", method<pop_item>(), METH_NOARGS, kPopItemDoc},
    {"setdefault", method<set_default>(), METH_FASTCALL | METH_KEYWORDS, kSetDefaultDoc},
    {"set_fields", method<set_fields>(), METH_FASTCALL | METH_KEYWORDS, kSetFieldsDoc},
    {"put_many", method<put_many>(), METH_FASTCALL | METH_KEYWORDS, kPutManyDoc},
    {"get_many", method<get_many>(), METH_FASTCALL | METH_KEYWORDS, kGetManyDoc},
    {"update", method<update>(), METH_VARARGS | METH_KEYWORDS, kUpdateDoc},
    {"column", method<records_column>(), METH_O, kColumnDoc},
    {"codes", method<records_codes>(), METH_O, kCodesDoc},
    {"categories", method<records_categories>(), METH_O, kCategoriesDoc},
    {"to_numpy", method<records_to_numpy>(), METH_NOARGS, kToNumpyDoc},
    {"slabs", method<records_slabs>(), METH_NOARGS, kSlabsDoc},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"schema", &Guarded<schema>::call, nullptr, "The columns and their types, as a dict.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Byte-string keys to records of a schema, in byte order of the keys.\n\n"
                       "A MutableMapping whose values are Records, and whose columns are NumPy arrays: made by\n"
                       "Storage.hash(name, schema=...) or Storage.load_csv().")},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_mp_subscript, slot<subscript>()},
    {Py_mp_ass_subscript, slot<assign_subscript>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.RecordHash", sizeof(Instance<Collection>), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_MAPPING, slots};

}  // namespace

Ref make_records(ModuleState& state, std::shared_ptr<StoreHandle> handle, RecordHash records) {
  auto codec = std::make_shared<RecordCodec>(state, records.schema());
  return make_instance(state, state.record_hash_type.get(),
                       Collection{std::move(handle), std::move(records), std::move(codec)});
}

void bind_records(PyObject* module, ModuleState& state) {
  state.record_hash_type = add_type(module, spec, state.hash_type.get());
}

}  // namespace kv::py
