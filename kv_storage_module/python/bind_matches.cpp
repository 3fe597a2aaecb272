// Matches and its views: a live, lazy, read-only mapping in key order. Nothing is kept but the question; each use asks
// it again.

#include "args.hpp"
#include "bind.hpp"
#include "mapping.hpp"
#include "matches.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

Ref make(ModuleState& state, Matches matches) {
  return make_instance(state, state.matches_type.get(), std::move(matches));
}

Matches copy_of(const Matches& matches) {
  return {new_reference(matches.collection.get()),
          matches.range,
          matches.description,
          matches.reverse,
          matches.offset,
          matches.limit};
}

std::uint64_t count(const Matches& matches) {
  const bool unbounded = matches.page_is_short() && !matches.range.start && !matches.range.stop;
  return with_core(matches.collection.get(), [&](auto& core) -> std::uint64_t {
    if (unbounded) return in_core([&] { return core.size(); });
    return in_core_detached([&] { return core.count(matches.range); });
  });
}

Py_ssize_t length(PyObject* self) {
  const Matches& matches = fields<Matches>(self);
  if (matches.limit == 0) return 0;
  const std::optional<std::uint64_t> ahead = count_ahead(self);
  const std::uint64_t all = ahead ? *ahead : count(matches);
  const std::uint64_t after_offset = all > matches.offset ? all - matches.offset : 0;
  return static_cast<Py_ssize_t>(after_offset < matches.limit ? after_offset : matches.limit);
}

int is_nonempty(PyObject* self) {
  bool any = false;
  visit_entries(fields<Matches>(self), false, [&](const ScanPage&, const ScanPage::Item&) {
    any = true;
    return false;
  });
  return any ? 1 : 0;
}

// The range of one key, if it lies within `range`: whether it matches is then a count of 0 or 1.
KeyRange only(const KeyRange& range, ByteView key) {
  KeyRange one = range;
  std::string after(key);
  after.push_back('\0');
  if (!one.start || *one.start < key) one.start = std::string(key);
  if (!one.stop || *one.stop > after) one.stop = std::move(after);
  return one;
}

bool holds(const Matches& matches, ByteView key) {
  if (!matches.sliced()) {
    const KeyRange one = only(matches.range, key);
    return with_core(matches.collection.get(), [&](auto& core) { return in_core([&] { return core.count(one); }); }) !=
           0;
  }
  bool found = false;
  visit_entries(matches, false, [&](const ScanPage& page, const ScanPage::Item& item) {
    found = page.key(item) == key;
    return !found;
  });
  return found;
}

int contains(PyObject* self, PyObject* key) {
  KeyBytes bytes;
  if (!bytes.assign_in(fields<Matches>(self).collection.get(), key)) return -1;
  return holds(fields<Matches>(self), bytes.view()) ? 1 : 0;
}

// Empty if the key is not among the matches.
Ref lookup(PyObject* self, PyObject* key) {
  const Matches& matches = fields<Matches>(self);
  KeyBytes bytes;
  if (!bytes.assign_in(fields<Matches>(self).collection.get(), key)) throw PythonError{};
  return holds(matches, bytes.view()) ? read_value(matches.collection.get(), bytes.view()) : Ref();
}

// A bound of a slice: None, or a number from 0 up, since counting from the end would visit everything first.
std::uint64_t slice_bound(ModuleState& state, PyObject* bound, std::uint64_t none) {
  if (bound == Py_None) return none;
  const Py_ssize_t index = PyNumber_AsSsize_t(bound, PyExc_OverflowError);
  if (index == -1 && PyErr_Occurred() != nullptr) throw PythonError{};
  if (index < 0)
    fail(state, ErrorClass::kArgument, "matches are sliced from the front: for the last ten, m[::-1][:10]");
  return static_cast<std::uint64_t>(index);
}

// Of a Map or Set: positions become keys now, so that the slice is a range like any other.
Matches slice_by_rank(PyObject* self, PyObject* slice) {
  const Matches& matches = fields<Matches>(self);
  Py_ssize_t start = 0, stop = 0, step = 0;
  check(PySlice_Unpack(slice, &start, &stop, &step));
  const Py_ssize_t size = length(self);
  PySlice_AdjustIndices(size, &start, &stop, step);
  stop = std::max(start, stop);
  const Ordered& core = open_ordered(matches.collection.get());
  Matches made = copy_of(matches);
  const auto first = static_cast<std::uint64_t>(matches.reverse ? size - stop : start);
  const auto last = static_cast<std::uint64_t>(matches.reverse ? size - start : stop);
  made.range = in_core([&] { return core.slice(matches.range, first, last); });
  made.description += "[:]";
  return made;
}

Ref slice_of(PyObject* self, PyObject* slice) {
  ModuleState& state = state_of(self);
  const Matches& matches = fields<Matches>(self);
  const auto& parts = *reinterpret_cast<PySliceObject*>(slice);
  Matches made = copy_of(matches);
  const Py_ssize_t step = parts.step == Py_None ? 1 : PyNumber_AsSsize_t(parts.step, PyExc_OverflowError);
  if (step == -1 && PyErr_Occurred() != nullptr) throw PythonError{};
  if (step == -1 && parts.start == Py_None && parts.stop == Py_None && !matches.sliced()) {
    made.reverse = !made.reverse;
    made.description += "[::-1]";
    return make(state, std::move(made));
  }
  if (step != 1)
    fail(state, ErrorClass::kArgument, "matches take m[i:j] and, before that, m[::-1]; use list(m) for other slices");
  if (is_ordered(matches.collection.get()) && matches.range.glob == nullptr) {
    return make(state, slice_by_rank(self, slice));
  }
  const std::uint64_t start = slice_bound(state, parts.start, 0);
  const std::uint64_t stop = slice_bound(state, parts.stop, Matches::kNoLimit);
  const std::uint64_t left =
      matches.limit == Matches::kNoLimit ? Matches::kNoLimit : matches.limit - std::min(start, matches.limit);
  const std::uint64_t wanted = stop == Matches::kNoLimit ? Matches::kNoLimit : stop - std::min(start, stop);
  made.offset += start;
  made.limit = std::min(left, wanted);
  made.description += "[:]";
  return make(state, std::move(made));
}

PyObject* subscript(PyObject* self, PyObject* key) {
  if (PySlice_Check(key)) return slice_of(self, key).release();
  if (Ref value = lookup(self, key)) return value.release();
  set_missing_key(state_of(self), key);
  return nullptr;
}

constexpr Signature<2> kGet = {"get", {"key", "default"}, 1};

PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kGet.parse(args, count, keywords, given)) return nullptr;
  if (Ref value = lookup(self, given[0])) return value.release();
  return Py_NewRef(given[1] == nullptr ? Py_None : given[1]);
}

PyObject* remove(PyObject* self, PyObject*) {
  const Matches& matches = fields<Matches>(self);
  PyObject* collection = matches.collection.get();
  std::uint64_t removed = 0;
  if (!matches.sliced()) {
    removed = with_core(collection,
                        [&](auto& core) { return in_core_detached([&] { return core.erase_range(matches.range); }); });
  } else {
    visit_entries(matches, false, [&](const ScanPage& page, const ScanPage::Item& item) {
      removed += with_core(collection, [&](auto& core) { return in_core([&] { return core.erase(page.key(item)); }); })
                     ? 1
                     : 0;
      return true;
    });
  }
  return PyLong_FromUnsignedLongLong(removed);
}

PyObject* iterate(PyObject* self) { return make_iterator(self, Part::kKeys).release(); }

// Backwards through the store; a slice is turned round after it is taken.
Ref reversed(PyObject* self, Part part) {
  ModuleState& state = state_of(self);
  const Matches& matches = fields<Matches>(self);
  if (!matches.sliced()) {
    Matches backwards = copy_of(matches);
    backwards.reverse = !backwards.reverse;
    return make_iterator(make(state, std::move(backwards)).get(), part);
  }
  Ref list = checked(PySequence_List(make_iterator(self, part).get()));
  check(PyList_Reverse(list.get()));
  return checked(PyObject_GetIter(list.get()));
}

PyObject* iterate_reversed(PyObject* self, PyObject*) { return reversed(self, Part::kKeys).release(); }

PyObject* represent(PyObject* self) {
  const Matches& matches = fields<Matches>(self);
  Ref text = key_object(matches.description);
  return PyUnicode_FromFormat("<kv_storage.Matches %U of %R>", text.get(), matches.collection.get());
}

// ---- Views: keys(), values(), items() ----

struct MatchesView {
  Ref matches;
};

PyObject* owner(PyObject* view) noexcept { return fields<MatchesView>(view).matches.get(); }

Ref make_part(PyObject* matches, const Ref& type) {
  return make_instance(state_of(matches), type.get(), MatchesView{new_reference(matches)});
}
PyObject* keys(PyObject* self, PyObject*) { return make_part(self, state_of(self).keys_view_type).release(); }
PyObject* values(PyObject* self, PyObject*) { return make_part(self, state_of(self).values_view_type).release(); }
PyObject* items(PyObject* self, PyObject*) { return make_part(self, state_of(self).items_view_type).release(); }

Py_ssize_t view_length(PyObject* self) { return length(owner(self)); }

template <Part kPart>
PyObject* view_iterate(PyObject* self) {
  return make_iterator(owner(self), kPart).release();
}
template <Part kPart>
PyObject* view_reversed(PyObject* self, PyObject*) {
  return reversed(owner(self), kPart).release();
}

int keys_contain(PyObject* self, PyObject* key) { return contains(owner(self), key); }

int items_contain(PyObject* self, PyObject* item) {
  if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) return 0;
  Ref value = lookup(owner(self), PyTuple_GET_ITEM(item, 0));
  return value ? PyObject_RichCompareBool(value.get(), PyTuple_GET_ITEM(item, 1), Py_EQ) : 0;
}

PyObject* view_represent(PyObject* self) {
  return PyUnicode_FromFormat("<%s of %R>", Py_TYPE(self)->tp_name, owner(self));
}

// By position, of a Map or Set only: one element, or a list of them.
template <Part kPart>
PyObject* view_subscript(PyObject* view, PyObject* place) {
  PyObject* matches = owner(view);
  ModuleState& state = state_of(view);
  if (!is_ordered(fields<Matches>(matches).collection.get())) {
    fail(state, ErrorClass::kKind, "the keys of a Hash have no positions: use list(), or a Map");
  }
  if (PySlice_Check(place)) {
    const auto& parts = *reinterpret_cast<PySliceObject*>(place);
    if (parts.step == Py_None) return PySequence_List(make_iterator(slice_of(matches, place).get(), kPart).get());
    Ref all = checked(PySequence_List(make_iterator(matches, kPart).get()));
    return PyObject_GetItem(all.get(), place);
  }
  Py_ssize_t index = PyNumber_AsSsize_t(place, PyExc_IndexError);
  if (index == -1 && PyErr_Occurred() != nullptr) return nullptr;
  if (index < 0) index += length(matches);
  Ref from = checked(PyLong_FromSsize_t(index)), to = checked(PyLong_FromSsize_t(index + 1));
  Ref one = checked(PySlice_New(from.get(), to.get(), nullptr));
  if (index >= 0) {
    Ref iterator = make_iterator(slice_of(matches, one.get()).get(), kPart);
    if (PyObject* element = PyIter_Next(iterator.get())) return element;
    if (PyErr_Occurred() != nullptr) return nullptr;
  }
  PyErr_SetString(PyExc_IndexError, "there is no element at this position");
  return nullptr;
}

template <Part kPart>
PyMethodDef view_methods[] = {
    {"__reversed__", method<view_reversed<kPart>>(), METH_NOARGS,
     "__reversed__($self, /)\n--\n\nAn iterator in reverse key order."},
    {nullptr, nullptr, 0, nullptr},
};

template <Part kPart>
PyType_Slot view_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate<MatchesView>)},
    {Py_tp_methods, view_methods<kPart>},
    {Py_tp_repr, slot<view_represent>()},
    {Py_tp_iter, slot<view_iterate<kPart>>()},
    {Py_mp_length, slot<view_length>()},
    {Py_mp_subscript, slot<view_subscript<kPart>>()},
    {kPart == Part::kValues ? 0 : Py_sq_contains, kPart == Part::kKeys ? slot<keys_contain>() : slot<items_contain>()},
    {0, nullptr},
};

template <Part kPart>
Ref make_view_type(PyObject* module, const char* name) {
  PyType_Spec spec = {name, sizeof(Instance<MatchesView>), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                      view_slots<kPart>};
  return make_type(module, spec);
}

PyMethodDef methods[] = {
    {"get", method<get>(), METH_FASTCALL | METH_KEYWORDS,
     "get($self, /, key, default=None)\n--\n\nThe value of a key that is among the matches, else `default`."},
    {"keys", method<keys>(), METH_NOARGS, "keys($self, /)\n--\n\nThe keys, in order. No value is read."},
    {"values", method<values>(), METH_NOARGS, "values($self, /)\n--\n\nThe values, in the order of their keys."},
    {"items", method<items>(), METH_NOARGS, "items($self, /)\n--\n\nThe (key, value) pairs, in the order of the keys."},
    {"delete", method<remove>(), METH_NOARGS,
     "delete($self, /)\n--\n\nDelete all matches, in steps; others may write meanwhile. Returns how many."},
    {"column", method<matches_column>(), METH_O,
     "column($self, name, /)\n--\n\n"
     "One column of the matching records as an array in key order. A collection without schema is a TypeError."},
    {"codes", method<matches_codes>(), METH_O,
     "codes($self, name, /)\n--\n\nThe codes of a category column; categories(name) of the collection gives their "
     "texts."},
    {"to_numpy", method<matches_to_numpy>(), METH_NOARGS,
     "to_numpy($self, /)\n--\n\nThe matching records as a structured array in key order."},
    {"__reversed__", method<iterate_reversed>(), METH_NOARGS,
     "__reversed__($self, /)\n--\n\nAn iterator over the keys in reverse order."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("What find(), prefix() and range() return: a live, lazy, read-only mapping in key order.\n\n"
                       "Each iteration asks the store again. It is safe while others write: no key twice, and none is\n"
                       "missed that was there all along. m[:10] limits, m[::-1] reverses.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate<Matches>)},
    {Py_tp_methods, methods},
    {Py_tp_repr, slot<represent>()},
    {Py_tp_iter, slot<iterate>()},
    {Py_tp_richcompare, slot<compare_mappings>()},
    {Py_nb_bool, slot<is_nonempty>()},
    {Py_mp_length, slot<length>()},
    {Py_mp_subscript, slot<subscript>()},
    {Py_sq_contains, slot<contains>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Matches", sizeof(Instance<Matches>), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_MAPPING, slots};

}  // namespace

Ref make_matches(PyObject* collection, KeyRange range, std::string description) {
  (void)open_collection(collection);
  return make(state_of(collection), {new_reference(collection), std::move(range), std::move(description)});
}

void bind_matches(PyObject* module, ModuleState& state) {
  state.matches_type = add_type(module, spec);
  register_abc(state.matches_type.get(), "Mapping");
  state.keys_view_type = make_view_type<Part::kKeys>(module, "kv_storage.KeysView");
  state.values_view_type = make_view_type<Part::kValues>(module, "kv_storage.ValuesView");
  state.items_view_type = make_view_type<Part::kItems>(module, "kv_storage.ItemsView");
  adopt_set_operations(state.keys_view_type.get(), "KeysView", "KeysView");
  adopt_set_operations(state.items_view_type.get(), "ItemsView", "ItemsView");
  register_abc(state.values_view_type.get(), "ValuesView");
}

}  // namespace kv::py
