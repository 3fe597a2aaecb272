#include "pairs.hpp"

#include "array_codec.hpp"

namespace kv::py {
namespace {

Ref next_item(PyObject* iterator) {
  Ref item = Ref::steal(PyIter_Next(iterator));
  if (!item && PyErr_Occurred() != nullptr) throw PythonError{};
  return item;
}

void feed_dict(PairBatches& batches, PyObject* dict) {
  // Storing gives up the GIL now and then, and a dict must not change while it is walked: walk lists of what it holds.
  Ref keys = checked(PyDict_Keys(dict));
  Ref values = checked(PyDict_Values(dict));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys.get()) && i < PyList_GET_SIZE(values.get()); ++i) {
    batches.add(new_reference(PyList_GET_ITEM(keys.get(), i)), new_reference(PyList_GET_ITEM(values.get(), i)));
  }
}

void feed_mapping(PairBatches& batches, PyObject* mapping) {
  Ref keys = checked(PyObject_CallMethod(mapping, "keys", nullptr));
  Ref iterator = checked(PyObject_GetIter(keys.get()));
  while (Ref key = next_item(iterator.get())) {
    Ref value = checked(PyObject_GetItem(mapping, key.get()));
    batches.add(std::move(key), std::move(value));
  }
}

void feed_pair(PairBatches& batches, PyObject* pair, std::size_t index) {
  Ref items = checked(PySequence_Fast(pair, "an item of the pairs is no sequence of a key and a value"));
  const CriticalSection section(items.get());  // it may be the caller's own list
  if (const Py_ssize_t size = PySequence_Fast_GET_SIZE(items.get()); size != 2) {
    PyErr_Format(PyExc_ValueError, "pair number %zu has length %zd; a key and a value are required", index, size);
    throw PythonError{};
  }
  batches.add(new_reference(PySequence_Fast_GET_ITEM(items.get(), 0)),
              new_reference(PySequence_Fast_GET_ITEM(items.get(), 1)));
}

bool has_keys(PyObject* source) {
  Ref keys = Ref::steal(PyObject_GetAttrString(source, "keys"));
  if (keys) return true;
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw PythonError{};
  PyErr_Clear();
  return false;
}

// The items of an iterable as a tuple. An array gives its elements as Python's own numbers and texts, which are
// storable and fit as keys, and not as NumPy's.
Ref item_tuple(ModuleState& state, PyObject* items, const char* what) {
  if (PyUnicode_Check(items) || PyBytes_Check(items)) {
    fail(state, ErrorClass::kKind, "%s is a single %s: pass a sequence", what, Py_TYPE(items)->tp_name);
  }
  if (!is_ndarray(items)) return checked(PySequence_Tuple(items));
  return checked(PySequence_Tuple(checked(PyObject_CallMethod(items, "tolist", nullptr)).get()));
}

}  // namespace

void feed_mapping_or_pairs(PairBatches& batches, PyObject* source) {
  if (PyDict_CheckExact(source)) {
    feed_dict(batches, source);
  } else if (has_keys(source)) {
    feed_mapping(batches, source);
  } else {
    Ref iterator = checked(PyObject_GetIter(source));
    for (std::size_t i = 0; Ref pair = next_item(iterator.get()); ++i) feed_pair(batches, pair.get(), i);
  }
  batches.flush();
}

void feed_keys_and_values(ModuleState& state, PairBatches& batches, PyObject* keys, PyObject* values) {
  Ref key_items = key_tuple(state, keys);
  Ref value_items = item_tuple(state, values, "values");
  const Py_ssize_t size = PyTuple_GET_SIZE(key_items.get());
  if (PyTuple_GET_SIZE(value_items.get()) != size) {
    fail(state, ErrorClass::kArgument, "there are %zd keys and %zd values", size, PyTuple_GET_SIZE(value_items.get()));
  }
  for (Py_ssize_t i = 0; i < size; ++i) {
    batches.add(new_reference(PyTuple_GET_ITEM(key_items.get(), i)),
                new_reference(PyTuple_GET_ITEM(value_items.get(), i)));
  }
  batches.flush();
}

Ref key_tuple(ModuleState& state, PyObject* keys) { return item_tuple(state, keys, "keys"); }

}  // namespace kv::py
