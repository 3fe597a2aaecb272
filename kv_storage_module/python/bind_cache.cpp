// Cache: a bounded collection. One computation per missing key, and memoize(), are in cache_compute.cpp.

#include "args.hpp"
#include "bind.hpp"
#include "cache_methods.hpp"
#include "kv_storage/size.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

// ---- Arguments ----

[[nodiscard]] std::uint64_t capacity_argument(ModuleState& state, PyObject* capacity) {
  if (PyUnicode_Check(capacity)) {
    const std::string text = name_string(state, capacity, "a capacity");
    if (const auto bytes = parse_bytes(text); bytes && *bytes != 0) return *bytes;
    fail(state, ErrorClass::kArgument,
         "%R is not a capacity; accepted: bytes such as 4096, '256MB' (10^6), '1GiB' (2^30)", capacity);
  }
  if (PyBool_Check(capacity) || !PyIndex_Check(capacity)) {
    fail(state, ErrorClass::kKind, "a capacity is an int or a str such as '256MB', not %.100s",
         Py_TYPE(capacity)->tp_name);
  }
  Ref index = checked(PyNumber_Index(capacity));
  int overflow = 0;
  const long long bytes = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
  if (overflow != 0 || bytes <= 0) fail(state, ErrorClass::kArgument, "%R bytes is no capacity for a cache", capacity);
  return static_cast<std::uint64_t>(bytes);
}

[[nodiscard]] Ref make_cache(ModuleState& state, std::shared_ptr<StoreHandle> handle, PyObject* const* given) {
  const std::string name = given[0] == nullptr ? "default" : name_string(state, given[0], "the name of a cache");
  const bool keep = given[1] == nullptr || given[1] == Py_None;
  const std::uint64_t capacity = keep ? 0 : capacity_argument(state, given[1]);
  const std::uint64_t ttl_ms = ttl_argument(state, given[2]);
  Cache core = in_core_detached([&] { return handle->store->cache(name, capacity); });
  return make_instance(state, state.cache_type.get(), CacheFields{std::move(handle), std::move(core), ttl_ms});
}

constexpr const char* kOpenNames[] = {"name", "capacity", "ttl"};

PyObject* make_process_cache(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  PyObject* given[3];
  if (!parse_tuple_arguments("Cache", kOpenNames, 3, 0, 3, args, keywords, given)) return nullptr;
  auto store = in_core_detached([] { return Store::process_store(); });
  auto handle = std::make_shared<StoreHandle>(std::move(store), StoreHandle::Origin::kProcess);
  return make_cache(state_of_type(type), std::move(handle), given).release();
}

// ---- Keys and values ----

constexpr Signature<2> kGet = {"get", {"key", "default"}, 1};

PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kGet.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign(state, given[0])) return nullptr;
  const Cache& cache = open_cache(self).core;
  ValueBuffer buffer;
  if (in_core([&] { return cache.get(key.view(), buffer); })) return decode_read(state, buffer);
  return Py_NewRef(given[1] == nullptr ? Py_None : given[1]);
}

constexpr Signature<3> kPut = {"put", {"key", "value", "ttl"}, 2};

PyObject* put(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[3];
  if (!kPut.parse(args, count, keywords, given)) return nullptr;
  KeyBytes key;
  if (!key.assign(state_of(self), given[0])) return nullptr;
  Cache& cache = open_cache(self).core;
  const std::uint64_t ttl_ms = cache_ttl(self, given[2]);
  Scratch scratch;
  const Value value = encode_value(state_of(self), given[1], scratch);
  return PyBool_FromLong(in_core([&] { return cache.put(key.view(), value, ttl_ms); }));
}

PyObject* remove(PyObject* self, PyObject* key_object) {
  KeyBytes key;
  if (!key.assign(state_of(self), key_object)) return nullptr;
  Cache& cache = open_cache(self).core;
  return PyBool_FromLong(in_core([&] { return cache.erase(key.view()); }));
}

constexpr Signature<2> kPop = {"pop", {"", ""}, 1};

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kPop.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign(state, given[0])) return nullptr;
  Cache& cache = open_cache(self).core;
  ValueBuffer buffer;
  if (in_core([&] { return cache.take(key.view(), buffer); })) return decode_read(state, buffer);
  if (given[1] != nullptr) return Py_NewRef(given[1]);
  set_missing_key(state, given[0]);
  return nullptr;
}

int contains(PyObject* self, PyObject* key_object) {
  KeyBytes key;
  if (!key.assign(state_of(self), key_object)) return -1;
  const Cache& cache = open_cache(self).core;
  return in_core([&] { return cache.contains(key.view()); });
}

Py_ssize_t length(PyObject* self) {
  const Cache& cache = open_cache(self).core;
  return static_cast<Py_ssize_t>(in_core([&] { return cache.size(); }));
}

// A cache is there even while it is empty.
int is_true(PyObject*) { return 1; }

PyObject* clear(PyObject* self, PyObject*) {
  Cache& cache = open_cache(self).core;
  in_core_detached([&] { cache.clear(); });
  Py_RETURN_NONE;
}

PyObject* resize(PyObject* self, PyObject* capacity) {
  const std::uint64_t bytes = capacity_argument(state_of(self), capacity);
  Cache& cache = open_cache(self).core;
  in_core_detached([&] { cache.resize(bytes); });
  Py_RETURN_NONE;
}

PyObject* stats(PyObject* self, PyObject*) {
  const Cache& cache = open_cache(self).core;
  const CacheStats all = in_core([&] { return cache.stats(); });
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "hits", all.hits, "misses", all.misses, "evictions",
                       all.evictions, "expirations", all.expirations, "refused", all.refused, "entries", all.entries,
                       "bytes", all.bytes, "capacity", all.capacity);
}

// ---- Names ----

PyObject* name(PyObject* self, void*) { return decode_key(fields<CacheFields>(self).core.name()); }

PyObject* ttl(PyObject* self, void*) {
  const std::uint64_t ttl_ms = fields<CacheFields>(self).ttl_ms;
  return ttl_ms == kNoTtl ? Py_NewRef(Py_None) : PyFloat_FromDouble(static_cast<double>(ttl_ms) / 1000);
}

PyObject* represent(PyObject* self) {
  const CacheFields& cache = fields<CacheFields>(self);
  Ref quoted = checked(PyObject_Repr(key_object(cache.core.name()).get()));
  if (cache.handle->closed) return PyUnicode_FromFormat("<kv_storage.Cache %U, closed>", quoted.get());
  const CacheStats all = in_core([&] { return cache.core.stats(); });
  return PyUnicode_FromFormat("<kv_storage.Cache %U, %llu of %llu bytes>", quoted.get(), all.bytes, all.capacity);
}

PyObject* reduce(PyObject* self, PyObject*) {
  const CacheFields& cache = open_cache(self);
  Ref address = cache.handle->origin == StoreHandle::Origin::kProcess ? new_reference(Py_None)
                                                                      : key_object(cache.handle->store->address());
  Ref open = attribute(checked(PyImport_ImportModule("kv_storage")).get(), "_open_cache");
  return Py_BuildValue("N(NNK)", open.release(), address.release(), key_object(cache.core.name()).release(),
                       cache.ttl_ms);
}

void destroy(PyObject* self) noexcept { deallocate<CacheFields>(self); }

constexpr char kTypeDoc[] =
    "Cache(name='default', capacity=None, ttl=None)\n--\n\n"
    "A cache of this process and its children, bounded in bytes. kv.cache(name) is the same of another store.\n\n"
    "    cache = Cache('pages', capacity='512MB')\n"
    "    cache.put('home', page, ttl=60)\n"
    "    page = cache.get_or_compute('home', render)\n\n"
    "Args:\n"
    "    capacity: bytes, or text such as '256MB' (10^6) or '1GiB' (2^30), for keys and values as they lie in memory.\n"
    "        None leaves an existing cache as it is; a new one gets 256MB, and 'default' what `cache` says in the\n"
    "        configuration. Another one than that of an existing cache resizes it, for all who use it.\n"
    "    ttl: seconds after which an entry put through this handle is gone; None is never.";
constexpr char kGetDoc[] =
    "get($self, /, key, default=None)\n--\n\n"
    "The value of a key, or `default`. It may be gone at any time; if it is there, it is what was put last.";
constexpr char kPutDoc[] =
    "put($self, /, key, value, ttl=None)\n--\n\n"
    "Store a value, for `ttl` seconds or as the cache says. Returns whether it was stored: a value that is larger "
    "than\n"
    "the cache is not, and what the key held before is gone.";
constexpr char kDeleteDoc[] = "delete($self, key, /)\n--\n\nDelete a key if it is there. Returns whether it was.";
constexpr char kPopDoc[] =
    "pop($self, key, default=..., /)\n--\n\nDelete a key and return its value; `default`, or KeyError, if it is "
    "absent.";
constexpr char kClearDoc[] = "clear($self, /)\n--\n\nDelete everything. Statistics go on.";
constexpr char kResizeDoc[] =
    "resize($self, capacity, /)\n--\n\nChange the capacity, for all who use the cache, and evict what does not fit.";
constexpr char kStatsDoc[] =
    "stats($self, /)\n--\n\n"
    "Figures as a dict: hits, misses, evictions, expirations, refused (values that were not stored), entries, bytes "
    "(of\n"
    "the entries, as they lie in memory) and capacity. They count what all threads and processes did.";
const PyMethodDef own_methods[] = {
    {"get", method<get>(), METH_FASTCALL | METH_KEYWORDS, kGetDoc},
    {"put", method<put>(), METH_FASTCALL | METH_KEYWORDS, kPutDoc},
    {"delete", method<remove>(), METH_O, kDeleteDoc},
    {"pop", method<pop>(), METH_FASTCALL | METH_KEYWORDS, kPopDoc},
    {"clear", method<clear>(), METH_NOARGS, kClearDoc},
    {"resize", method<resize>(), METH_O, kResizeDoc},
    {"stats", method<stats>(), METH_NOARGS, kStatsDoc},
    {"__reduce__", method<reduce>(), METH_NOARGS, "__reduce__($self, /)\n--\n\nHandles pickle by name."},
};

// Lives as long as the types that refer to it.
std::vector<PyMethodDef>& all_methods() {
  static std::vector<PyMethodDef> all = [] {
    std::vector<PyMethodDef> methods(std::begin(own_methods), std::end(own_methods));
    for (const PyMethodDef& more : cache_compute_methods()) methods.push_back(more);
    methods.push_back({nullptr, nullptr, 0, nullptr});
    return methods;
  }();
  return all;
}

PyGetSetDef properties[] = {
    {"name", &Guarded<name>::call, nullptr, "The cache's name.", nullptr},
    {"ttl", &Guarded<ttl>::call, nullptr, "Seconds that entries put through this handle live; None is for ever.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

std::uint64_t cache_ttl(PyObject* self, PyObject* ttl) {
  if (ttl == nullptr || ttl == Py_None) return fields<CacheFields>(self).ttl_ms;
  return ttl_seconds(state_of(self), ttl);
}

const char kCacheDoc[] =
    "cache($self, /, name='default', capacity=None, ttl=None)\n--\n\n"
    "The Cache of this name, made on first use: see Cache.\n\n"
    "Raises:\n"
    "    KindError: the name is that of another collection.\n"
    "    ArgumentError: a capacity below 4096 bytes or above max_memory.";

PyObject* storage_cache(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  constexpr Signature<3> kCache = {"cache", {"name", "capacity", "ttl"}, 0};
  PyObject* given[3];
  if (!kCache.parse(args, count, keywords, given)) return nullptr;
  return make_cache(state_of(self), open_collection(self).handle, given).release();
}

PyObject* reopen_cache(PyObject* module, PyObject* const* args, Py_ssize_t count) {
  if (count != 3) return PyErr_Format(PyExc_TypeError, "_open_cache() takes an address, a name and a ttl");
  ModuleState& state = state_of_module(module);
  const bool of_process = args[0] == Py_None;
  const std::string address = of_process ? "" : name_string(state, args[0], "the address of a store");
  const std::string cache_name = name_string(state, args[1], "the name of a cache");
  const unsigned long long ttl_ms = PyLong_AsUnsignedLongLong(args[2]);
  if (PyErr_Occurred() != nullptr) return nullptr;
  auto store = in_core_detached([&] { return of_process ? Store::process_store() : Store::attach(address); });
  auto handle = std::make_shared<StoreHandle>(
      std::move(store), of_process ? StoreHandle::Origin::kProcess : StoreHandle::Origin::kPrivate);
  Cache core = in_core_detached([&] { return handle->store->cache(cache_name); });
  return make_instance(state, state.cache_type.get(), CacheFields{std::move(handle), std::move(core), ttl_ms})
      .release();
}

void bind_cache(PyObject* module, ModuleState& state) {
  PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>(kTypeDoc)},
      {Py_tp_new, slot<make_process_cache>()},
      {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
      {Py_tp_methods, all_methods().data()},
      {Py_tp_getset, properties},
      {Py_tp_repr, slot<represent>()},
      {Py_mp_length, slot<length>()},
      {Py_sq_contains, slot<contains>()},
      {Py_nb_bool, slot<is_true>()},
      {0, nullptr},
  };
  PyType_Spec spec = {"kv_storage.Cache", sizeof(Instance<CacheFields>), 0, Py_TPFLAGS_DEFAULT, slots};
  state.cache_type = add_type(module, spec);
}

}  // namespace kv::py
