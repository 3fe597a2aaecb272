// Set: ordered unique members, one at a time. Many at once, and other sets, are in set_algebra.cpp.

#include "args.hpp"
#include "bind.hpp"
#include "collection_methods.hpp"
#include "hash_methods.hpp"
#include "matches.hpp"
#include "ordered_codec.hpp"
#include "ordered_methods.hpp"
#include "set_algebra.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

[[nodiscard]] std::string encoded(PyObject* self, PyObject* member) {
  return std::string(bytes_of(encode_ordered_key(state_of(self), member).get()));
}

// ---- One member ----

constexpr Signature<2> kAdd = {"add", {"", "ttl"}, 1};

PyObject* add(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kAdd.parse(args, count, keywords, given)) return nullptr;
  const std::string key = encoded(self, given[0]);
  const std::uint64_t ttl_ms = ttl_argument(state_of(self), given[1]);
  Ordered& core = open_ordered(self);
  in_core([&] { core.add(key, ttl_ms); });
  Py_RETURN_NONE;
}

bool erase_member(PyObject* self, PyObject* member) {
  const std::string key = encoded(self, member);
  Ordered& core = open_ordered(self);
  return in_core([&] { return core.erase(key); });
}

PyObject* discard(PyObject* self, PyObject* member) {
  erase_member(self, member);
  Py_RETURN_NONE;
}

PyObject* remove(PyObject* self, PyObject* member) {
  if (erase_member(self, member)) Py_RETURN_NONE;
  set_missing_key(state_of(self), member);
  return nullptr;
}

template <bool kLast>
PyObject* pop_end(PyObject* self, PyObject*) {
  Ordered& core = open_ordered(self);
  std::string key;
  ValueBuffer buffer;
  if (!in_core([&] { return kLast ? core.take_last(key, buffer) : core.take_first(key, buffer); })) {
    fail(state_of(self), ErrorClass::kMissingKey, "pop(): the set is empty");
  }
  return decode_ordered_key(state_of(self), key).release();
}

template <bool kLast>
PyObject* end_member(PyObject* self, PyObject*) {
  const Ordered& core = open_ordered(self);
  const auto key = in_core([&] { return kLast ? core.select_back(0) : core.select(0); });
  if (!key) fail(state_of(self), ErrorClass::kMissingKey, "%s(): the set is empty", kLast ? "last" : "first");
  return decode_ordered_key(state_of(self), *key).release();
}

// ---- Parts of the set: a live view of the members ----

PyObject* keys_of(PyObject* matches) {
  Ref owner = checked(matches);
  return checked(PyObject_CallMethod(owner.get(), "keys", nullptr)).release();
}
PyObject* find(PyObject* self, PyObject* pattern) { return keys_of(collection_find(self, pattern)); }
PyObject* prefix(PyObject* self, PyObject* text) { return keys_of(collection_prefix(self, text)); }
PyObject* range(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  return keys_of(collection_range(self, args, count, keywords));
}

PyObject* to_numpy(PyObject* self, PyObject*) { return ordered_keys_array(self, {}).release(); }

void destroy(PyObject* self) noexcept { deallocate<Collection>(self); }

constexpr char kAddDoc[] =
    "add($self, member, /, ttl=None)\n--\n\n"
    "Add a member: int, float (no NaN), str, bytes, date or datetime, one type in a Set.\n\n"
    "`ttl`: seconds after which it is absent; None: it stays, also if it had a ttl before.\n\n"
    "Raises:\n"
    "    KindError: another type, or another than that of the members.\n"
    "    ArgumentError: the ttl is no number greater than 0, or absurdly large.";
constexpr char kExpireDoc[] =
    "expire($self, /, key, seconds)\n--\n\n"
    "Let a member be absent after so many seconds from now, whatever ttl it had. Returns whether it was there.";
constexpr char kPersistDoc[] =
    "persist($self, key, /)\n--\n\nTake a member's ttl away, so that it stays. Returns whether it had one.";
constexpr char kTtlDoc[] =
    "ttl($self, key, /)\n--\n\n"
    "The seconds after which a member will be absent, or None if it stays. Raises MissingKeyError.";
constexpr char kRangeDoc[] =
    "range($self, /, start=None, stop=None)\n--\n\n"
    "The members with start <= member < stop, as a live view: iterate it, take len() of it, or slice it by position.";
constexpr char kFindDoc[] =
    "find($self, pattern, /)\n--\n\nA live view of the members (str) that match a glob, as fnmatch.fnmatchcase() does.";
constexpr char kPrefixDoc[] = "prefix($self, text, /)\n--\n\nA live view of the members that begin with `text`.";
constexpr char kToNumpyDoc[] =
    "to_numpy($self, /)\n--\n\n"
    "The members as an array, in order: int64, float64, datetime64[D] or datetime64[us]. KindError for str and bytes.";

const PyMethodDef own_methods[] = {
    {"add", method<add>(), METH_FASTCALL | METH_KEYWORDS, kAddDoc},
    {"expire", method<hash_expire>(), METH_FASTCALL | METH_KEYWORDS, kExpireDoc},
    {"persist", method<hash_persist>(), METH_O, kPersistDoc},
    {"ttl", method<hash_ttl>(), METH_O, kTtlDoc},
    {"discard", method<discard>(), METH_O, "discard($self, member, /)\n--\n\nRemove a member if it is there."},
    {"remove", method<remove>(), METH_O, "remove($self, member, /)\n--\n\nRemove a member; MissingKeyError if absent."},
    {"pop", method<pop_end<false>>(), METH_NOARGS, "pop($self, /)\n--\n\nRemove the least member and return it."},
    {"popfirst", method<pop_end<false>>(), METH_NOARGS, "popfirst($self, /)\n--\n\nThe same as pop()."},
    {"poplast", method<pop_end<true>>(), METH_NOARGS, "poplast($self, /)\n--\n\nRemove the greatest and return it."},
    {"first", method<end_member<false>>(), METH_NOARGS, "first($self, /)\n--\n\nThe least member."},
    {"last", method<end_member<true>>(), METH_NOARGS, "last($self, /)\n--\n\nThe greatest member."},
    {"clear", method<collection_clear>(), METH_NOARGS, "clear($self, /)\n--\n\nRemove every member."},
    {"range", method<range>(), METH_FASTCALL | METH_KEYWORDS, kRangeDoc},
    {"find", method<find>(), METH_O, kFindDoc},
    {"prefix", method<prefix>(), METH_O, kPrefixDoc},
    {"to_numpy", method<to_numpy>(), METH_NOARGS, kToNumpyDoc},
    {"__reversed__", method<collection_iterate_reversed>(), METH_NOARGS,
     "__reversed__($self, /)\n--\n\nAn iterator over the members, greatest first."},
    {"__reduce__", method<collection_reduce>(), METH_NOARGS, "__reduce__($self, /)\n--\n\nHandles pickle by name."},
};

std::vector<PyMethodDef>& all_methods() {
  static std::vector<PyMethodDef> all = [] {
    std::vector<PyMethodDef> methods(std::begin(own_methods), std::end(own_methods));
    for (const auto shared : {set_algebra_methods(), ordered_methods()}) {
      methods.insert(methods.end(), shared.begin(), shared.end());
    }
    methods.push_back({nullptr, nullptr, 0, nullptr});
    return methods;
  }();
  return all;
}

PyGetSetDef* all_properties() {
  static PyGetSetDef all[] = {
      {"name", &Guarded<collection_name>::call, nullptr, "The collection's name.", nullptr},
      ordered_properties()[0],
      {nullptr, nullptr, nullptr, nullptr, nullptr},
  };
  return all;
}

}  // namespace

void bind_set(PyObject* module, ModuleState& state) {
  PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("Unique members of one type, in their order.\n\n"
                                    "A MutableSet that lives outside the interpreter: made by Storage.set(name).\n"
                                    "| & - ^ make built-in sets; |= &= -= ^= change the Set, in steps.\n"
                                    "Members can have a ttl.")},
      {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
      {Py_tp_methods, all_methods().data()},
      {Py_tp_getset, all_properties()},
      {Py_tp_repr, slot<collection_represent>()},
      {Py_tp_iter, slot<collection_iterate>()},
      {Py_tp_hash, reinterpret_cast<void*>(&PyObject_HashNotImplemented)},
      {Py_sq_length, slot<collection_length>()},
      {Py_sq_contains, slot<collection_contains>()},
      {Py_tp_richcompare, slot<set_compare>()},
      {Py_nb_or, slot<set_or>()},
      {Py_nb_and, slot<set_and>()},
      {Py_nb_subtract, slot<set_minus>()},
      {Py_nb_xor, slot<set_xor>()},
      {Py_nb_inplace_or, slot<set_unite>()},
      {Py_nb_inplace_and, slot<set_intersect>()},
      {Py_nb_inplace_subtract, slot<set_subtract>()},
      {Py_nb_inplace_xor, slot<set_symmetric_difference>()},
      {0, nullptr},
  };
  PyType_Spec spec = {"kv_storage.Set", sizeof(Instance<Collection>), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  state.set_type = add_type(module, spec);
  register_abc(state.set_type.get(), "MutableSet");
}

}  // namespace kv::py
