// Map: typed keys in their order, with order statistics. What it shares with Hash is in bind_hash.cpp.

#include <cstring>
#include <string_view>

#include "args.hpp"
#include "bind.hpp"
#include "hash_methods.hpp"
#include "matches.hpp"
#include "ordered_codec.hpp"
#include "ordered_methods.hpp"
#include "text.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

// first() and last(): the item.
Ref item_at(PyObject* self, const std::optional<std::string>& key) {
  if (!key) return {};
  Ref value = read_value(self, *key);
  if (!value) return {};
  return checked(PyTuple_Pack(2, decode_ordered_key(state_of(self), *key).get(), value.get()));
}

template <bool kLast>
PyObject* end_item(PyObject* self, PyObject*) {
  for (;;) {
    const Ordered& core = open_ordered(self);
    const auto key = in_core([&] { return kLast ? core.select_back(0) : core.select(0); });
    if (!key) fail(state_of(self), ErrorClass::kMissingKey, "%s(): there are no keys", kLast ? "last" : "first");
    if (Ref item = item_at(self, key)) return item.release();  // else another has just deleted it
  }
}

template <bool kLast>
PyObject* pop_end(PyObject* self, PyObject*) {
  ModuleState& state = state_of(self);
  Ordered& core = open_ordered(self);
  std::string key;
  ValueBuffer buffer;
  if (!in_core([&] { return kLast ? core.take_last(key, buffer) : core.take_first(key, buffer); })) {
    fail(state, ErrorClass::kMissingKey, "%s(): there are no keys", kLast ? "poplast" : "popfirst");
  }
  Ref value = checked(decode_read(state, buffer));
  return PyTuple_Pack(2, decode_ordered_key(state, key).get(), value.get());
}

PyObject* keys_array(PyObject* self, PyObject*) { return ordered_keys_array(self, {}).release(); }
PyObject* values_array(PyObject* self, PyObject*) { return ordered_values_array(self, {}).release(); }

constexpr char kFirstDoc[] =
    "first($self, /)\n--\n\nThe item with the least key. Raises MissingKeyError if there is none.";
constexpr char kLastDoc[] =
    "last($self, /)\n--\n\nThe item with the greatest key. Raises MissingKeyError if there is none.";
constexpr char kPopFirstDoc[] =
    "popfirst($self, /)\n--\n\nDelete the item with the least key and return it, in one step, also between processes.";
constexpr char kPopLastDoc[] =
    "poplast($self, /)\n--\n\nDelete the item with the greatest key and return it, in one step, also between "
    "processes.";
constexpr char kKeysArrayDoc[] =
    "keys_array($self, /)\n--\n\n"
    "The keys as a NumPy array, in order: int64, float64, datetime64[D] or datetime64[us]. KindError for str and "
    "bytes.";
constexpr char kValuesArrayDoc[] =
    "values_array($self, /)\n--\n\n"
    "The values as a NumPy array in the order of the keys: int64 if all are int, float64 if all are float, else "
    "KindError.";

constexpr char kPutDoc[] =
    "put($self, /, key, value, ttl=None)\n--\n\n"
    "Store a copy of `value` under `key`, replacing what was there.\n\n"
    "Args:\n"
    "    key: int (64 bits), float (no NaN), str, bytes, date or datetime (without a zone); one type in a Map.\n"
    "    value: whatever a Hash takes.\n"
    "    ttl: seconds after which the key is absent; None: it stays.\n\n"
    "Raises:\n"
    "    KindError: the key is of another type than the Map's, or the value is not storable.\n"
    "    CapacityError: the store is full; nothing has changed.";

const PyMethodDef own_methods[] = {
    {"first", method<end_item<false>>(), METH_NOARGS, kFirstDoc},
    {"last", method<end_item<true>>(), METH_NOARGS, kLastDoc},
    {"popfirst", method<pop_end<false>>(), METH_NOARGS, kPopFirstDoc},
    {"poplast", method<pop_end<true>>(), METH_NOARGS, kPopLastDoc},
    {"popitem", method<pop_end<true>>(), METH_NOARGS, "popitem($self, /)\n--\n\nThe same as poplast()."},
    {"keys_array", method<keys_array>(), METH_NOARGS, kKeysArrayDoc},
    {"values_array", method<values_array>(), METH_NOARGS, kValuesArrayDoc},
};

// Its own methods, those of all ordered collections, and those of Hash that it does not have already. Lives as long as
// the types that refer to it.
std::vector<PyMethodDef>& all_methods() {
  static std::vector<PyMethodDef> all = [] {
    std::vector<PyMethodDef> methods;
    const auto add = [&](std::span<const PyMethodDef> more) {
      for (const PyMethodDef& candidate : more) {
        bool known = false;
        for (const PyMethodDef& present : methods)
          known = known || std::strcmp(present.ml_name, candidate.ml_name) == 0;
        if (!known) methods.push_back(candidate);
      }
    };
    add(own_methods);
    add(ordered_methods());
    add(hash_methods());
    for (PyMethodDef& shared : methods) {
      if (shared.ml_name == std::string_view("put")) shared.ml_doc = kPutDoc;
    }
    methods.push_back({nullptr, nullptr, 0, nullptr});
    return methods;
  }();
  return all;
}

}  // namespace

void bind_map(PyObject* module, ModuleState& state) {
  PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("Typed keys to values of any storable type, in the order of the keys.\n\n"
                                    "A MutableMapping that lives outside the interpreter: made by Storage.map(name).\n"
                                    "rank(), select(), floor(), ceiling() and the length of a range cost the depth of\n"
                                    "the index and not its size.")},
      {Py_tp_methods, all_methods().data()},
      {Py_tp_getset, ordered_properties()},
      {Py_mp_subscript, slot<hash_subscript>()},
      {Py_mp_ass_subscript, slot<hash_assign_subscript>()},
      {0, nullptr},
  };
  PyType_Spec spec = {"kv_storage.Map", sizeof(Instance<Collection>), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_MAPPING, slots};
  state.map_type = add_type(module, spec, state.collection_type.get());
  register_abc(state.map_type.get(), "MutableMapping");
}

}  // namespace kv::py
