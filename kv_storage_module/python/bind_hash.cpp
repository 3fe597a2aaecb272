// Hash: keys to values of any storable type. One key at a time; many at once are in bind_hash_many.cpp.

#include "args.hpp"
#include "bind.hpp"
#include "hash_methods.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

PyObject* missing_key(ModuleState& state, PyObject* key) {
  set_missing_key(state, key);
  return nullptr;
}

constexpr Signature<2> kGet = {"get", {"key", "default"}, 1};

PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kGet.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign_in(self, given[0])) return nullptr;
  const Hash& hash = open_hash(self);
  ValueBuffer buffer;
  if (in_core([&] { return hash.get(key.view(), buffer); })) return decode_read(state, buffer);
  return Py_NewRef(given[1] == nullptr ? Py_None : given[1]);
}

}  // namespace

PyObject* hash_subscript(PyObject* self, PyObject* key_object) {
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign_in(self, key_object)) return nullptr;
  const Hash& hash = open_hash(self);
  ValueBuffer buffer;
  if (in_core([&] { return hash.get(key.view(), buffer); })) return decode_read(state, buffer);
  return missing_key(state, key_object);
}

namespace {

void put_value(PyObject* self, ByteView key, PyObject* object, std::uint64_t ttl_ms = kNoTtl) {
  Hash& hash = open_hash(self);
  Scratch scratch;
  const Value value = encode_value(state_of(self), object, scratch);
  in_core([&] { hash.put(key, value, ttl_ms); });
}

constexpr Signature<3> kPut = {"put", {"key", "value", "ttl"}, 2};

PyObject* put(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[3];
  if (!kPut.parse(args, count, keywords, given)) return nullptr;
  KeyBytes key;
  if (!key.assign_in(self, given[0])) return nullptr;
  put_value(self, key.view(), given[1], ttl_argument(state_of(self), given[2]));
  Py_RETURN_NONE;
}

}  // namespace

int hash_assign_subscript(PyObject* self, PyObject* key_object, PyObject* value) {
  KeyBytes key;
  if (!key.assign_in(self, key_object)) return -1;
  if (value != nullptr) {
    put_value(self, key.view(), value);
    return 0;
  }
  Hash& hash = open_hash(self);
  if (in_core([&] { return hash.erase(key.view()); })) return 0;
  set_missing_key(state_of(self), key_object);
  return -1;
}

namespace {

PyObject* view(PyObject* self, PyObject* key_object) {
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign_in(self, key_object)) return nullptr;
  const Hash& hash = open_hash(self);
  ValueType type{};
  Pin pin = in_core([&] { return hash.pin(key.view(), type); });
  if (!pin) return missing_key(state, key_object);
  if (type != ValueType::kBytes && type != ValueType::kText && type != ValueType::kArray) {
    fail(state, ErrorClass::kKind, "the value of %R is no bytes, text or array: read it with get()", key_object);
  }
  return PyMemoryView_FromObject(make_view(state, std::move(pin), type).get());
}

constexpr Signature<2> kPop = {"pop", {"", ""}, 1};

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kPop.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign_in(self, given[0])) return nullptr;
  Hash& hash = open_hash(self);
  ValueBuffer buffer;
  if (in_core([&] { return hash.take(key.view(), buffer); })) return decode_read(state, buffer);
  return given[1] == nullptr ? missing_key(state, given[0]) : Py_NewRef(given[1]);
}

PyObject* pop_item(PyObject* self, PyObject*) {
  ModuleState& state = state_of(self);
  Hash& hash = open_hash(self);
  std::string key;
  ValueBuffer buffer;
  if (!in_core([&] { return hash.take_last(key, buffer); })) {
    fail(state, ErrorClass::kMissingKey, "popitem(): there are no keys");
  }
  Ref value = checked(decode_read(state, buffer));
  return PyTuple_Pack(2, key_object(key).get(), value.get());
}

constexpr Signature<2> kSetDefault = {"setdefault", {"key", "default"}, 1};

PyObject* set_default(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kSetDefault.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  PyObject* fallback = given[1] == nullptr ? Py_None : given[1];
  KeyBytes key;
  if (!key.assign_in(self, given[0])) return nullptr;
  Hash& hash = open_hash(self);
  Scratch scratch;
  const Value value = encode_value(state, fallback, scratch);
  ValueBuffer present;
  if (in_core([&] { return hash.put_if_absent(key.view(), value, present); })) return Py_NewRef(fallback);
  return decode_read(state, present);
}

constexpr Signature<2> kIncr = {"incr", {"key", "by"}, 1};

PyObject* increment(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kIncr.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign_in(self, given[0])) return nullptr;
  int overflow = 0;
  const long long by = given[1] == nullptr ? 1 : PyLong_AsLongLongAndOverflow(given[1], &overflow);
  if (by == -1 && PyErr_Occurred() != nullptr) return nullptr;
  if (overflow != 0) fail(state, ErrorClass::kOverflow, "counters have 64 bits: cannot add %R", given[1]);
  Hash& hash = open_hash(self);
  return PyLong_FromLongLong(in_core([&] { return hash.increment(key.view(), by); }));
}

std::optional<Value> encode_or_missing(ModuleState& state, PyObject* object, Scratch& scratch) {
  if (object == state.missing.get()) return std::nullopt;
  return encode_value(state, object, scratch);
}

constexpr Signature<3> kCompareAndSet = {"compare_and_set", {"key", "expected", "new"}, 3};

PyObject* compare_and_set(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[3];
  if (!kCompareAndSet.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign_in(self, given[0])) return nullptr;
  Hash& hash = open_hash(self);
  Scratch scratch;
  const std::optional<Value> expected = encode_or_missing(state, given[1], scratch);
  const std::optional<Value> wanted = encode_or_missing(state, given[2], scratch);
  return PyBool_FromLong(in_core([&] { return hash.compare_and_set(key.view(), expected, wanted); }));
}

PyObject* edit(PyObject* self, PyObject* key) {
  (void)open_hash(self);
  return make_edit(self, key).release();
}

constexpr char kPutDoc[] =
    "put($self, /, key, value, ttl=None)\n--\n\n"
    "Store a copy of `value` under `key`, replacing what was there.\n\n"
    "Args:\n"
    "    key: str (stored as UTF-8) or bytes, at most 65,535 bytes.\n"
    "    value: None, bool, int, float, str, bytes, date, datetime, time, timedelta, Decimal, UUID, an array "
    "(anything\n"
    "        with the buffer protocol), or a tuple, list or dict (with str keys) of these. Exact types only.\n"
    "    ttl: seconds after which the key is absent; None: it stays. A ttl that the key had before is gone.\n\n"
    "Raises:\n"
    "    ArgumentError: the ttl is no number greater than 0, or absurdly large.\n"
    "    KindError: the type is not storable; the message says what to convert it to.\n"
    "    CapacityError: the store is full; nothing has changed.";
constexpr char kGetDoc[] =
    "get($self, /, key, default=None)\n--\n\n"
    "The value of `key`, or `default`.\n\n"
    "What comes back equals what was put and has its type; arrays come back as read-only NumPy arrays. An array of "
    "more\n"
    "than about 1 KiB is not copied: it looks at the store's memory and stays as it is until released, whatever "
    "happens\n"
    "to the key.";
constexpr char kViewDoc[] =
    "view($self, key, /)\n--\n\n"
    "The bytes of a bytes, str or array value as a read-only memoryview, without a copy.\n\n"
    "Lifetime: what the view shows never changes and stays readable until the view is released, also after the key "
    "was\n"
    "overwritten or deleted and after close(). Until then its memory is in use: see stats()['pinned_bytes'].\n\n"
    "Raises:\n"
    "    MissingKeyError: the key is absent.\n"
    "    KindError: the value is of another type; use get().";
constexpr char kExpireDoc[] =
    "expire($self, /, key, seconds)\n--\n\n"
    "Let a key be absent after so many seconds from now, whatever ttl it had. Returns whether the key was there.\n\n"
    "Raises:\n    ArgumentError: `seconds` is no number greater than 0, or absurdly large.";
constexpr char kPersistDoc[] =
    "persist($self, key, /)\n--\n\nTake a key's ttl away, so that it stays. Returns whether it had one.";
constexpr char kTtlDoc[] =
    "ttl($self, key, /)\n--\n\n"
    "The seconds after which a key will be absent, or None if it stays.\n\n"
    "Raises:\n    MissingKeyError: the key is absent.";
constexpr char kPopDoc[] =
    "pop($self, key, default=..., /)\n--\n\n"
    "Delete `key` and return its value, in one step. An absent key returns `default`, or raises MissingKeyError.";
constexpr char kPopItemDoc[] =
    "popitem($self, /)\n--\n\nDelete the last key in byte order and return it with its value.";
constexpr char kSetDefaultDoc[] =
    "setdefault($self, /, key, default=None)\n--\n\n"
    "The value of `key`; an absent key gets `default` first. One step, also between processes.";
constexpr char kIncrDoc[] =
    "incr($self, /, key, by=1)\n--\n\n"
    "Add to an integer, an absent one counting as 0, and return the result. One step, also between processes.\n"
    "The key keeps its ttl.\n\n"
    "Raises:\n"
    "    KindError: the value is no int.\n"
    "    IntegerOverflowError: the result does not fit 64 bits; nothing has changed.";
constexpr char kCompareAndSetDoc[] =
    "compare_and_set($self, /, key, expected, new)\n--\n\n"
    "Store `new` if the value is `expected`; return whether it was. One step, also between processes.\n\n"
    "MISSING stands for an absent key: as `expected`, store only a new key; as `new`, delete. Values are compared by "
    "type\n"
    "and content: 1 is neither True nor 1.0. A present key keeps its ttl.";
constexpr char kPutManyDoc[] =
    "put_many($self, keys_or_mapping, values=..., /, *, ttl=None)\n--\n\n"
    "Store many values: put_many(mapping), or put_many(keys, values) with a value for each key.\n\n"
    "If `values` is an array of two or more dimensions, each key gets a row. Not atomic: if a value cannot be stored,\n"
    "those before it are. `ttl` as in put(), for each key, from the time of the call.";
constexpr char kGetManyDoc[] =
    "get_many($self, /, keys, default=None)\n--\n\n"
    "The values of many keys as a list, `default` where a key is absent. Several times faster than a loop of get().";
constexpr char kUpdateDoc[] =
    "update($self, other=(), /, **kwargs)\n--\n\nStore every item of a mapping, or of an iterable of pairs, as "
    "dict.update().";
constexpr char kEditDoc[] =
    "edit($self, key, /)\n--\n\n"
    "A context manager that gives a writable copy of an array value and stores it again on exit.\n\n"
    "    with kv.edit('weights') as a:\n"
    "        a *= 2\n\n"
    "An exception inside stores nothing. Of two edits at the same time, the later exit wins. The key keeps its ttl;\n"
    "what has expired meanwhile is not stored again.";

PyMethodDef methods[] = {
    {"put", method<put>(), METH_FASTCALL | METH_KEYWORDS, kPutDoc},
    {"get", method<get>(), METH_FASTCALL | METH_KEYWORDS, kGetDoc},
    {"view", method<view>(), METH_O, kViewDoc},
    {"expire", method<hash_expire>(), METH_FASTCALL | METH_KEYWORDS, kExpireDoc},
    {"persist", method<hash_persist>(), METH_O, kPersistDoc},
    {"ttl", method<hash_ttl>(), METH_O, kTtlDoc},
    {"pop", method<pop>(), METH_FASTCALL | METH_KEYWORDS, kPopDoc},
    {"popitem", method<pop_item>(), METH_NOARGS, kPopItemDoc},
    {"setdefault", method<set_default>(), METH_FASTCALL | METH_KEYWORDS, kSetDefaultDoc},
    {"incr", method<increment>(), METH_FASTCALL | METH_KEYWORDS, kIncrDoc},
    {"compare_and_set", method<compare_and_set>(), METH_FASTCALL | METH_KEYWORDS, kCompareAndSetDoc},
    {"put_many", method<hash_put_many>(), METH_FASTCALL | METH_KEYWORDS, kPutManyDoc},
    {"get_many", method<hash_get_many>(), METH_FASTCALL | METH_KEYWORDS, kGetManyDoc},
    {"update", method<hash_update>(), METH_VARARGS | METH_KEYWORDS, kUpdateDoc},
    {"edit", method<edit>(), METH_O, kEditDoc},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Byte-string keys to values of any storable type, in byte order of the keys.\n\n"
                                  "A MutableMapping that lives outside the interpreter: made by Storage.hash(name).\n"
                                  "Storing copies; what get() returns is independent of the store.")},
    {Py_tp_methods, methods},
    {Py_mp_subscript, slot<hash_subscript>()},
    {Py_mp_ass_subscript, slot<hash_assign_subscript>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Hash", sizeof(Instance<Collection>), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_MAPPING,
                    slots};

}  // namespace

std::span<const PyMethodDef> hash_methods() noexcept {
  return std::span(methods).first(std::size(methods) - 1);  // without the end mark
}

Ref make_hash(ModuleState& state, std::shared_ptr<StoreHandle> handle, Hash hash) {
  return make_instance(state, state.hash_type.get(), Collection{std::move(handle), std::move(hash), nullptr});
}

void bind_hash(PyObject* module, ModuleState& state) {
  state.hash_type = add_type(module, spec, state.collection_type.get());
  register_abc(state.hash_type.get(), "MutableMapping");
}

}  // namespace kv::py
