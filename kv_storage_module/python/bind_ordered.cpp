// Order statistics of Map and Set.

#include "bind.hpp"
#include "ordered_codec.hpp"
#include "ordered_methods.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

PyObject* rank(PyObject* self, PyObject* key) {
  Ref encoded = comparable_key(self, key);
  const Ordered& core = open_ordered(self);
  return PyLong_FromUnsignedLongLong(in_core([&] { return core.rank(bytes_of(encoded.get())); }));
}

PyObject* select(PyObject* self, PyObject* place) {
  const Py_ssize_t index = PyNumber_AsSsize_t(place, PyExc_IndexError);
  if (index == -1 && PyErr_Occurred() != nullptr) return nullptr;
  const Ordered& core = open_ordered(self);
  const auto key = in_core([&] {
    return index >= 0 ? core.select(static_cast<std::uint64_t>(index))
                      : core.select_back(static_cast<std::uint64_t>(-(index + 1)));
  });
  if (key) return decode_ordered_key(state_of(self), *key).release();
  PyErr_Format(PyExc_IndexError, "there is no key of rank %zd", index);
  return nullptr;
}

PyObject* key_or_none(PyObject* self, const std::optional<std::string>& key) {
  return key ? decode_ordered_key(state_of(self), *key).release() : Py_NewRef(Py_None);
}

PyObject* floor(PyObject* self, PyObject* key) {
  Ref encoded = comparable_key(self, key);
  const Ordered& core = open_ordered(self);
  return key_or_none(self, in_core([&] { return core.floor(bytes_of(encoded.get())); }));
}

PyObject* ceiling(PyObject* self, PyObject* key) {
  Ref encoded = comparable_key(self, key);
  const Ordered& core = open_ordered(self);
  return key_or_none(self, in_core([&] { return core.ceiling(bytes_of(encoded.get())); }));
}

PyObject* key_type(PyObject* self, void*) {
  const Ordered& core = open_ordered(self);
  const KeyType type = in_core([&] { return core.key_type(); });
  return type == KeyType::kUnknown ? Py_NewRef(Py_None) : PyUnicode_FromString(key_type_name(type));
}

constexpr char kRankDoc[] =
    "rank($self, key, /)\n--\n\nHow many keys are less than `key`, which need not be one of them.";
constexpr char kSelectDoc[] =
    "select($self, index, /)\n--\n\n"
    "The key with `index` keys before it; a negative index counts from the end. Raises IndexError.";
constexpr char kFloorDoc[] = "floor($self, key, /)\n--\n\nThe greatest key that is not greater than `key`, or None.";
constexpr char kCeilingDoc[] = "ceiling($self, key, /)\n--\n\nThe least key that is not less than `key`, or None.";

const PyMethodDef methods[] = {
    {"rank", method<rank>(), METH_O, kRankDoc},
    {"select", method<select>(), METH_O, kSelectDoc},
    {"floor", method<floor>(), METH_O, kFloorDoc},
    {"ceiling", method<ceiling>(), METH_O, kCeilingDoc},
};

PyGetSetDef properties[] = {
    {"key_type", &Guarded<key_type>::call, nullptr, "The name of the keys' type, or None before the first key.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

std::span<const PyMethodDef> ordered_methods() noexcept { return methods; }
PyGetSetDef* ordered_properties() noexcept { return properties; }

}  // namespace kv::py
