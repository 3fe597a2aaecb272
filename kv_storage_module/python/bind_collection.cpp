// Collection, the base of Hash, RecordHash and Storage: what concerns keys only and does not look into values.

#include "args.hpp"
#include "bind.hpp"
#include "collection_methods.hpp"
#include "mapping.hpp"
#include "ordered_codec.hpp"
#include "record_codec.hpp"
#include "text.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

KeyRange everything() { return {}; }

PyObject* remove(PyObject* self, PyObject* key) {
  KeyBytes bytes;
  if (!bytes.assign_in(self, key)) return nullptr;
  return PyBool_FromLong(
      with_core(self, [&](auto& core) { return in_core([&] { return core.erase(bytes.view()); }); }));
}

}  // namespace

bool collection_could_have(PyObject* self, PyObject* key, KeyBytes& bytes) {
  try {
    return bytes.assign_in(self, key);
  } catch (const PythonError&) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_OverflowError)) throw;
    PyErr_Clear();
  } catch (const Error&) {  // NaN
  }
  if (PyObject_Hash(key) == -1) throw PythonError{};
  return false;
}

int collection_contains(PyObject* self, PyObject* key) {
  KeyBytes bytes;
  if (is_ordered(self)) {
    if (!collection_could_have(self, key, bytes)) return 0;
  } else if (!bytes.assign_in(self, key)) {
    return -1;
  }
  return with_core(self, [&](auto& core) { return in_core([&] { return core.contains(bytes.view()); }); });
}

Py_ssize_t collection_length(PyObject* self) {
  return static_cast<Py_ssize_t>(with_core(self, [](auto& core) { return in_core([&] { return core.size(); }); }));
}

PyObject* collection_clear(PyObject* self, PyObject*) {
  with_core(self, [](auto& core) { in_core_detached([&] { core.clear(); }); });
  Py_RETURN_NONE;
}

PyObject* collection_iterate(PyObject* self) {
  return checked(PyObject_GetIter(make_matches(self, everything(), "all").get())).release();
}

PyObject* collection_iterate_reversed(PyObject* self, PyObject*) {
  Ref all = make_matches(self, everything(), "all");
  return checked(PyObject_CallMethod(all.get(), "__reversed__", nullptr)).release();
}

namespace {

PyObject* all_matches(PyObject* self, const char* method) {
  return checked(PyObject_CallMethod(make_matches(self, everything(), "all").get(), method, nullptr)).release();
}
PyObject* keys(PyObject* self, PyObject*) { return all_matches(self, "keys"); }
PyObject* values(PyObject* self, PyObject*) { return all_matches(self, "values"); }
PyObject* items(PyObject* self, PyObject*) { return all_matches(self, "items"); }

std::string described(const char* method, PyObject* argument) {
  Ref text = checked(PyUnicode_FromFormat("%s(%R)", method, argument));
  return name_string(*current_state(), text.get(), "repr");
}

// A pattern or prefix, as it stands before the keys of the collection.
std::string text_of_keys(PyObject* self, PyObject* text) {
  if (!is_ordered(self)) return key_string(state_of(self), text);
  if (!PyUnicode_Check(text) && !PyBytes_Check(text)) {
    fail(state_of(self), ErrorClass::kKind, "find() and prefix() take a str or bytes, not %s", Py_TYPE(text)->tp_name);
  }
  return std::string(bytes_of(comparable_key(self, text).get()));
}

std::string bound(PyObject* self, PyObject* key) {
  if (!is_ordered(self)) return key_string(state_of(self), key);
  return std::string(bytes_of(comparable_key(self, key).get()));
}

// Most patterns are a prefix and a star. As a range they need no matching, and a page of them is never long.
KeyRange range_of_pattern(const std::string& pattern) {
  const std::size_t wildcard = pattern.find_first_of("*?[");
  if (wildcard == std::string::npos) return {.start = pattern, .stop = pattern + '\0', .glob = nullptr};
  if (wildcard + 1 == pattern.size() && pattern.back() == '*') return KeyRange::prefix(pattern.substr(0, wildcard));
  return KeyRange::matching(pattern);
}

}  // namespace

PyObject* collection_find(PyObject* self, PyObject* pattern) {
  const std::string glob = text_of_keys(self, pattern);
  return make_matches(self, range_of_pattern(glob), described("find", pattern)).release();
}

PyObject* collection_prefix(PyObject* self, PyObject* text) {
  const std::string start = text_of_keys(self, text);
  return make_matches(self, KeyRange::prefix(start), described("prefix", text)).release();
}

namespace {

constexpr Signature<2> kRange = {"range", {"start", "stop"}, 0};

}  // namespace

PyObject* collection_range(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kRange.parse(args, count, keywords, given)) return nullptr;
  KeyRange keys_between;
  if (given[0] != nullptr && given[0] != Py_None) keys_between.start = bound(self, given[0]);
  if (given[1] != nullptr && given[1] != Py_None) keys_between.stop = bound(self, given[1]);
  Ref bounds =
      checked(PyTuple_Pack(2, given[0] == nullptr ? Py_None : given[0], given[1] == nullptr ? Py_None : given[1]));
  return make_matches(self, std::move(keys_between), described("range", bounds.get())).release();
}

namespace {

// ---- Comparison: as a Mapping, by content ----

bool is_same(PyObject* self, PyObject* other) {
  if (!PyObject_TypeCheck(other, reinterpret_cast<PyTypeObject*>(state_of(self).collection_type.get()))) return false;
  const auto& left = open_collection(self);
  const auto& right = open_collection(other);
  if (left.handle->store != right.handle->store || left.core.index() != right.core.index()) return false;
  return std::visit([](auto& core) { return core.name(); }, left.core) ==
         std::visit([](auto& core) { return core.name(); }, right.core);
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
  if (operation == Py_EQ && is_same(self, other)) Py_RETURN_TRUE;
  return compare_mappings(self, other, operation);
}

// ---- Names ----

std::string core_name(PyObject* self) {
  return std::visit([](auto& core) { return core.name(); }, fields<Collection>(self).core);
}

}  // namespace

PyObject* collection_name(PyObject* self, void*) { return decode_key(core_name(self)); }

PyObject* collection_represent(PyObject* self) {
  Ref quoted = checked(PyObject_Repr(key_object(core_name(self)).get()));
  const char* type = Py_TYPE(self)->tp_name;
  if (fields<Collection>(self).handle->closed) return PyUnicode_FromFormat("<%s %U, closed>", type, quoted.get());
  return PyUnicode_FromFormat("<%s %U, %zd keys>", type, quoted.get(), collection_length(self));
}

// Handles pickle as what they refer to: the process family's store or an arena's address, and the collection's name.
PyObject* collection_reduce(PyObject* self, PyObject*) {
  const StoreHandle& handle = *open_collection(self).handle;
  Ref address =
      handle.origin == StoreHandle::Origin::kProcess ? new_reference(Py_None) : key_object(handle.store->address());
  Ref open = attribute(checked(PyImport_ImportModule("kv_storage")).get(), "_open");
  return Py_BuildValue("N(NN)", open.release(), address.release(), key_object(core_name(self)).release());
}

namespace {

void destroy(PyObject* self) noexcept { deallocate<Collection>(self); }

constexpr char kDeleteDoc[] =
    "delete($self, key, /)\n--\n\n"
    "Delete a key if it is there. Returns whether it was.";
constexpr char kKeysDoc[] =
    "keys($self, /)\n--\n\n"
    "A live view of the keys, in byte order. Keys are str; bytes that are not UTF-8 come back with surrogateescape.";
constexpr char kValuesDoc[] = "values($self, /)\n--\n\nA live view of the values, in the order of their keys.";
constexpr char kItemsDoc[] = "items($self, /)\n--\n\nA live view of the (key, value) pairs, in the order of the keys.";
constexpr char kFindDoc[] =
    "find($self, pattern, /)\n--\n\n"
    "The entries whose key matches a glob pattern, as fnmatch.fnmatchcase() does: * ? [a-z] [!a].\n\n"
    "Returns Matches: a live, lazy mapping in key order. Only keys that agree with the pattern up to its first\n"
    "wildcard are visited. A pattern without wildcards is one exact key; use prefix() for all keys that begin with\n"
    "a text, and escape() for text that comes from elsewhere.\n\n"
    "    kv.find('hash-06-06-2018-*').keys()";
constexpr char kPrefixDoc[] =
    "prefix($self, text, /)\n--\n\n"
    "The entries whose key begins with `text`, as Matches. No character is special.";
constexpr char kRangeDoc[] =
    "range($self, /, start=None, stop=None)\n--\n\n"
    "The entries with start <= key < stop in byte order, as Matches. None leaves that end open.";
constexpr char kClearDoc[] = "clear($self, /)\n--\n\nDelete every key. Views of values stay readable.";

PyMethodDef methods[] = {
    {"delete", method<remove>(), METH_O, kDeleteDoc},
    {"keys", method<keys>(), METH_NOARGS, kKeysDoc},
    {"values", method<values>(), METH_NOARGS, kValuesDoc},
    {"items", method<items>(), METH_NOARGS, kItemsDoc},
    {"find", method<collection_find>(), METH_O, kFindDoc},
    {"prefix", method<collection_prefix>(), METH_O, kPrefixDoc},
    {"range", method<collection_range>(), METH_FASTCALL | METH_KEYWORDS, kRangeDoc},
    {"clear", method<collection_clear>(), METH_NOARGS, kClearDoc},
    {"__reversed__", method<collection_iterate_reversed>(), METH_NOARGS,
     "__reversed__($self, /)\n--\n\nAn iterator over the keys, last first."},
    {"__reduce__", method<collection_reduce>(), METH_NOARGS, "__reduce__($self, /)\n--\n\nHandles pickle by name."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"name", &Guarded<collection_name>::call, nullptr, "The collection's name; '' for the root.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Base class of Hash, RecordHash and Storage.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_repr, slot<collection_represent>()},
    {Py_tp_iter, slot<collection_iterate>()},
    {Py_tp_richcompare, slot<compare>()},
    {Py_mp_length, slot<collection_length>()},
    {Py_sq_contains, slot<collection_contains>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Collection", sizeof(Instance<Collection>), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_MAPPING,
                    slots};

}  // namespace

Ref read_value(PyObject* collection, ByteView key) {
  ModuleState& state = state_of(collection);
  Collection& open = open_collection(collection);
  if (open.codec) return read_record(collection, key);
  ValueBuffer buffer;
  if (!in_core([&] { return open_hash(collection).get(key, buffer); })) return {};
  return checked(decode_read(state, buffer));
}

void bind_collection(PyObject* module, ModuleState& state) { state.collection_type = add_type(module, spec); }

}  // namespace kv::py
