// Many keys at once: values are encoded with the GIL held, stored in one core call without it.

#include <algorithm>

#include "args.hpp"
#include "array_codec.hpp"
#include "bind.hpp"
#include "hash_methods.hpp"
#include "pairs.hpp"
#include "ttl_argument.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

// The bytes of many keys, and the objects behind those that had to be encoded.
class ManyKeys {
 public:
  explicit ManyKeys(std::size_t count) { views_.reserve(count); }

  void add(PyObject* collection, PyObject* key) {
    KeyBytes bytes;
    if (!bytes.assign_in(collection, key)) throw PythonError{};
    views_.push_back(bytes.view());
    if (Ref owner = bytes.take_owner()) owners_.push_back(std::move(owner));
  }
  [[nodiscard]] std::span<const ByteView> views() const noexcept { return views_; }

 private:
  std::vector<ByteView> views_;
  std::vector<Ref> owners_;
};

// Sets aside the Python exception of a pair that cannot be stored while those before it are.
class SavedError {
 public:
  SavedError() noexcept { PyErr_Fetch(&type_, &value_, &traceback_); }
  SavedError(const SavedError&) = delete;
  SavedError& operator=(const SavedError&) = delete;
  ~SavedError() { PyErr_Restore(type_, value_, traceback_); }

 private:
  PyObject* type_ = nullptr;
  PyObject* value_ = nullptr;
  PyObject* traceback_ = nullptr;
};

class HashBatches final : public PairBatches {
 public:
  HashBatches(PyObject* hash, std::uint64_t ttl_ms) noexcept : hash_(hash), ttl_ms_(ttl_ms) {}

 private:
  void store(std::span<const Ref> keys, std::span<const Ref> values) override {
    ModuleState& state = state_of(hash_);
    ManyKeys many(keys.size());
    std::vector<Value> encoded;
    encoded.reserve(values.size());
    Scratch scratch;
    try {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        const Value value = encode_value(state, values[i].get(), scratch);
        many.add(hash_, keys[i].get());
        encoded.push_back(value);
      }
    } catch (const PythonError&) {
      SavedError saved;
      put(many, encoded);
      throw;
    }
    put(many, encoded);
  }

  void put(const ManyKeys& keys, const std::vector<Value>& values) {
    Hash& hash = open_hash(hash_);
    in_core_detached([&] { hash.put_many(keys.views(), values, ttl_ms_); });
  }

  PyObject* hash_;
  std::uint64_t ttl_ms_;
};

bool has_rows(PyObject* values) {
  if (!is_ndarray(values)) return false;
  Ref dimensions = attribute(values, "ndim");
  return PyLong_AsLong(dimensions.get()) >= 2;
}

void put_rows(PyObject* self, PyObject* keys, PyObject* array, std::uint64_t ttl_ms) {
  ModuleState& state = state_of(self);
  Hash& hash = open_hash(self);
  Ref key_items = key_tuple(state, keys);
  Scratch scratch;
  const ArrayRows rows = encode_rows(state, array, scratch);
  const auto count = static_cast<std::size_t>(PyTuple_GET_SIZE(key_items.get()));
  if (rows.count != count) fail(state, ErrorClass::kArgument, "there are %zu keys and %zu rows", count, rows.count);
  ManyKeys many(count);
  std::vector<Value> values;
  values.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    many.add(self, PyTuple_GET_ITEM(key_items.get(), static_cast<Py_ssize_t>(i)));
    values.push_back(rows.row(i));
  }
  in_core_detached([&] { hash.put_many(many.views(), values, ttl_ms); });
}

// What the callbacks of Hash::get_many fill.
struct Found {
  PyObject* hash;
  PyObject* list;
  std::span<const ByteView> keys;  // of this slice
  std::size_t first = 0;           // its place in the list
  bool failed = false;             // Python's error is set; callbacks must not throw through the core

  void put(std::size_t i, PyObject* value) noexcept {
    failed = failed || value == nullptr;
    if (value != nullptr) PyList_SET_ITEM(list, static_cast<Py_ssize_t>(first + i), value);
  }
};

void found_value(void* context, std::size_t i, ValueType type, ByteView bytes) {
  attach();
  auto& found = *static_cast<Found*>(context);
  if (found.failed) return;
  try {
    found.put(i, decode_copied(state_of(found.hash), type, bytes));
  } catch (...) {
    raise_current_exception();
    found.failed = true;
  }
}

void found_large(void* context, std::size_t i) {
  attach();
  auto& found = *static_cast<Found*>(context);
  if (found.failed) return;
  try {
    if (Ref value = read_value(found.hash, found.keys[i])) found.put(i, value.release());
  } catch (...) {
    raise_current_exception();
    found.failed = true;
  }
}

// Values become objects while they are read, with the GIL held: so many before others may have it.
constexpr std::size_t kSlice = 4096;

constexpr Signature<3> kPutMany = {"put_many", {"", "", "ttl"}, 1, 2};
constexpr Signature<2> kGetMany = {"get_many", {"keys", "default"}, 1};

}  // namespace

PyObject* hash_put_many(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[3];
  if (!kPutMany.parse(args, count, keywords, given)) return nullptr;
  (void)open_hash(self);
  const std::uint64_t ttl_ms = ttl_argument(state_of(self), given[2]);
  HashBatches batches(self, ttl_ms);
  if (given[1] == nullptr) {
    feed_mapping_or_pairs(batches, given[0]);
  } else if (has_rows(given[1])) {
    put_rows(self, given[0], given[1], ttl_ms);
  } else {
    feed_keys_and_values(state_of(self), batches, given[0], given[1]);
  }
  Py_RETURN_NONE;
}

PyObject* hash_get_many(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kGetMany.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  const Hash& hash = open_hash(self);
  Ref keys = key_tuple(state, given[0]);
  const Py_ssize_t size = PyTuple_GET_SIZE(keys.get());
  ManyKeys many(static_cast<std::size_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) many.add(self, PyTuple_GET_ITEM(keys.get(), i));
  Ref list = checked(PyList_New(size));
  Found found{self, list.get(), {}};
  for (std::size_t first = 0; first < many.views().size(); first += kSlice) {
    if (first != 0) give_way();
    found.first = first;
    found.keys = many.views().subspan(first, std::min(kSlice, many.views().size() - first));
    in_core([&] { hash.get_many(found.keys, &found, found_value, found_large); });
    if (found.failed) return nullptr;
  }
  PyObject* absent = given[1] == nullptr ? Py_None : given[1];
  for (Py_ssize_t i = 0; i < size; ++i) {
    if (PyList_GET_ITEM(list.get(), i) == nullptr) PyList_SET_ITEM(list.get(), i, Py_NewRef(absent));
  }
  return list.release();
}

PyObject* hash_update(PyObject* self, PyObject* args, PyObject* keywords) {
  PyObject* other = nullptr;
  if (!PyArg_UnpackTuple(args, "update", 0, 1, &other)) return nullptr;
  (void)open_hash(self);
  HashBatches batches(self, kNoTtl);
  if (other != nullptr) feed_mapping_or_pairs(batches, other);
  if (keywords != nullptr) feed_mapping_or_pairs(batches, keywords);
  Py_RETURN_NONE;
}

}  // namespace kv::py
