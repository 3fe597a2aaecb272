// List: a sequence that keeps each distinct value once. Reads, slices and operators make built-in lists.

#include "args.hpp"
#include "bind.hpp"
#include "list_fields.hpp"
#include "text.hpp"

namespace kv::py {

void bind_list_iterator(PyObject* module, ModuleState& state);  // list_iterator.cpp

namespace {

constexpr std::int64_t kFewItems = 256;  // read with the GIL held

Py_ssize_t length(PyObject* self) {
  const List& core = open_list(self);
  return static_cast<Py_ssize_t>(in_core([&] { return core.size(); }));
}

Ref read_items(PyObject* self, const ListSlice& slice) {
  const List& core = open_list(self);
  ListItems items;
  const std::uint64_t size = in_core([&] { return core.size(); });
  if (size <= kFewItems) {
    in_core([&] { core.read(slice, items); });
  } else {
    in_core_detached([&] { core.read(slice, items); });
  }
  return decode_items(state_of(self), items);
}

[[noreturn]] void out_of_range(const char* what) {
  PyErr_SetString(PyExc_IndexError, what);
  throw PythonError{};
}

// ---- Indices and slices ----

bool is_index(PyObject* key) {
  if (PyIndex_Check(key) != 0) return true;
  if (PySlice_Check(key)) return false;
  PyErr_Format(PyExc_TypeError, "list indices must be integers or slices, not %.200s", Py_TYPE(key)->tp_name);
  throw PythonError{};
}

Py_ssize_t index_of(PyObject* key) {
  const Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
  if (index == -1 && PyErr_Occurred() != nullptr) throw PythonError{};
  return index;
}

ListSlice slice_of(PyObject* key) {
  Py_ssize_t start = 0, stop = 0, step = 0;
  if (PySlice_Unpack(key, &start, &stop, &step) < 0) throw PythonError{};
  return {start, stop, step};
}

PyObject* item(PyObject* self, std::int64_t index) {
  const List& core = open_list(self);
  ValueBuffer buffer;
  if (!in_core([&] { return core.get(index, buffer); })) out_of_range("list index out of range");
  return decode_read(state_of(self), buffer);
}

// What PySequence_GetItem() calls, which has added the length to a negative index already.
PyObject* sequence_item(PyObject* self, Py_ssize_t index) {
  if (index < 0) out_of_range("list index out of range");
  return item(self, index);
}

PyObject* subscript(PyObject* self, PyObject* key) {
  if (is_index(key)) return item(self, index_of(key));
  return read_items(self, slice_of(key)).release();
}

void set_item(PyObject* self, std::int64_t index, PyObject* object) {
  List& core = open_list(self);
  Scratch scratch;
  const Value value = encode_value(state_of(self), object, scratch);
  if (!in_core([&] { return core.set(index, value); })) out_of_range("list assignment index out of range");
}

int assign_subscript(PyObject* self, PyObject* key, PyObject* object) {
  if (is_index(key)) {
    const Py_ssize_t index = index_of(key);
    if (object != nullptr) {
      set_item(self, index, object);
    } else {
      List& core = open_list(self);
      if (!in_core([&] { return core.erase(index); })) out_of_range("list assignment index out of range");
    }
    return 0;
  }
  const ListSlice slice = slice_of(key);
  List& core = open_list(self);
  if (object == nullptr) {
    in_core_detached([&] { core.erase(slice); });
    return 0;
  }
  if (Py_TYPE(object)->tp_iter == nullptr && PySequence_Check(object) == 0) {
    PyErr_SetString(PyExc_TypeError,
                    slice.step == 1 ? "can only assign an iterable" : "must assign iterable to extended slice");
    throw PythonError{};
  }
  with_all_values(self, object, [&](std::span<const Value> values) { core.assign(slice, values); });
  return 0;
}

int assign_sequence_item(PyObject* self, Py_ssize_t index, PyObject* object) {
  if (index < 0) out_of_range("list assignment index out of range");
  if (object != nullptr) {
    set_item(self, index, object);
    return 0;
  }
  List& core = open_list(self);
  if (!in_core([&] { return core.erase(index); })) out_of_range("list assignment index out of range");
  return 0;
}

// ---- Changing ----

PyObject* append(PyObject* self, PyObject* object) {
  List& core = open_list(self);
  Scratch scratch;
  const Value value = encode_value(state_of(self), object, scratch);
  in_core([&] { core.append(value); });
  Py_RETURN_NONE;
}

void extend_with(PyObject* self, PyObject* iterable) {
  List& core = open_list(self);
  for_each_batch(self, iterable, [&](std::span<const Value> values) { core.extend(values); });
}

PyObject* extend(PyObject* self, PyObject* iterable) {
  extend_with(self, iterable);
  Py_RETURN_NONE;
}

PyObject* concatenate_in_place(PyObject* self, PyObject* iterable) {
  extend_with(self, iterable);
  return Py_NewRef(self);
}

PyObject* insert(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) return PyErr_Format(PyExc_TypeError, "insert() takes 2 positional arguments, not %zd", count);
  Ref number = checked(PyNumber_Index(args[0]));
  const Py_ssize_t index = PyNumber_AsSsize_t(number.get(), nullptr);  // beyond any list is at its end
  List& core = open_list(self);
  Scratch scratch;
  const Value value = encode_value(state_of(self), args[1], scratch);
  in_core([&] { core.insert(index, value); });
  Py_RETURN_NONE;
}

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count > 1) return PyErr_Format(PyExc_TypeError, "pop() takes at most 1 positional argument, not %zd", count);
  const Py_ssize_t index = count == 0 ? -1 : index_of(args[0]);
  List& core = open_list(self);
  ValueBuffer buffer;
  if (in_core([&] { return core.take(index, buffer); })) return decode_read(state_of(self), buffer);
  out_of_range(length(self) == 0 ? "pop from empty list" : "pop index out of range");
}

PyObject* reverse(PyObject* self, PyObject*) {
  List& core = open_list(self);
  in_core_detached([&] { core.reverse(); });
  Py_RETURN_NONE;
}

PyObject* clear(PyObject* self, PyObject*) {
  List& core = open_list(self);
  in_core_detached([&] { core.clear(); });
  Py_RETURN_NONE;
}

constexpr Signature<2> kSort = {"sort", {"key", "reverse"}, 0, 0};

PyObject* sort(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kSort.parse(args, count, keywords, given)) return nullptr;
  Ref items = read_items(self, {});
  Ref options = checked(PyDict_New());
  if (given[0] != nullptr) check(PyDict_SetItemString(options.get(), "key", given[0]));
  if (given[1] != nullptr) check(PyDict_SetItemString(options.get(), "reverse", given[1]));
  Ref list_sort = attribute(items.get(), "sort");
  Ref nothing = checked(PyTuple_New(0));
  (void)checked(PyObject_Call(list_sort.get(), nothing.get(), options.get()));
  List& core = open_list(self);
  with_all_values(self, items.get(), [&](std::span<const Value> values) { core.assign({}, values); });
  Py_RETURN_NONE;
}

PyObject* repeat_in_place(PyObject* self, Py_ssize_t times) {
  List& core = open_list(self);
  if (times <= 0) {
    in_core_detached([&] { core.clear(); });
    return Py_NewRef(self);
  }
  in_core_detached([&] {
    ListItems items;
    core.read({}, items);
    const std::vector<Value> values = values_of(items);
    for (Py_ssize_t i = 1; i < times && !values.empty(); ++i) {
      check_signals_detached();
      core.extend(values);
    }
  });
  return Py_NewRef(self);
}

// ---- What makes a built-in list ----

PyObject* copy(PyObject* self, PyObject*) { return read_items(self, {}).release(); }

PyObject* repeat(PyObject* self, Py_ssize_t times) {
  Ref items = read_items(self, {});
  return PySequence_Repeat(items.get(), times);
}

// Of two operands, one of which is a List and the other a list of either kind; empty if it is not.
Ref built_in(ModuleState& state, PyObject* operand) {
  if (is_list(state, operand)) return read_items(operand, {});
  return PyList_Check(operand) ? new_reference(operand) : Ref();
}

PyObject* add(PyObject* left, PyObject* right) {
  ModuleState* const state = current_state();
  if (state == nullptr) Py_RETURN_NOTIMPLEMENTED;
  Ref first = built_in(*state, left), second = built_in(*state, right);
  if (!first || !second) Py_RETURN_NOTIMPLEMENTED;
  return PySequence_Concat(first.get(), second.get());
}

bool is_same(PyObject* self, PyObject* other) {
  const List &left = open_list(self), &right = open_list(other);
  return fields<ListFields>(self).handle->store == fields<ListFields>(other).handle->store &&
         left.name() == right.name();
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
  ModuleState& state = state_of(self);
  const bool both = is_list(state, other);
  if (!both && !PyList_Check(other)) Py_RETURN_NOTIMPLEMENTED;
  if (operation == Py_EQ || operation == Py_NE) {
    const bool equal = both && is_same(self, other);
    const bool different = !equal && length(self) != PyObject_Length(other);
    if (PyErr_Occurred() != nullptr) return nullptr;
    if (equal || different) return PyBool_FromLong(equal == (operation == Py_EQ));
  }
  Ref mine = read_items(self, {});
  Ref its = both ? read_items(other, {}) : new_reference(other);
  return PyObject_RichCompare(mine.get(), its.get(), operation);
}

// ---- The object itself ----

PyObject* represent(PyObject* self) {
  Ref quoted = checked(PyObject_Repr(key_object(fields<ListFields>(self).core.name()).get()));
  if (fields<ListFields>(self).handle->closed) {
    return PyUnicode_FromFormat("<kv_storage.List %U, closed>", quoted.get());
  }
  return PyUnicode_FromFormat("<kv_storage.List %U, %zd values>", quoted.get(), length(self));
}

PyObject* name(PyObject* self, void*) { return decode_key(fields<ListFields>(self).core.name()); }

PyObject* reduce(PyObject* self, PyObject*) {
  const List& core = open_list(self);
  const StoreHandle& handle = *fields<ListFields>(self).handle;
  Ref address =
      handle.origin == StoreHandle::Origin::kProcess ? new_reference(Py_None) : key_object(handle.store->address());
  Ref open = attribute(checked(PyImport_ImportModule("kv_storage")).get(), "_open");
  return Py_BuildValue("N(NN)", open.release(), address.release(), key_object(core.name()).release());
}

constexpr char kIndexDoc[] =
    "index($self, value, start=0, stop=sys.maxsize, /)\n--\n\n"
    "The first position of a value. Raises ValueError if it is not there.";
constexpr char kExtendDoc[] =
    "extend($self, iterable, /)\n--\n\n"
    "Append the items of an iterable, in steps of some thousand. A NumPy array of one dimension gives its elements as\n"
    "int, float, bool, str and so on, numbers without an object each.";
constexpr char kCodesDoc[] =
    "codes($self, /)\n--\n\n"
    "A copy of the codes, one for each position, as an array of uint8, uint16 or uint32.\n"
    "dictionary()[codes()] are the values; encoded() gives both of one moment.";
constexpr char kDictionaryDoc[] =
    "dictionary($self, /)\n--\n\n"
    "The distinct values as an array, each at the place of its code: int64, float64 or bool if all are, else objects.\n"
    "A code that is not in use shows as 0, False or None.";
constexpr char kEncodedDoc[] = "encoded($self, /)\n--\n\nThe arrays of codes() and dictionary(), read at one moment.";
constexpr char kToNumpyDoc[] =
    "to_numpy($self, /)\n--\n\n"
    "The values as an array: int64, float64 or bool if all are, else objects, of which equal ones are one object.";
constexpr char kValueCountsDoc[] =
    "value_counts($self, /)\n--\n\n"
    "A dict of the distinct values with how many positions hold each, the most frequent first.\n"
    "Costs the number of distinct values. Raises TypeError if one is a list, a dict or an array.";
constexpr char kSortDoc[] =
    "sort($self, /, *, key=None, reverse=False)\n--\n\n"
    "Sort as list.sort() does: the values are read, sorted, and put in the place of what is there then.";

PyMethodDef methods[] = {
    {"append", method<append>(), METH_O, "append($self, value, /)\n--\n\nPut a value at the end. O(1)."},
    {"extend", method<extend>(), METH_O, kExtendDoc},
    {"insert", method<insert>(), METH_FASTCALL, "insert($self, index, value, /)\n--\n\nPut a value before index."},
    {"pop", method<pop>(), METH_FASTCALL,
     "pop($self, index=-1, /)\n--\n\nRemove and return a value. Raises IndexError."},
    {"remove", method<list_remove>(), METH_O,
     "remove($self, value, /)\n--\n\nRemove the first of these values. Raises ValueError."},
    {"clear", method<clear>(), METH_NOARGS, "clear($self, /)\n--\n\nRemove every value."},
    {"reverse", method<reverse>(), METH_NOARGS, "reverse($self, /)\n--\n\nReverse in place, in steps."},
    {"sort", method<sort>(), METH_FASTCALL | METH_KEYWORDS, kSortDoc},
    {"copy", method<copy>(), METH_NOARGS, "copy($self, /)\n--\n\nA built-in list of the values."},
    {"index", method<list_index>(), METH_FASTCALL, kIndexDoc},
    {"count", method<list_count>(), METH_O, "count($self, value, /)\n--\n\nHow many positions hold it. O(1)."},
    {"codes", method<list_codes>(), METH_NOARGS, kCodesDoc},
    {"dictionary", method<list_dictionary>(), METH_NOARGS, kDictionaryDoc},
    {"encoded", method<list_encoded>(), METH_NOARGS, kEncodedDoc},
    {"to_numpy", method<list_to_numpy>(), METH_NOARGS, kToNumpyDoc},
    {"value_counts", method<list_value_counts>(), METH_NOARGS, kValueCountsDoc},
    {"__reversed__", method<list_iterate_reversed>(), METH_NOARGS,
     "__reversed__($self, /)\n--\n\nAn iterator from the last value to the first."},
    {"__reduce__", method<reduce>(), METH_NOARGS, "__reduce__($self, /)\n--\n\nHandles pickle by name."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"name", &Guarded<name>::call, nullptr, "The collection's name.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A sequence that keeps each distinct value once.\n\n"
                                  "A MutableSequence that lives outside the interpreter: made by Storage.list(name).\n"
                                  "Slices, copy(), + and * make built-in lists.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate<ListFields>)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_repr, slot<represent>()},
    {Py_tp_iter, slot<list_iterate>()},
    {Py_tp_richcompare, slot<compare>()},
    {Py_tp_hash, reinterpret_cast<void*>(&PyObject_HashNotImplemented)},
    {Py_sq_length, slot<length>()},
    {Py_sq_item, slot<sequence_item>()},
    {Py_sq_ass_item, slot<assign_sequence_item>()},
    {Py_sq_contains, slot<list_contains>()},
    {Py_sq_repeat, slot<repeat>()},
    {Py_sq_inplace_concat, slot<concatenate_in_place>()},
    {Py_sq_inplace_repeat, slot<repeat_in_place>()},
    {Py_mp_length, slot<length>()},
    {Py_mp_subscript, slot<subscript>()},
    {Py_mp_ass_subscript, slot<assign_subscript>()},
    {Py_nb_add, slot<add>()},
    {Py_nb_inplace_add, slot<concatenate_in_place>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.List", sizeof(Instance<ListFields>), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_SEQUENCE, slots};

}  // namespace

Ref make_list(ModuleState& state, std::shared_ptr<StoreHandle> handle, List list) {
  return make_instance(state, state.list_type.get(), ListFields{std::move(handle), std::move(list)});
}

void bind_list(PyObject* module, ModuleState& state) {
  bind_list_iterator(module, state);
  state.list_type = add_type(module, spec);
  register_abc(state.list_type.get(), "MutableSequence");
}

}  // namespace kv::py
