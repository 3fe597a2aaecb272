// Values into a List and out of it: batches, NumPy arrays, counts.

#include <algorithm>
#include <cstring>

#include "array_codec.hpp"
#include "list_fields.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

using Take = std::function<void(std::span<const Value>)>;

constexpr std::size_t kBatch = 4096;

// Takes the error that is set away while it lives.
class ErrorAside {
 public:
#if PY_VERSION_HEX >= 0x030C0000
  ErrorAside() noexcept : error_(PyErr_GetRaisedException()) {}
  ~ErrorAside() { PyErr_SetRaisedException(error_); }
#else
  ErrorAside() noexcept { PyErr_Fetch(&type_, &error_, &traceback_); }
  ~ErrorAside() { PyErr_Restore(type_, error_, traceback_); }
#endif
  ErrorAside(const ErrorAside&) = delete;
  ErrorAside& operator=(const ErrorAside&) = delete;

 private:
  PyObject* error_ = nullptr;
#if PY_VERSION_HEX < 0x030C0000
  PyObject *type_ = nullptr, *traceback_ = nullptr;
#endif
};

void take_objects(ModuleState& state, PyObject* iterable, std::size_t batch, const Take& take) {
  ValueBatch values;
  const auto flush = [&] {
    in_core_detached([&] { take(values.values()); });
    values.clear();
  };
  const bool all_at_once = batch != kBatch;
  Ref iterator = checked(PyObject_GetIter(iterable));
  try {
    while (Ref item = Ref::steal(PyIter_Next(iterator.get()))) {
      values.add(state, item.get());
      if (values.values().size() == batch) flush();
    }
    if (PyErr_Occurred() != nullptr) throw PythonError{};
  } catch (const PythonError&) {
    // As with a list: what came before the item that cannot be taken is there.
    if (!all_at_once && !values.values().empty()) {
      const ErrorAside aside;
      flush();
    }
    throw;
  }
  if (all_at_once || !values.values().empty()) flush();
}

// ---- Arrays of one dimension ----

struct NumberType {
  ValueType type;
  const char* dtype;
  std::size_t bytes;
};

// How the elements of an array are stored that need no Python object each.
[[nodiscard]] const NumberType* number_type(PyObject* array) {
  static constexpr NumberType kInt = {ValueType::kInt, "<i8", 8}, kFloat = {ValueType::kFloat, "<f8", 8},
                              kBool = {ValueType::kBool, "?", 1};
  Ref dtype = attribute(array, "dtype");
  Ref kind = attribute(dtype.get(), "kind");
  const Py_ssize_t itemsize = PyLong_AsSsize_t(attribute(dtype.get(), "itemsize").get());
  const std::string name = name_string(*current_state(), kind.get(), "the kind of a dtype");
  if (name == "b") return &kBool;
  if (name == "i" || (name == "u" && itemsize < 8)) return &kInt;
  if (name == "f" && itemsize <= 8) return &kFloat;
  return nullptr;
}

void take_numbers(PyObject* array, const NumberType& numbers, std::size_t batch, const Take& take) {
  Ref plain = checked(PyObject_CallMethod(numpy_module().get(), "ascontiguousarray", "Os", array, numbers.dtype));
  Scratch scratch;
  const Py_buffer& buffer = scratch.keep_buffer(plain.get(), PyBUF_SIMPLE);
  const auto* const elements = static_cast<const char*>(buffer.buf);
  const std::size_t count = static_cast<std::size_t>(buffer.len) / numbers.bytes;
  std::vector<Value> values;
  in_core_detached([&] {
    for (std::size_t first = 0; first < count || (first == 0 && batch != kBatch); first += batch) {
      if (first != 0) check_signals_detached();
      values.clear();
      for (std::size_t i = first; i < count && i - first < batch; ++i) {
        values.push_back({numbers.type, {elements + i * numbers.bytes, numbers.bytes}});
      }
      take(values);
      if (count - first <= batch) break;
    }
  });
}

void take_all(PyObject* self, PyObject* iterable, std::size_t batch, const Take& take) {
  ModuleState& state = state_of(self);
  if (is_list(state, iterable)) {
    const List& from = open_list(iterable);
    in_core_detached([&] {
      ListItems items;
      from.read({}, items);
      const std::vector<Value> values = values_of(items);
      take(values);
    });
    return;
  }
  if (is_ndarray(iterable) && PyLong_AsLong(attribute(iterable, "ndim").get()) == 1) {
    if (const NumberType* numbers = number_type(iterable)) return take_numbers(iterable, *numbers, batch, take);
    Ref objects = checked(PyObject_CallMethod(iterable, "tolist", nullptr));
    return take_objects(state, objects.get(), batch, take);
  }
  take_objects(state, iterable, batch, take);
}

}  // namespace

void for_each_batch(PyObject* self, PyObject* iterable, const Take& take) { take_all(self, iterable, kBatch, take); }

void with_all_values(PyObject* self, PyObject* iterable, const Take& take) {
  take_all(self, iterable, ~std::size_t{0} / 2, take);
}

std::vector<Value> values_of(const ListItems& items) {
  std::vector<Value> values;
  values.reserve(items.codes.size());
  for (const std::uint32_t code : items.codes) {
    const ListValues::Item& item = items.values.items[code];
    values.push_back({item.type, items.values.bytes_of(item)});
  }
  return values;
}

// ---- Out of it ----

Ref DecodedItems::value(std::size_t code) {
  const ListValues::Item& item = items_.values.items[code];
  if (item.type == ValueType::kPacked || item.type == ValueType::kArray) {  // perhaps a list: one for each position
    return checked(decode_copied(state_, item.type, items_.values.bytes_of(item)));
  }
  if (made_.size() <= code) made_.resize(items_.values.items.size());
  if (!made_[code]) made_[code] = checked(decode_copied(state_, item.type, items_.values.bytes_of(item)));
  return new_reference(made_[code].get());
}

Ref DecodedItems::at(std::size_t position) { return value(items_.codes[position]); }

Ref decode_items(ModuleState& state, const ListItems& items) {
  DecodedItems decoded(state, items);
  Ref list = checked(PyList_New(static_cast<Py_ssize_t>(items.codes.size())));
  for (std::size_t i = 0; i < items.codes.size(); ++i) {
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), decoded.at(i).release());
  }
  return list;
}

namespace {

Ref dtype_named(const char* name) { return checked(PyObject_CallMethod(numpy_module().get(), "dtype", "s", name)); }

Ref array_of(ModuleState& state, std::vector<char> bytes, std::size_t count, const char* dtype) {
  if (count == 0) return checked(PyObject_CallMethod(numpy_module().get(), "empty", "is", 0, dtype));
  Ref shape = checked(Py_BuildValue("(n)", static_cast<Py_ssize_t>(count)));
  Ref memory = make_memory(state, std::move(bytes));
  return make_ndarray(state, shape.get(), dtype_named(dtype).get(), memory.get());
}

Ref object_array(PyObject* list) {
  return checked(PyObject_CallMethod(numpy_module().get(), "fromiter", "Osn", list, "O", PyList_GET_SIZE(list)));
}

template <class Code>
Ref narrow_codes(ModuleState& state, const std::vector<std::uint32_t>& codes, const char* dtype) {
  std::vector<char> bytes(codes.size() * sizeof(Code));
  auto* const to = reinterpret_cast<Code*>(bytes.data());
  for (std::size_t i = 0; i < codes.size(); ++i) to[i] = static_cast<Code>(codes[i]);
  return array_of(state, std::move(bytes), codes.size(), dtype);
}

// In the least width that holds every code of the dictionary.
Ref codes_array(ModuleState& state, const std::vector<std::uint32_t>& codes, std::size_t dictionary) {
  if (dictionary <= 0x100) return narrow_codes<std::uint8_t>(state, codes, "u1");
  if (dictionary <= 0x10000) return narrow_codes<std::uint16_t>(state, codes, "<u2");
  return narrow_codes<std::uint32_t>(state, codes, "<u4");
}

// The one type that all values have; kNone if there are several, or none with a dtype.
ValueType common_type(const ListValues& values) {
  ValueType common = ValueType::kNone;
  for (const ListValues::Item& item : values.items) {
    if (!item.used) continue;
    if (common != ValueType::kNone && item.type != common) return ValueType::kNone;
    if (item.type != ValueType::kInt && item.type != ValueType::kFloat && item.type != ValueType::kBool) {
      return ValueType::kNone;
    }
    common = item.type;
  }
  return common;
}

struct ElementType {
  const char* dtype;
  std::size_t bytes;
};
ElementType element_type(ValueType type) {
  return type == ValueType::kInt     ? ElementType{"<i8", 8}
         : type == ValueType::kFloat ? ElementType{"<f8", 8}
                                     : ElementType{"?", 1};
}

// The values by code: numbers as such, anything else as objects. What is not in use is 0 or None.
Ref dictionary_array(ModuleState& state, const ListItems& items) {
  const ListValues& values = items.values;
  if (const ValueType type = common_type(values); type != ValueType::kNone) {
    const auto [dtype, size] = element_type(type);
    std::vector<char> bytes(values.items.size() * size);
    for (std::size_t i = 0; i < values.items.size(); ++i) {
      if (values.items[i].used) std::memcpy(bytes.data() + i * size, values.bytes_of(values.items[i]).data(), size);
    }
    return array_of(state, std::move(bytes), values.items.size(), dtype);
  }
  DecodedItems decoded(state, items);
  Ref list = checked(PyList_New(static_cast<Py_ssize_t>(values.items.size())));
  for (std::size_t i = 0; i < values.items.size(); ++i) {
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i),
                    values.items[i].used ? decoded.value(i).release() : Py_NewRef(Py_None));
  }
  return object_array(list.get());
}

bool can_share(const ListValues& values) noexcept {
  return std::none_of(values.items.begin(), values.items.end(), [](const ListValues::Item& item) {
    return item.type == ValueType::kPacked || item.type == ValueType::kArray;
  });
}

ListItems read_stored(PyObject* self) {
  const List& core = open_list(self);
  ListItems items;
  in_core_detached([&] { core.read_stored(items); });
  return items;
}

}  // namespace

PyObject* list_codes(PyObject* self, PyObject*) {
  const ListItems items = read_stored(self);
  return codes_array(state_of(self), items.codes, items.values.items.size()).release();
}

PyObject* list_dictionary(PyObject* self, PyObject*) {
  const List& core = open_list(self);
  ListItems items;
  in_core_detached([&] { core.read_values(items.values); });
  return dictionary_array(state_of(self), items).release();
}

PyObject* list_encoded(PyObject* self, PyObject*) {
  const ListItems items = read_stored(self);
  Ref codes = codes_array(state_of(self), items.codes, items.values.items.size());
  Ref dictionary = dictionary_array(state_of(self), items);
  return PyTuple_Pack(2, codes.get(), dictionary.get());
}

PyObject* list_to_numpy(PyObject* self, PyObject*) {
  ModuleState& state = state_of(self);
  const List& core = open_list(self);
  ListItems items;
  in_core_detached([&] { core.read({}, items); });
  const ListValues& values = items.values;
  if (const ValueType type = common_type(values); type != ValueType::kNone) {
    const auto [dtype, size] = element_type(type);
    std::vector<char> bytes(items.codes.size() * size);
    in_core_detached([&, bytes_of_element = size] {
      for (std::size_t i = 0; i < items.codes.size(); ++i) {
        const char* const from = values.bytes.data() + values.items[items.codes[i]].offset;
        std::memcpy(bytes.data() + i * bytes_of_element, from, bytes_of_element);
      }
    });
    return array_of(state, std::move(bytes), items.codes.size(), dtype).release();
  }
  if (!can_share(values) || items.codes.empty()) return object_array(decode_items(state, items).get()).release();
  Ref dictionary = dictionary_array(state, items);
  Ref codes = codes_array(state, items.codes, values.items.size());
  return checked(PyObject_CallMethod(dictionary.get(), "take", "O", codes.get())).release();
}

PyObject* list_value_counts(PyObject* self, PyObject*) {
  ModuleState& state = state_of(self);
  const List& core = open_list(self);
  ListItems items;
  in_core_detached([&] { core.read_values(items.values); });
  auto& values = items.values.items;
  std::erase_if(values, [](const ListValues::Item& item) { return !item.used; });
  std::stable_sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.count > b.count; });
  DecodedItems decoded(state, items);
  Ref counts = checked(PyDict_New());
  for (std::size_t i = 0; i < values.size(); ++i) {
    Ref value = decoded.value(i);
    Ref count = checked(PyLong_FromUnsignedLongLong(values[i].count));
    // Values that are equal to Python, such as 1 and 1.0, are one key of a dict.
    if (PyObject* const known = PyDict_GetItemWithError(counts.get(), value.get())) {
      count = checked(PyNumber_Add(known, count.get()));
    } else if (PyErr_Occurred() != nullptr) {
      throw PythonError{};
    }
    check(PyDict_SetItem(counts.get(), value.get(), count.get()));
  }
  return counts.release();
}

}  // namespace kv::py
