// Storage: the root Hash, and the way to everything else in a store.

#include <algorithm>
#include <cstring>

#include "args.hpp"
#include "bind.hpp"
#include "cache_methods.hpp"
#include "csv_methods.hpp"
#include "ordered_codec.hpp"
#include "process_malloc.hpp"
#include "schema_argument.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"

namespace kv::py {
namespace {

Store& open_store(PyObject* self) { return *open_collection(self).handle->store; }

std::shared_ptr<StoreHandle> make_handle(std::shared_ptr<Store> store, StoreHandle::Origin origin) {
  return std::make_shared<StoreHandle>(std::move(store), origin);
}

const char* sync_name(SyncMode mode) noexcept {
  switch (mode) {
    case SyncMode::kOff:
      return "off";
    case SyncMode::kInterval:
      return "interval";
    case SyncMode::kAlways:
      return "always";
  }
  return "unknown";
}

// A path as open() takes it, in the encoding of the file system.
std::string path_argument(ModuleState& state, PyObject* given) {
  Ref path = Ref::steal(PyOS_FSPath(given));
  if (!path) {
    PyErr_Clear();
    fail(state, ErrorClass::kKind, "the path of a directory is str, bytes or os.PathLike, not %.200s",
         Py_TYPE(given)->tp_name);
  }
  Ref bytes = PyBytes_Check(path.get()) ? std::move(path) : checked(PyUnicode_EncodeFSDefault(path.get()));
  return {PyBytes_AS_STRING(bytes.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get()))};
}

SyncMode sync_argument(ModuleState& state, PyObject* given) {
  const std::string name = PyUnicode_Check(given) ? name_string(state, given, "sync") : std::string();
  for (const SyncMode mode : {SyncMode::kOff, SyncMode::kInterval, SyncMode::kAlways}) {
    if (name == sync_name(mode)) return mode;
  }
  fail(state, ErrorClass::kArgument, "sync is 'off', 'interval' or 'always', not %R", given);
}

PyObject* make_process_storage(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  ModuleState& state = state_of_type(type);
  constexpr const char* kNames[] = {"", "sync", "sync_interval"};
  PyObject* given[3];
  if (!parse_tuple_arguments("Storage", kNames, 3, 0, 1, args, keywords, given)) return nullptr;
  StoreOptions options;
  if (given[1] != nullptr && given[1] != Py_None) options.sync = sync_argument(state, given[1]);
  if (given[2] != nullptr && given[2] != Py_None) {
    options.sync_interval_ms =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(ttl_seconds(state, given[2]), UINT32_MAX));
  }
  if (given[0] != nullptr && given[0] != Py_None) {
    const std::string path = path_argument(state, given[0]);
    auto store = in_core_detached([&] { return Store::open(path, options); });
    return make_storage(state, make_handle(std::move(store), StoreHandle::Origin::kPrivate)).release();
  }
  if (options.sync || options.sync_interval_ms) {
    fail(state, ErrorClass::kArgument, "sync and sync_interval go with the path of a data directory");
  }
  auto store = in_core_detached([] { return Store::process_store(); });
  return make_storage(state, make_handle(std::move(store), StoreHandle::Origin::kProcess)).release();
}

std::uint64_t size_argument(PyObject* number) {
  if (number == nullptr) return 0;
  Ref index = checked(PyNumber_Index(number));
  const unsigned long long value = PyLong_AsUnsignedLongLong(index.get());
  if (PyErr_Occurred() != nullptr) throw PythonError{};
  return value;
}

constexpr Signature<2> kMemory = {"memory", {"max_memory", "parts"}, 0, 0};

PyObject* make_private_storage(PyObject* type, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kMemory.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of_type(reinterpret_cast<PyTypeObject*>(type));
  StoreOptions options;
  options.max_memory = size_argument(given[0]);
  const std::uint64_t parts = size_argument(given[1]);
  if (parts > UINT32_MAX) fail(state, ErrorClass::kArgument, "parts is a number from 1 to 64");
  options.parts = static_cast<std::uint32_t>(parts);
  auto store = in_core_detached([&] { return Store::create(options); });
  return make_storage(state, make_handle(std::move(store), StoreHandle::Origin::kPrivate)).release();
}

// ---- Collections ----

PyObject* open_hash_named(PyObject* self, const std::string& name) {
  ModuleState& state = state_of(self);
  const auto& handle = open_collection(self).handle;
  Store& store = *handle->store;
  if (in_core([&] { return store.kind(name); }) == CollectionKind::kRecordHash) {
    if (auto records = in_core([&] { return store.find_records(name); })) {
      return make_records(state, handle, std::move(*records)).release();
    }
  }
  return make_hash(state, handle, in_core([&] { return store.hash(name); })).release();
}

PyObject* open_ordered_named(PyObject* self, const std::string& name, CollectionKind kind, KeyType type) {
  const auto& handle = open_collection(self).handle;
  Ordered opened = in_core([&] { return handle->store->ordered(name, kind, type); });
  return make_ordered(state_of(self), handle, kind, std::move(opened)).release();
}

template <CollectionKind kKind>
PyObject* open_ordered_collection(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  constexpr Signature<2> kSignature = {kKind == CollectionKind::kMap ? "map" : "set", {"", "key"}, 1, 1};
  PyObject* given[2];
  if (!kSignature.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  const std::string name = name_string(state, given[0], "the name of a collection");
  return open_ordered_named(self, name, kKind, key_type_argument(state, given[1]));
}

PyObject* open_list_named(PyObject* self, const std::string& name) {
  const auto& handle = open_collection(self).handle;
  return make_list(state_of(self), handle, in_core([&] { return handle->store->list(name); })).release();
}

PyObject* list(PyObject* self, PyObject* name) {
  return open_list_named(self, name_string(state_of(self), name, "the name of a collection"));
}

// Whatever kind it has by now: for handles that come out of a pickle.
PyObject* open_named(PyObject* self, const std::string& name) {
  Store& store = open_store(self);
  const auto kind = in_core([&] { return store.kind(name); });
  if (kind == CollectionKind::kMap || kind == CollectionKind::kSet) {
    return open_ordered_named(self, name, *kind, KeyType::kUnknown);
  }
  if (kind == CollectionKind::kList) return open_list_named(self, name);
  return open_hash_named(self, name);
}

PyObject* hash(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  if (count > 1) {
    PyErr_SetString(PyExc_TypeError, "hash() takes the name of a collection: did you mean put()?");
    return nullptr;
  }
  constexpr Signature<2> kHash = {"hash", {"", "schema"}, 1, 1};
  PyObject* given[2];
  if (!kHash.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  const std::string name = name_string(state, given[0], "the name of a collection");
  if (given[1] == nullptr || given[1] == Py_None) return open_hash_named(self, name);
  const Schema schema = schema_argument(state, given[1]);
  const auto& handle = open_collection(self).handle;
  return make_records(state, handle, in_core([&] { return handle->store->records(name, schema); })).release();
}

const char* kind_name(CollectionKind kind) noexcept {
  switch (kind) {
    case CollectionKind::kHash:
      return "hash";
    case CollectionKind::kRecordHash:
      return "records";
    case CollectionKind::kMap:
      return "map";
    case CollectionKind::kSet:
      return "set";
    case CollectionKind::kList:
      return "list";
    case CollectionKind::kCache:
      return "cache";
  }
  return "unknown";
}

PyObject* collections(PyObject* self, PyObject*) {
  Store& store = open_store(self);
  const auto infos = in_core([&] { return store.collections(); });
  Ref kinds = checked(PyDict_New());
  for (const CollectionInfo& info : infos) {
    Ref kind = key_object(kind_name(info.kind));
    check(PyDict_SetItem(kinds.get(), key_object(info.name).get(), kind.get()));
  }
  return kinds.release();
}

constexpr Signature<3> kRename = {"rename", {"", "", "replace"}, 2, 2};

PyObject* rename(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[3];
  if (!kRename.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  const std::string from = name_string(state, given[0], "the name of a collection");
  const std::string to = name_string(state, given[1], "the name of a collection");
  const int replace = given[2] == nullptr ? 0 : PyObject_IsTrue(given[2]);
  check(replace);
  Store& store = open_store(self);
  in_core_detached([&] { store.rename(from, to, replace == 1); });
  Py_RETURN_NONE;
}

PyObject* drop(PyObject* self, PyObject* name) {
  const std::string text = name_string(state_of(self), name, "the name of a collection");
  Store& store = open_store(self);
  return PyBool_FromLong(in_core_detached([&] { return store.drop(text); }));
}

// ---- Looking at the store ----

Ref part_stats(const PartStats& part) {
  return checked(Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K}", "used_bytes", part.used_bytes, "committed_bytes",
                               part.committed_bytes, "pinned_bytes", part.pinned_bytes, "pins", part.pins,
                               "transactions", part.transactions, "recoveries", part.recoveries));
}

Ref collection_stats(const CollectionInfo& info) {
  return checked(Py_BuildValue("{s:s,s:K}", "kind", kind_name(info.kind), "keys", info.entries));
}

Ref jemalloc_stats() {
  const auto malloc = malloc_stats();
  if (!malloc) return new_reference(Py_None);
  return checked(Py_BuildValue("{s:n,s:n,s:n,s:n,s:n}", "allocated_bytes", static_cast<Py_ssize_t>(malloc->allocated),
                               "active_bytes", static_cast<Py_ssize_t>(malloc->active), "resident_bytes",
                               static_cast<Py_ssize_t>(malloc->resident), "mapped_bytes",
                               static_cast<Py_ssize_t>(malloc->mapped), "retained_bytes",
                               static_cast<Py_ssize_t>(malloc->retained)));
}

Ref seconds_or_none(std::uint64_t ms) {
  return ms == 0 ? new_reference(Py_None) : checked(PyFloat_FromDouble(static_cast<double>(ms) / 1000));
}

Ref durability_stats(const std::optional<DurabilityStats>& given) {
  if (!given) return new_reference(Py_None);
  const DurabilityStats& figures = *given;
  Ref checkpoint_time = seconds_or_none(figures.checkpoint_ms);
  Ref failure_time = seconds_or_none(figures.failure_ms);
  Ref failure = figures.failure.empty() ? new_reference(Py_None) : key_object(figures.failure);
  Ref error = figures.checkpoint_error == 0
                  ? new_reference(Py_None)
                  : checked(PyUnicode_DecodeLocale(std::strerror(figures.checkpoint_error), nullptr));
  return checked(Py_BuildValue("{s:s,s:d,s:K,s:K,s:K,s:K,s:O,s:O,s:O,s:O}", "sync", sync_name(figures.sync),
                               "sync_interval", static_cast<double>(figures.sync_interval_ms) / 1000, "log_bytes",
                               figures.log_bytes, "unsynced_bytes", figures.unsynced_bytes, "checkpoint",
                               figures.checkpoint, "checkpoint_bytes", figures.checkpoint_bytes, "checkpoint_time",
                               checkpoint_time.get(), "checkpoint_error", error.get(), "failure", failure.get(),
                               "failure_time", failure_time.get()));
}

// Collection -> its bytes in each part.
Ref memory_use(Store& store) {
  const std::vector<MemoryUse> uses = in_core_detached([&] { return store.memory_use(); });
  Ref by_name = checked(PyDict_New());
  for (const MemoryUse& use : uses) {
    Ref parts = checked(PyList_New(0));
    for (const std::uint64_t bytes : use.part_bytes) {
      check(PyList_Append(parts.get(), checked(PyLong_FromUnsignedLongLong(bytes)).get()));
    }
    check(PyDict_SetItem(by_name.get(), key_object(use.name).get(), parts.get()));
  }
  return by_name;
}

constexpr Signature<1> kStats = {"stats", {"memory"}, 0, 0};

PyObject* stats(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[1];
  if (!kStats.parse(args, count, keywords, given)) return nullptr;
  const int with_memory = given[0] == nullptr ? 0 : PyObject_IsTrue(given[0]);
  check(with_memory);
  Store& store = open_store(self);
  const StoreStats all = in_core_detached([&] { return store.stats(); });
  PartStats sum{};
  Ref parts = checked(PyList_New(0));
  for (const PartStats& part : all.parts) {
    sum.used_bytes += part.used_bytes;
    sum.committed_bytes += part.committed_bytes;
    sum.pinned_bytes += part.pinned_bytes;
    sum.pins += part.pins;
    sum.transactions += part.transactions;
    sum.recoveries += part.recoveries;
    check(PyList_Append(parts.get(), part_stats(part).get()));
  }
  Ref collections_by_name = checked(PyDict_New());
  for (const CollectionInfo& info : all.collections) {
    check(PyDict_SetItem(collections_by_name.get(), key_object(info.name).get(), collection_stats(info).get()));
  }
  Ref dict = part_stats(sum);
  Ref processes = checked(PyDict_New());
  for (const ProcessStats& process : all.processes) {
    Ref pid = checked(PyLong_FromLong(process.pid));
    Ref figures = checked(Py_BuildValue("{s:K}", "pinned_bytes", process.pinned_bytes));
    check(PyDict_SetItem(processes.get(), pid.get(), figures.get()));
  }
  Ref path = all.path.empty() ? new_reference(Py_None) : checked(PyUnicode_DecodeFSDefault(all.path.c_str()));
  Ref durability = durability_stats(all.durability);
  Ref more = checked(Py_BuildValue("{s:O,s:O,s:K,s:K,s:O,s:O,s:O,s:O}", "durability", durability.get(), "path",
                                   path.get(), "keys", all.keys, "max_memory", all.max_memory, "parts", parts.get(),
                                   "collections", collections_by_name.get(), "processes", processes.get(), "jemalloc",
                                   jemalloc_stats().get()));
  check(PyDict_Update(dict.get(), more.get()));
  if (with_memory == 1) check(PyDict_SetItemString(dict.get(), "memory", memory_use(store).get()));
  return dict.release();
}

PyObject* verify(PyObject* self, PyObject*) {
  Store& store = open_store(self);
  const std::vector<std::string> violations = in_core_detached([&] { return store.verify(); });
  Ref list = checked(PyList_New(0));
  for (const std::string& violation : violations) check(PyList_Append(list.get(), key_object(violation).get()));
  return list.release();
}

// ---- Files ----

PyObject* flush(PyObject* self, PyObject*) {
  Store& store = open_store(self);
  in_core_detached([&] { store.flush(); });
  Py_RETURN_NONE;
}

PyObject* checkpoint(PyObject* self, PyObject*) {
  Store& store = open_store(self);
  in_core_detached([&] { store.checkpoint(); });
  Py_RETURN_NONE;
}

PyObject* backup(PyObject* self, PyObject* given) {
  const std::string path = path_argument(state_of(self), given);
  Store& store = open_store(self);
  in_core_detached([&] { store.backup(path); });
  Py_RETURN_NONE;
}

// ---- Closing ----

// The process store outlives its handles; a private one has no other.
PyObject* close(PyObject* self, PyObject*) {
  StoreHandle& handle = *fields<Collection>(self).handle;
  if (!handle.closed.exchange(true) && handle.origin == StoreHandle::Origin::kPrivate) {
    in_core_detached([&] { handle.store->close(); });  // may sync, or write a checkpoint
  }
  Py_RETURN_NONE;
}

PyObject* enter(PyObject* self, PyObject*) {
  (void)open_collection(self);
  return Py_NewRef(self);
}

PyObject* leave(PyObject* self, PyObject*) {
  (void)Ref::steal(close(self, nullptr));
  Py_RETURN_NONE;
}

PyObject* closed(PyObject* self, void*) { return PyBool_FromLong(fields<Collection>(self).handle->closed); }

constexpr char kMemoryDoc[] =
    "memory($type, /, *, max_memory=0, parts=0)\n--\n\n"
    "A private store in memory, apart from that of the process: for tests, or for several scripts in one process.\n\n"
    "Args:\n"
    "    max_memory: upper bound in bytes; 0 is 60 % of the smaller of RAM and the cgroup's limit.\n"
    "    parts: how many parts, 1 to 64, each with a lock of its own; 0 is automatic.";
constexpr char kHashDoc[] =
    "hash($self, name, /, *, schema=None)\n--\n\n"
    "The Hash of this name, made on first use. With a schema, or if it has one already, a RecordHash.\n\n"
    "    h = kv.hash('flights', schema={'dep_delay': 'f4', 'carrier': 'category'})\n\n"
    "Args:\n"
    "    schema: a dict of column names and types, or a structured numpy.dtype. Types: 'bool', 'i1' to 'i8', 'u1' to "
    "'u8',\n"
    "        'f4', 'f8', 'date', 'datetime', 'bytes[n]', 'category'; also bool, int, float, str (a category), date,\n"
    "        datetime and NumPy's.\n\n"
    "Raises:\n"
    "    KindError: the collection exists and is of another kind or schema.";
constexpr char kMapDoc[] =
    "map($self, name, /, *, key=None)\n--\n\n"
    "The Map of this name, made on first use: a mapping in the order of its keys.\n\n"
    "Args:\n"
    "    key: the type of the keys, int, float, str, bytes, date or datetime. None leaves it to the first key.\n\n"
    "Raises:\n"
    "    KindError: the collection exists and is of another kind, or has keys of another type.";
constexpr char kSetDoc[] =
    "set($self, name, /, *, key=None)\n--\n\n"
    "The Set of this name, made on first use: unique members in order. `key` is their type, as for map().";
constexpr char kListDoc[] =
    "list($self, name, /)\n--\n\n"
    "The List of this name, made on first use: a sequence that keeps each distinct value once.\n\n"
    "Raises:\n"
    "    KindError: the collection exists and is of another kind.";
constexpr char kCollectionsDoc[] =
    "collections($self, /)\n--\n\n"
    "The names of the collections, each with its kind: 'hash', 'records', 'map', 'set', 'list' or 'cache'.";
constexpr char kRenameDoc[] =
    "rename($self, old, new, /, *, replace=False)\n--\n\n"
    "Rename a collection, in one step: readers see the old or the new one. An existing `new` is an ArgumentError, or\n"
    "is dropped with replace=True.";
constexpr char kDropDoc[] =
    "drop($self, name, /)\n--\n\nDelete a collection and all it holds. Returns whether there was one.";
constexpr char kStatsDoc[] =
    "stats($self, /, *, memory=False)\n--\n\n"
    "Figures about the store as a dict: keys (of the root), used_bytes, committed_bytes, pinned_bytes (held only by "
    "views),\n"
    "pins, transactions, recoveries, max_memory, parts (the same per part), collections, path (of the data directory, "
    "or "
    "None),\n"
    "durability (None without one; else sync, log_bytes, unsynced_bytes, checkpoint..., and failure: why nothing can "
    "be\n"
    "written any more, or None)\n"
    "processes (those attached now: pid -> {'pinned_bytes': what its views keep}) and jemalloc (of this process's "
    "malloc:\n"
    "allocated_bytes, active_bytes, resident_bytes, mapped_bytes, retained_bytes; None if that is another malloc).\n\n"
    "Args:\n"
    "    memory: count the bytes of each collection in each part, too: {'': [...], 'name': [...]}, '' for the root. "
    "It\n"
    "        walks everything, and writers wait meanwhile, as for verify().";
constexpr char kVerifyDoc[] =
    "verify($self, /)\n--\n\n"
    "Walk every structure and count memory again. Returns a line per violation found: [] is a sound store.";
constexpr char kFlushDoc[] =
    "flush($self, /)\n--\n\n"
    "Return when everything written so far is on disk. Does nothing for a store without a data directory.\n\n"
    "Raises:\n"
    "    StorageIOError: the disk refused it; then nothing more can be written until the store is opened anew.";
constexpr char kCheckpointDoc[] =
    "checkpoint($self, /)\n--\n\n"
    "Write what the store holds beside the log, which begins anew, so that the next opening is quick. Others read and\n"
    "write meanwhile. Happens by itself as the log grows. Does nothing for a store without a data directory.";
constexpr char kBackupDoc[] =
    "backup($self, path, /)\n--\n\n"
    "Copy the store to a new data directory, while others read and write: what it held at an instant before the\n"
    "return. The copy opens as any store; it is there whole or not at all. Caches are left out.\n\n"
    "Args:\n"
    "    path: where nothing is, or an empty directory. Its parent must exist.\n\n"
    "Raises:\n"
    "    ArgumentError: something is there, or this store is in memory.\n"
    "    StorageIOError: a disk refused it.";
constexpr char kCloseDoc[] =
    "close($self, /)\n--\n\n"
    "Close this Storage and the collections opened through it: using them raises ClosedError. Views stay readable. "
    "The\n"
    "store itself goes on for other handles; a data directory is left with the last one.";

PyMethodDef methods[] = {
    {"memory", method<make_private_storage>(), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, kMemoryDoc},
    {"hash", method<hash>(), METH_FASTCALL | METH_KEYWORDS, kHashDoc},
    {"map", method<open_ordered_collection<CollectionKind::kMap>>(), METH_FASTCALL | METH_KEYWORDS, kMapDoc},
    {"set", method<open_ordered_collection<CollectionKind::kSet>>(), METH_FASTCALL | METH_KEYWORDS, kSetDoc},
    {"list", method<list>(), METH_O, kListDoc},
    {"cache", method<storage_cache>(), METH_FASTCALL | METH_KEYWORDS, kCacheDoc},
    {"collections", method<collections>(), METH_NOARGS, kCollectionsDoc},
    {"rename", method<rename>(), METH_FASTCALL | METH_KEYWORDS, kRenameDoc},
    {"drop", method<drop>(), METH_O, kDropDoc},
    {"load_csv", method<storage_load_csv>(), METH_FASTCALL | METH_KEYWORDS, kLoadCsvDoc},
    {"stats", method<stats>(), METH_FASTCALL | METH_KEYWORDS, kStatsDoc},
    {"verify", method<verify>(), METH_NOARGS, kVerifyDoc},
    {"flush", method<flush>(), METH_NOARGS, kFlushDoc},
    {"checkpoint", method<checkpoint>(), METH_NOARGS, kCheckpointDoc},
    {"backup", method<backup>(), METH_O, kBackupDoc},
    {"close", method<close>(), METH_NOARGS, kCloseDoc},
    {"__enter__", method<enter>(), METH_NOARGS, "__enter__($self, /)\n--\n\nThe Storage itself."},
    {"__exit__", method<leave>(), METH_VARARGS, "__exit__($self, exc_type, exc, traceback, /)\n--\n\nCloses it."},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"closed", &Guarded<closed>::call, nullptr, "Whether close() was called.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>(
         "Storage(path=None, /, *, sync=None, sync_interval=None)\n--\n\n"
         "The store of this process and its children: what the runner's configuration set up, else one in\n"
         "memory. Every Storage() in every thread, interpreter and child process is the same data.\n\n"
         "With a path, the store of that data directory, made (mode 0700) if missing. Equal directories are\n"
         "the same live store in every process of this user, and what was written is there again when it is opened\n"
         "after all of them have ended, in whatever way.\n\n"
         "Args:\n"
         "    sync: what a power failure may take. 'interval' (the default): the writes of the last sync_interval\n"
         "        seconds (1). 'always': nothing, a write returns when it is on disk. 'off': those since the last\n"
         "        flush() or checkpoint(). Given for a store that is open already, it changes that one's.\n\n"
         "Raises:\n"
         "    StoreBusyError: processes that cannot be reached hold the store; it names them and why.\n"
         "    StorageIOError: the directory cannot be made, opened or locked.\n"
         "    CorruptionError: a file in it is damaged; the message names it and the offset.\n\n"
         "A Storage is a Hash, the root, and holds named collections beside it. Names and keys are apart.")},
    {Py_tp_new, slot<make_process_storage>()},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Storage", sizeof(Instance<Collection>), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_MAPPING,
                    slots};

}  // namespace

Ref make_storage(ModuleState& state, std::shared_ptr<StoreHandle> handle) {
  Hash root = in_core([&] { return handle->store->root(); });
  return make_instance(state, state.storage_type.get(), Collection{std::move(handle), std::move(root), nullptr});
}

PyObject* reopen(PyObject* module, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "_open() takes an address and a name");
    return nullptr;
  }
  ModuleState& state = state_of_module(module);
  const bool of_process = args[0] == Py_None;
  const std::string address = of_process ? "" : name_string(state, args[0], "the address of a store");
  auto store = in_core_detached([&] { return of_process ? Store::process_store() : Store::attach(address); });
  const auto origin = of_process ? StoreHandle::Origin::kProcess : StoreHandle::Origin::kPrivate;
  Ref storage = make_storage(state, make_handle(std::move(store), origin));
  const std::string name = name_string(state, args[1], "the name of a collection");
  return name.empty() ? storage.release() : open_named(storage.get(), name);
}

Ref make_ordered(ModuleState& state, std::shared_ptr<StoreHandle> handle, CollectionKind kind, Ordered ordered) {
  const Ref& type = kind == CollectionKind::kMap ? state.map_type : state.set_type;
  return make_instance(state, type.get(), Collection{std::move(handle), std::move(ordered), nullptr});
}

void bind_store(PyObject* module, ModuleState& state) {
  state.storage_type = add_type(module, spec, state.hash_type.get());
}

}  // namespace kv::py
