// Set: ordered unique members. Operators make built-in sets, as those of dict views do; the in-place ones change the
// Set itself, in steps.

#include <unordered_set>

#include "args.hpp"
#include "bind.hpp"
#include "collection_methods.hpp"
#include "mapping.hpp"
#include "matches.hpp"
#include "ordered_codec.hpp"
#include "ordered_methods.hpp"
#include "text.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

using EncodedSet = std::unordered_set<std::string>;

[[nodiscard]] bool is_set(PyObject* self, PyObject* other) noexcept {
  return Py_TYPE(other) == reinterpret_cast<PyTypeObject*>(state_of(self).set_type.get());
}

[[nodiscard]] std::string encoded(PyObject* self, PyObject* member) {
  return std::string(bytes_of(encode_ordered_key(state_of(self), member).get()));
}

template <class Visit>
void for_each_item(PyObject* iterable, Visit&& visit) {
  Ref iterator = checked(PyObject_GetIter(iterable));
  while (Ref item = Ref::steal(PyIter_Next(iterator.get()))) visit(item.get());
  if (PyErr_Occurred() != nullptr) throw PythonError{};
}

// The members of an iterable that could be members of a Set at all.
EncodedSet possible_members(PyObject* self, PyObject* iterable) {
  EncodedSet members;
  for_each_item(iterable, [&](PyObject* item) {
    try {
      members.insert(encoded(self, item));
    } catch (const PythonError&) {
      if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_OverflowError)) throw;
      PyErr_Clear();
    } catch (const Error&) {  // NaN
    }
  });
  return members;
}

// ---- One member ----

PyObject* add(PyObject* self, PyObject* member) {
  const std::string key = encoded(self, member);
  Ordered& core = open_ordered(self);
  in_core([&] { core.put(key, {}); });
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

// ---- Many members ----

void add_all(PyObject* self, PyObject* iterable) {
  Ordered& core = open_ordered(self);
  constexpr std::size_t kBatch = 4096;
  std::vector<Ref> members;
  const auto flush = [&] {
    std::vector<ByteView> keys;
    for (const Ref& member : members) keys.push_back(bytes_of(member.get()));
    in_core_detached([&] { core.put_many(keys, std::vector<Value>(keys.size())); });
    members.clear();
  };
  for_each_item(iterable, [&](PyObject* item) {
    members.push_back(encode_ordered_key(state_of(self), item));
    if (members.size() == kBatch) flush();
  });
  flush();
}

void keep_only(PyObject* self, const EncodedSet& members) {
  Ordered& core = open_ordered(self);
  in_core_detached([&] {
    Scan scan = core.scan({}, false);
    for (ScanPage page; scan.next(page);) {
      for (const ScanPage::Item& item : page.items) {
        const std::string key(page.key(item));
        if (!members.contains(key)) core.erase(key);
      }
    }
  });
}

PyObject* unite(PyObject* self, PyObject* other) {
  if (is_set(self, other)) {
    Ordered& core = open_ordered(self);
    const Ordered& from = open_ordered(other);
    in_core_detached([&] { core.unite(from); });
  } else {
    add_all(self, other);
  }
  return Py_NewRef(self);
}

PyObject* intersect(PyObject* self, PyObject* other) {
  if (is_set(self, other)) {
    Ordered& core = open_ordered(self);
    const Ordered& from = open_ordered(other);
    in_core_detached([&] { core.intersect(from); });
  } else {
    keep_only(self, possible_members(self, other));
  }
  return Py_NewRef(self);
}

PyObject* subtract(PyObject* self, PyObject* other) {
  Ordered& core = open_ordered(self);
  if (is_set(self, other)) {
    const Ordered& from = open_ordered(other);
    in_core_detached([&] { core.subtract(from); });
  } else {
    const EncodedSet members = possible_members(self, other);
    in_core_detached([&] {
      for (const std::string& key : members) core.erase(key);
    });
  }
  return Py_NewRef(self);
}

PyObject* symmetric_difference(PyObject* self, PyObject* other) {
  Ordered& core = open_ordered(self);
  if (is_set(self, other)) {
    const Ordered& from = open_ordered(other);
    in_core_detached([&] { core.symmetric_difference(from); });
  } else {
    EncodedSet members;
    for_each_item(other, [&](PyObject* item) { members.insert(encoded(self, item)); });
    in_core_detached([&] {
      for (const std::string& key : members) {
        if (!core.erase(key)) core.put(key, {});
      }
    });
  }
  return Py_NewRef(self);
}

PyObject* update(PyObject* self, PyObject* other) {
  (void)Ref::steal(unite(self, other));
  Py_RETURN_NONE;
}

std::uint64_t count_common(PyObject* self, PyObject* other) {
  const Ordered& core = open_ordered(self);
  if (is_set(self, other)) {
    const Ordered& with = open_ordered(other);
    return in_core_detached([&] { return core.intersection_count(with); });
  }
  const EncodedSet members = possible_members(self, other);
  return in_core_detached([&] {
    std::uint64_t common = 0;
    for (const std::string& key : members) common += core.contains(key) ? 1 : 0;
    return common;
  });
}

PyObject* intersection_count(PyObject* self, PyObject* other) {
  return PyLong_FromUnsignedLongLong(count_common(self, other));
}
PyObject* is_subset(PyObject* self, PyObject* other) {
  return PyBool_FromLong(count_common(self, other) == static_cast<std::uint64_t>(collection_length(self)));
}
PyObject* is_superset(PyObject* self, PyObject* other) {
  Ref members = checked(PySet_New(other));
  return PyBool_FromLong(count_common(self, members.get()) ==
                         static_cast<std::uint64_t>(PySet_GET_SIZE(members.get())));
}
PyObject* is_disjoint(PyObject* self, PyObject* other) { return PyBool_FromLong(count_common(self, other) == 0); }

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
    "add($self, member, /)\n--\n\n"
    "Add a member: int, float (no NaN), str, bytes, date or datetime, one type in a Set.\n\n"
    "Raises:\n    KindError: another type, or another than that of the members.";
constexpr char kUpdateDoc[] = "update($self, other, /)\n--\n\nAdd the members of an iterable, as |= does.";
constexpr char kCountDoc[] =
    "intersection_count($self, other, /)\n--\n\nHow many members are in `other`, too; with a Set nothing is built.";
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
    {"add", method<add>(), METH_O, kAddDoc},
    {"discard", method<discard>(), METH_O, "discard($self, member, /)\n--\n\nRemove a member if it is there."},
    {"remove", method<remove>(), METH_O, "remove($self, member, /)\n--\n\nRemove a member; MissingKeyError if absent."},
    {"pop", method<pop_end<false>>(), METH_NOARGS, "pop($self, /)\n--\n\nRemove the least member and return it."},
    {"popfirst", method<pop_end<false>>(), METH_NOARGS, "popfirst($self, /)\n--\n\nThe same as pop()."},
    {"poplast", method<pop_end<true>>(), METH_NOARGS, "poplast($self, /)\n--\n\nRemove the greatest and return it."},
    {"first", method<end_member<false>>(), METH_NOARGS, "first($self, /)\n--\n\nThe least member."},
    {"last", method<end_member<true>>(), METH_NOARGS, "last($self, /)\n--\n\nThe greatest member."},
    {"update", method<update>(), METH_O, kUpdateDoc},
    {"clear", method<collection_clear>(), METH_NOARGS, "clear($self, /)\n--\n\nRemove every member."},
    {"intersection_count", method<intersection_count>(), METH_O, kCountDoc},
    {"isdisjoint", method<is_disjoint>(), METH_O,
     "isdisjoint($self, other, /)\n--\n\nWhether no member is in `other`."},
    {"issubset", method<is_subset>(), METH_O, "issubset($self, other, /)\n--\n\nWhether all members are in `other`."},
    {"issuperset", method<is_superset>(), METH_O,
     "issuperset($self, other, /)\n--\n\nWhether it holds all of `other`."},
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
    for (const PyMethodDef& shared : ordered_methods()) methods.push_back(shared);
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
                                    "| & - ^ make built-in sets; |= &= -= ^= change the Set, in steps.")},
      {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
      {Py_tp_methods, all_methods().data()},
      {Py_tp_getset, all_properties()},
      {Py_tp_repr, slot<collection_represent>()},
      {Py_tp_iter, slot<collection_iterate>()},
      {Py_tp_hash, reinterpret_cast<void*>(&PyObject_HashNotImplemented)},
      {Py_sq_length, slot<collection_length>()},
      {Py_sq_contains, slot<collection_contains>()},
      {Py_nb_inplace_or, slot<unite>()},
      {Py_nb_inplace_and, slot<intersect>()},
      {Py_nb_inplace_subtract, slot<subtract>()},
      {Py_nb_inplace_xor, slot<symmetric_difference>()},
      {0, nullptr},
  };
  PyType_Spec spec = {"kv_storage.Set", sizeof(Instance<Collection>), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  state.set_type = add_type(module, spec);
  adopt_set_operations(state.set_type.get(), "KeysView", "MutableSet");
}

}  // namespace kv::py
