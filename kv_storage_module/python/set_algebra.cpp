#include "set_algebra.hpp"

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "args.hpp"
#include "bind.hpp"
#include "collection_methods.hpp"
#include "mapping.hpp"
#include "ordered_codec.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"

namespace kv::py {
namespace {

using EncodedSet = std::unordered_set<std::string>;

[[nodiscard]] bool is_set_of(ModuleState& state, PyObject* object) noexcept {
  return Py_TYPE(object) == reinterpret_cast<PyTypeObject*>(state.set_type.get());
}
[[nodiscard]] bool is_set(PyObject* self, PyObject* other) noexcept { return is_set_of(state_of(self), other); }

template <class Visit>
void for_each_item(PyObject* iterable, Visit&& visit) {
  Ref iterator = checked(PyObject_GetIter(iterable));
  while (Ref item = Ref::steal(PyIter_Next(iterator.get()))) visit(item.get());
  if (PyErr_Occurred() != nullptr) throw PythonError{};
}

// Calls visit(item, key) for what could be a member of the Set at all.
template <class Visit>
void for_each_candidate(PyObject* self, PyObject* iterable, Visit&& visit) {
  for_each_item(iterable, [&](PyObject* item) {
    KeyBytes key;
    if (collection_could_have(self, item, key)) visit(item, key.view());
  });
}

EncodedSet candidates(PyObject* self, PyObject* iterable) {
  EncodedSet keys;
  for_each_candidate(self, iterable, [&](PyObject*, ByteView key) { keys.emplace(key); });
  return keys;
}

// ---- In place ----

void add_all(PyObject* self, PyObject* iterable, std::uint64_t ttl_ms) {
  Ordered& core = open_ordered(self);
  constexpr std::size_t kBatch = 4096;
  std::vector<Ref> members;
  const auto flush = [&] {
    std::vector<ByteView> keys;
    keys.reserve(members.size());
    for (const Ref& member : members) keys.push_back(bytes_of(member.get()));
    in_core_detached([&] { core.add_many(keys, ttl_ms); });
    members.clear();
  };
  for_each_item(iterable, [&](PyObject* item) {
    members.push_back(encode_ordered_key(state_of(self), item));
    if (members.size() == kBatch) flush();
  });
  flush();
}

void unite(PyObject* self, PyObject* other, std::uint64_t ttl_ms) {
  if (!is_set(self, other) || ttl_ms != kNoTtl) return add_all(self, other, ttl_ms);
  Ordered& core = open_ordered(self);
  const Ordered& from = open_ordered(other);
  in_core_detached([&] { core.unite(from); });
}

// Calls visit(key) for every member, outside the interpreter.
template <class Visit>
void for_each_member(const Ordered& core, Visit&& visit) {
  Scan scan = core.scan({}, false);
  for (ScanPage page; scan.next(page);) {
    for (const ScanPage::Item& item : page.items) visit(std::string(page.key(item)));
  }
}

void intersect(PyObject* self, PyObject* other) {
  Ordered& core = open_ordered(self);
  if (is_set(self, other)) {
    const Ordered& with = open_ordered(other);
    in_core_detached([&] { core.intersect(with); });
    return;
  }
  const EncodedSet kept = candidates(self, other);
  in_core_detached([&] {
    for_each_member(core, [&](const std::string& key) {
      if (!kept.contains(key)) core.erase(key);
    });
  });
}

void subtract(PyObject* self, PyObject* other) {
  Ordered& core = open_ordered(self);
  if (is_set(self, other)) {
    const Ordered& without = open_ordered(other);
    in_core_detached([&] { core.subtract(without); });
    return;
  }
  const EncodedSet removed = candidates(self, other);
  in_core_detached([&] {
    for (const std::string& key : removed) core.erase(key);
  });
}

void symmetric_difference(PyObject* self, PyObject* other) {
  Ordered& core = open_ordered(self);
  if (is_set(self, other)) {
    const Ordered& with = open_ordered(other);
    in_core_detached([&] { core.symmetric_difference(with); });
    return;
  }
  EncodedSet members;
  for_each_item(other,
                [&](PyObject* item) { members.emplace(bytes_of(encode_ordered_key(state_of(self), item).get())); });
  in_core_detached([&] {
    for (const std::string& key : members) {
      if (!core.erase(key)) core.put(key, {});
    }
  });
}

// ---- Into built-in sets ----

void add_to(PyObject* built_in, PyObject* item) { check(PySet_Add(built_in, item)); }

void add_decoded(PyObject* self, PyObject* built_in, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) add_to(built_in, decode_ordered_key(state_of(self), key).get());
}

Ref common(PyObject* self, PyObject* other) {
  const Ordered& core = open_ordered(self);
  Ref made = checked(PySet_New(nullptr));
  if (is_set(self, other)) {
    const Ordered& with = open_ordered(other);
    std::vector<std::string> keys;
    in_core_detached([&] { core.for_each_common(with, [&](ByteView key) { keys.emplace_back(key); }); });
    add_decoded(self, made.get(), keys);
    return made;
  }
  for_each_candidate(self, other, [&](PyObject* item, ByteView key) {
    if (in_core([&] { return core.contains(key); })) add_to(made.get(), item);
  });
  return made;
}

// The members that are not in `other`.
Ref only_here(PyObject* self, PyObject* other) {
  const Ordered& core = open_ordered(self);
  std::vector<std::string> keys;
  if (is_set(self, other)) {
    const Ordered& without = open_ordered(other);
    in_core_detached([&] { core.for_each_only_here(without, [&](ByteView key) { keys.emplace_back(key); }); });
  } else {
    const EncodedSet removed = candidates(self, other);
    in_core_detached([&] {
      for_each_member(core, [&](std::string key) {
        if (!removed.contains(key)) keys.push_back(std::move(key));
      });
    });
  }
  Ref made = checked(PySet_New(nullptr));
  add_decoded(self, made.get(), keys);
  return made;
}

// The items of `other` that are no members.
Ref only_there(PyObject* self, PyObject* other) {
  Ref made = checked(PySet_New(nullptr));
  for_each_item(other, [&](PyObject* item) {
    const int present = collection_contains(self, item);
    check(present);
    if (present == 0) add_to(made.get(), item);
  });
  return made;
}

Ref in_either(PyObject* self, PyObject* other) {
  Ref made = checked(PySet_New(self));
  for_each_item(other, [&](PyObject* item) { add_to(made.get(), item); });
  return made;
}

Ref in_one(PyObject* self, PyObject* other) {
  Ref items = checked(PySet_New(other));  // an iterator can be walked but once
  Ref made = only_here(self, is_set(self, other) ? other : items.get());
  for_each_item(only_there(self, items.get()).get(), [&](PyObject* item) { add_to(made.get(), item); });
  return made;
}

// Which side of an operator is the Set: the left one if both are.
[[nodiscard]] bool is_left(PyObject* left) noexcept {
  ModuleState* state = current_state();
  return state != nullptr && is_set_of(*state, left);
}

[[nodiscard]] bool is_iterable(PyObject* object) noexcept {
  return Py_TYPE(object)->tp_iter != nullptr || PySequence_Check(object) == 1;
}

template <class Combine>
PyObject* combine(PyObject* left, PyObject* right, Combine&& with) {
  PyObject* self = is_left(left) ? left : right;
  PyObject* other = is_left(left) ? right : left;
  if (!is_iterable(other)) Py_RETURN_NOTIMPLEMENTED;
  return with(self, other).release();
}

// ---- Counting ----

// How many different ones of `other` are members.
std::uint64_t count_common(PyObject* self, PyObject* other) {
  const Ordered& core = open_ordered(self);
  if (is_set(self, other)) {
    const Ordered& with = open_ordered(other);
    return in_core_detached([&] { return core.intersection_count(with); });
  }
  const EncodedSet keys = candidates(self, other);
  return in_core_detached([&] {
    std::uint64_t present = 0;
    for (const std::string& key : keys) present += core.contains(key) ? 1 : 0;
    return present;
  });
}

[[nodiscard]] std::uint64_t size_of(PyObject* object) {
  const Py_ssize_t size = PyObject_Size(object);
  if (size < 0) throw PythonError{};
  return static_cast<std::uint64_t>(size);
}

PyObject* intersection_count(PyObject* self, PyObject* other) {
  return PyLong_FromUnsignedLongLong(count_common(self, other));
}
PyObject* is_subset(PyObject* self, PyObject* other) {
  return PyBool_FromLong(count_common(self, other) == size_of(self));
}
PyObject* is_superset(PyObject* self, PyObject* other) {
  if (is_set(self, other)) return PyBool_FromLong(count_common(self, other) == size_of(other));
  Ref items = checked(PySet_New(other));
  return PyBool_FromLong(count_common(self, items.get()) == size_of(items.get()));
}
PyObject* is_disjoint(PyObject* self, PyObject* other) { return PyBool_FromLong(count_common(self, other) == 0); }

// ---- Methods ----

// The keyword argument `ttl`, the only one there is.
PyObject* ttl_keyword(PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  const Py_ssize_t given = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t i = 0; i < given; ++i) {
    PyObject* name = PyTuple_GET_ITEM(keywords, i);
    if (PyUnicode_CompareWithASCIIString(name, "ttl") != 0) {
      PyErr_Format(PyExc_TypeError, "update() got an unexpected keyword argument '%U'", name);
      throw PythonError{};
    }
  }
  return given == 0 ? nullptr : args[count];
}

PyObject* update(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  const std::uint64_t ttl_ms = ttl_argument(state_of(self), ttl_keyword(args, count, keywords));
  for (PyObject* other : std::span(args, static_cast<std::size_t>(count))) unite(self, other, ttl_ms);
  Py_RETURN_NONE;
}

template <auto Change>
PyObject* change_by_each(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  for (PyObject* other : std::span(args, static_cast<std::size_t>(count))) Change(self, other);
  Py_RETURN_NONE;
}

PyObject* symmetric_difference_update(PyObject* self, PyObject* other) {
  symmetric_difference(self, other);
  Py_RETURN_NONE;
}

PyObject* copy(PyObject* self, PyObject*) { return PySet_New(self); }

// union(), intersection(), difference(): the first by `combine_first`, all others by the built-in set's method.
template <auto CombineFirst>
PyObject* combine_all(PyObject* self, const char* method, PyObject* const* args, Py_ssize_t count) {
  if (count == 0) return copy(self, nullptr);
  Ref made = CombineFirst(self, args[0]);
  Ref change = attribute(made.get(), method);
  for (PyObject* other : std::span(args, static_cast<std::size_t>(count)).subspan(1)) {
    (void)checked(PyObject_CallOneArg(change.get(), other));
  }
  return made.release();
}

PyObject* set_union(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return combine_all<in_either>(self, "update", args, count);
}
PyObject* intersection(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return combine_all<common>(self, "intersection_update", args, count);
}
PyObject* difference(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return combine_all<only_here>(self, "difference_update", args, count);
}
PyObject* symmetric_difference_with(PyObject* self, PyObject* other) { return in_one(self, other).release(); }

constexpr char kUpdateDoc[] =
    "update($self, /, *others, ttl=None)\n--\n\n"
    "Add the members of iterables, for so many seconds if there is a ttl, else for good, as |= does.";
constexpr char kIntersectionUpdateDoc[] =
    "intersection_update($self, /, *others)\n--\n\nRemove the members that are not in all others, as &= does.";
constexpr char kDifferenceUpdateDoc[] =
    "difference_update($self, /, *others)\n--\n\nRemove the members that are in any other, as -= does.";
constexpr char kSymmetricUpdateDoc[] =
    "symmetric_difference_update($self, other, /)\n--\n\n"
    "Remove the members that are in `other`, and add what is only there, as ^= does.";
constexpr char kUnionDoc[] = "union($self, /, *others)\n--\n\nA built-in set of what is here or in any other.";
constexpr char kIntersectionDoc[] =
    "intersection($self, /, *others)\n--\n\nA built-in set of what is here and in all others.";
constexpr char kDifferenceDoc[] =
    "difference($self, /, *others)\n--\n\nA built-in set of what is here and in no other.";
constexpr char kSymmetricDoc[] =
    "symmetric_difference($self, other, /)\n--\n\nA built-in set of what is either here or in `other`.";
constexpr char kCountDoc[] =
    "intersection_count($self, other, /)\n--\n\nHow many members are in `other`, too; with a Set nothing is built.";

const PyMethodDef methods[] = {
    {"update", method<update>(), METH_FASTCALL | METH_KEYWORDS, kUpdateDoc},
    {"intersection_update", method<change_by_each<intersect>>(), METH_FASTCALL, kIntersectionUpdateDoc},
    {"difference_update", method<change_by_each<subtract>>(), METH_FASTCALL, kDifferenceUpdateDoc},
    {"symmetric_difference_update", method<symmetric_difference_update>(), METH_O, kSymmetricUpdateDoc},
    {"union", method<set_union>(), METH_FASTCALL, kUnionDoc},
    {"intersection", method<intersection>(), METH_FASTCALL, kIntersectionDoc},
    {"difference", method<difference>(), METH_FASTCALL, kDifferenceDoc},
    {"symmetric_difference", method<symmetric_difference_with>(), METH_O, kSymmetricDoc},
    {"copy", method<copy>(), METH_NOARGS, "copy($self, /)\n--\n\nA built-in set of the members."},
    {"intersection_count", method<intersection_count>(), METH_O, kCountDoc},
    {"isdisjoint", method<is_disjoint>(), METH_O,
     "isdisjoint($self, other, /)\n--\n\nWhether no member is in `other`."},
    {"issubset", method<is_subset>(), METH_O, "issubset($self, other, /)\n--\n\nWhether all members are in `other`."},
    {"issuperset", method<is_superset>(), METH_O,
     "issuperset($self, other, /)\n--\n\nWhether it holds all of `other`."},
};

}  // namespace

PyObject* set_unite(PyObject* self, PyObject* other) { return unite(self, other, kNoTtl), Py_NewRef(self); }
PyObject* set_intersect(PyObject* self, PyObject* other) { return intersect(self, other), Py_NewRef(self); }
PyObject* set_subtract(PyObject* self, PyObject* other) { return subtract(self, other), Py_NewRef(self); }
PyObject* set_symmetric_difference(PyObject* self, PyObject* other) {
  return symmetric_difference(self, other), Py_NewRef(self);
}

PyObject* set_or(PyObject* left, PyObject* right) { return combine(left, right, in_either); }
PyObject* set_and(PyObject* left, PyObject* right) { return combine(left, right, common); }
PyObject* set_xor(PyObject* left, PyObject* right) { return combine(left, right, in_one); }
PyObject* set_minus(PyObject* left, PyObject* right) {
  return is_left(left) ? combine(left, right, only_here) : combine(left, right, only_there);
}

PyObject* set_compare(PyObject* self, PyObject* other, int operation) {
  if (!is_set(self, other) && PyAnySet_Check(other) == 0 && !is_instance_of_abc(other, "Set")) Py_RETURN_NOTIMPLEMENTED;
  const std::uint64_t mine = size_of(self), others = size_of(other), both = count_common(self, other);
  switch (operation) {
    case Py_EQ:
      return PyBool_FromLong(both == mine && both == others);
    case Py_NE:
      return PyBool_FromLong(both != mine || both != others);
    case Py_LE:
      return PyBool_FromLong(both == mine);
    case Py_LT:
      return PyBool_FromLong(both == mine && both != others);
    case Py_GE:
      return PyBool_FromLong(both == others);
    default:
      return PyBool_FromLong(both == others && both != mine);
  }
}

std::span<const PyMethodDef> set_algebra_methods() noexcept { return methods; }

}  // namespace kv::py
