// Cache: a bounded collection, one computation per missing key, and memoize().

#include "args.hpp"
#include "bind.hpp"
#include "cache_methods.hpp"
#include "kv_storage/size.hpp"
#include "memo_key.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

struct CacheFields {
  std::shared_ptr<StoreHandle> handle;
  Cache core;
  std::uint64_t ttl_ms;  // of entries put without one; kNoTtl = they do not expire
};

[[nodiscard]] CacheFields& open_fields(PyObject* self) {
  auto& cache = fields<CacheFields>(self);
  if (cache.handle->closed.load(std::memory_order_relaxed)) [[unlikely]] {
    throw Error(ErrorCode::kClosed, "this Storage was closed");
  }
  return cache;
}

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

// The ttl of one call: that of the argument, else that of the handle.
[[nodiscard]] std::uint64_t ttl_of_call(PyObject* self, PyObject* ttl) {
  if (ttl == nullptr || ttl == Py_None) return fields<CacheFields>(self).ttl_ms;
  return ttl_seconds(state_of(self), ttl);
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
  const Cache& cache = open_fields(self).core;
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
  Cache& cache = open_fields(self).core;
  const std::uint64_t ttl_ms = ttl_of_call(self, given[2]);
  Scratch scratch;
  const Value value = encode_value(state_of(self), given[1], scratch);
  return PyBool_FromLong(in_core([&] { return cache.put(key.view(), value, ttl_ms); }));
}

PyObject* remove(PyObject* self, PyObject* key_object) {
  KeyBytes key;
  if (!key.assign(state_of(self), key_object)) return nullptr;
  Cache& cache = open_fields(self).core;
  return PyBool_FromLong(in_core([&] { return cache.erase(key.view()); }));
}

constexpr Signature<2> kPop = {"pop", {"", ""}, 1};

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kPop.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  KeyBytes key;
  if (!key.assign(state, given[0])) return nullptr;
  Cache& cache = open_fields(self).core;
  ValueBuffer buffer;
  if (in_core([&] { return cache.take(key.view(), buffer); })) return decode_read(state, buffer);
  if (given[1] != nullptr) return Py_NewRef(given[1]);
  set_missing_key(state, given[0]);
  return nullptr;
}

int contains(PyObject* self, PyObject* key_object) {
  KeyBytes key;
  if (!key.assign(state_of(self), key_object)) return -1;
  const Cache& cache = open_fields(self).core;
  return in_core([&] { return cache.contains(key.view()); });
}

Py_ssize_t length(PyObject* self) {
  const Cache& cache = open_fields(self).core;
  return static_cast<Py_ssize_t>(in_core([&] { return cache.size(); }));
}

// A cache is there even while it is empty.
int is_true(PyObject*) { return 1; }

PyObject* clear(PyObject* self, PyObject*) {
  Cache& cache = open_fields(self).core;
  in_core_detached([&] { cache.clear(); });
  Py_RETURN_NONE;
}

PyObject* resize(PyObject* self, PyObject* capacity) {
  const std::uint64_t bytes = capacity_argument(state_of(self), capacity);
  Cache& cache = open_fields(self).core;
  in_core_detached([&] { cache.resize(bytes); });
  Py_RETURN_NONE;
}

PyObject* stats(PyObject* self, PyObject*) {
  const Cache& cache = open_fields(self).core;
  const CacheStats all = in_core([&] { return cache.stats(); });
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "hits", all.hits, "misses", all.misses, "evictions",
                       all.evictions, "expirations", all.expirations, "refused", all.refused, "entries", all.entries,
                       "bytes", all.bytes, "capacity", all.capacity);
}

// ---- One computation per key ----

// Ends the lease whatever happens; the exception in flight stays as it is.
class LeaseGuard {
 public:
  LeaseGuard(Cache& cache, const CacheLease& lease) noexcept : cache_(cache), lease_(lease) {}
  LeaseGuard(const LeaseGuard&) = delete;
  LeaseGuard& operator=(const LeaseGuard&) = delete;
  ~LeaseGuard() {
    if (done_) return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    try {
      in_core([&] { cache_.abandon(lease_); });
    } catch (const Error&) {  // the store was closed meanwhile: nobody waits there
    }
    PyErr_Restore(type, value, traceback);
  }
  void done() noexcept { done_ = true; }

 private:
  Cache& cache_;
  const CacheLease lease_;
  bool done_ = false;
};

void fill(PyObject* self, const CacheLease& lease, ByteView key, PyObject* object, std::uint64_t ttl_ms) {
  Cache& cache = fields<CacheFields>(self).core;
  LeaseGuard guard(cache, lease);
  Scratch scratch;
  const Value value = encode_value(state_of(self), object, scratch);
  in_core([&] { cache.fill(lease, key, value, ttl_ms); });
  guard.done();
}

// The value of `key`; if it is absent, what `compute` returns.
template <class Compute>
PyObject* found_or_computed(PyObject* self, ByteView key, std::uint64_t ttl_ms, Compute&& compute) {
  Cache& cache = open_fields(self).core;
  ValueBuffer buffer;
  CacheLease lease;
  const std::uint64_t thread = PyThread_get_thread_ident();
  if (in_core([&] { return cache.claim(key, thread, buffer, lease); }) == Claim::kFound) {
    return decode_read(state_of(self), buffer);
  }
  Ref value;
  {
    LeaseGuard guard(cache, lease);
    value = checked(compute());
    guard.done();
  }
  fill(self, lease, key, value.get(), ttl_ms);
  return value.release();
}

constexpr Signature<3> kGetOrCompute = {"get_or_compute", {"key", "fn", "ttl"}, 2};

PyObject* get_or_compute(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[3];
  if (!kGetOrCompute.parse(args, count, keywords, given)) return nullptr;
  KeyBytes key;
  if (!key.assign(state_of(self), given[0])) return nullptr;
  if (PyCallable_Check(given[1]) == 0) {
    fail(state_of(self), ErrorClass::kKind, "get_or_compute() calls fn() for the value: %.100s cannot be called",
         Py_TYPE(given[1])->tp_name);
  }
  const std::uint64_t ttl_ms = ttl_of_call(self, given[2]);
  return found_or_computed(self, key.view(), ttl_ms, [&] { return PyObject_CallNoArgs(given[1]); });
}

// ---- For memoize.py ----

// A function's entries hang together by a random token, itself an entry. Forgetting the token, on purpose or because it
// was evicted, puts them all out of reach: they can never come back.
std::string memo_prefix(PyObject* self, PyObject* name) {
  const std::string key = name_string(state_of(self), name, "the name of a function");
  const Ref token = checked(found_or_computed(self, key, kNoTtl, [&] { return new_token(); }));
  if (!PyBytes_CheckExact(token.get())) {
    fail(state_of(self), ErrorClass::kKind, "memoize() keeps a token under the key %R, which holds something else",
         name);
  }
  return key + '\0' + std::string(bytes_of(token.get()));
}

std::string memo_key_of(PyObject* self, PyObject* name, PyObject* args, PyObject* kwargs) {
  return memo_prefix(self, name) + arguments_key(state_of(self), args, kwargs);
}

PyObject* call(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 5) return PyErr_Format(PyExc_TypeError, "_call(function, name, ttl, args, kwargs)");
  const std::string key = memo_key_of(self, args[1], args[3], args[4]);
  return found_or_computed(self, key, ttl_of_call(self, args[2]),
                           [&] { return PyObject_Call(args[0], args[3], args[4]); });
}

PyObject* memo_key(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 3) return PyErr_Format(PyExc_TypeError, "_memo_key(name, args, kwargs)");
  const std::string key = memo_key_of(self, args[0], args[1], args[2]);
  return PyBytes_FromStringAndSize(key.data(), static_cast<Py_ssize_t>(key.size()));
}

PyObject* try_claim(PyObject* self, PyObject* key_object) {
  KeyBytes key;
  if (!key.assign(state_of(self), key_object)) return nullptr;
  Cache& cache = open_fields(self).core;
  ValueBuffer buffer;
  CacheLease lease;
  const Claim claim = in_core([&] { return cache.try_claim(key.view(), 0, buffer, lease); });
  Ref found = claim == Claim::kFound  ? checked(decode_read(state_of(self), buffer))
              : claim == Claim::kMine ? checked(Py_BuildValue("(KK)", lease.hash, lease.ticket))
                                      : new_reference(Py_None);
  return Py_BuildValue("(iN)", static_cast<int>(claim), found.release());
}

CacheLease lease_argument(PyObject* object) {
  unsigned long long hash = 0, ticket = 0;
  if (PyArg_ParseTuple(object, "KK", &hash, &ticket) == 0) throw PythonError{};
  return {hash, ticket};
}

PyObject* fill_claimed(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 4) return PyErr_Format(PyExc_TypeError, "_fill(key, lease, value, ttl)");
  KeyBytes key;
  if (!key.assign(state_of(self), args[0])) return nullptr;
  fill(self, lease_argument(args[1]), key.view(), args[2], ttl_of_call(self, args[3]));
  Py_RETURN_NONE;
}

PyObject* abandon(PyObject* self, PyObject* lease) {
  { const LeaseGuard guard(open_fields(self).core, lease_argument(lease)); }
  Py_RETURN_NONE;
}

PyObject* wait(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) return PyErr_Format(PyExc_TypeError, "_wait(key, milliseconds)");
  KeyBytes key;
  if (!key.assign(state_of(self), args[0])) return nullptr;
  const long ms = PyLong_AsLong(args[1]);
  if (ms == -1 && PyErr_Occurred() != nullptr) return nullptr;
  const Cache& cache = open_fields(self).core;
  in_core_detached([&] { cache.wait_for(key.view(), static_cast<std::uint32_t>(ms)); });
  Py_RETURN_NONE;
}

PyObject* forget(PyObject* self, PyObject* name) {
  (void)Ref::steal(remove(self, name));
  if (PyErr_Occurred() != nullptr) return nullptr;
  Py_RETURN_NONE;
}

constexpr char kMemoizeSource[] =
#include "memoize_source.inc"
    ;

[[nodiscard]] PyObject* memoize_function(ModuleState& state) {
  if (!state.memoize) {
    Ref code = checked(Py_CompileString(kMemoizeSource, "<kv_storage memoize>", Py_file_input));
    Ref globals = checked(PyDict_New());
    check(PyDict_SetItemString(globals.get(), "__name__", key_object("kv_storage").get()));
    check(PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins()));
    (void)checked(PyEval_EvalCode(code.get(), globals.get(), globals.get()));
    state.memoize = Ref::borrow(PyDict_GetItemString(globals.get(), "memoize"));
  }
  return state.memoize.get();
}

PyObject* memoized(PyObject* self, PyObject* function, PyObject* ttl) {
  ModuleState& state = state_of(self);
  if (PyCallable_Check(function) == 0) fail(state, ErrorClass::kKind, "memoize() wraps functions, not %R", function);
  return PyObject_CallFunctionObjArgs(memoize_function(state), self, function, ttl,
                                      error_class(state, ErrorClass::kReentry), nullptr);
}

// What memoize(ttl=...) returns: a partial of memoize itself.
constexpr Signature<2> kMemoize = {"memoize", {"", "ttl"}, 0, 1};

PyObject* memoize(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kMemoize.parse(args, count, keywords, given)) return nullptr;
  (void)open_fields(self);
  PyObject* ttl = given[1] == nullptr ? Py_None : given[1];
  if (ttl != Py_None) (void)ttl_seconds(state_of(self), ttl);  // refused here, not at the first call
  if (given[0] != nullptr && given[0] != Py_None) return memoized(self, given[0], ttl);
  Ref partial = attribute(checked(PyImport_ImportModule("functools")).get(), "partial");
  Ref method = attribute(self, "memoize");
  Ref positional = checked(PyTuple_Pack(1, method.get()));
  Ref named = checked(Py_BuildValue("{s:O}", "ttl", ttl));
  return PyObject_Call(partial.get(), positional.get(), named.get());
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
  const CacheFields& cache = open_fields(self);
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
constexpr char kGetOrComputeDoc[] =
    "get_or_compute($self, /, key, fn, ttl=None)\n--\n\n"
    "The value of a key; if it is absent, that of fn(), which is stored.\n\n"
    "Of all threads and processes that ask for a missing key at the same time one calls its fn, and the others wait "
    "for\n"
    "the value. If it raises, its caller gets the exception, and one of those that wait tries next; if its process "
    "dies,\n"
    "too. fn runs without any lock.\n\n"
    "Raises:\n"
    "    ReentryError: fn asked for the very key that it computes.";
constexpr char kMemoizeDoc[] =
    "memoize($self, function=None, /, *, ttl=None)\n--\n\n"
    "A decorator: the function is called once for the same arguments, in all processes, while the cache has its "
    "result.\n\n"
    "    @cache.memoize(ttl=60)\n"
    "    def price(item, *, currency='EUR'): ...\n\n"
    "Works for async functions, too. The key is the function's module and qualified name and the arguments, which "
    "must\n"
    "be storable values; 1, 1.0 and True differ, and so do f(1) and f(x=1). The wrapper has cache_clear(),\n"
    "__wrapped__ and cache.";

PyMethodDef methods[] = {
    {"get", method<get>(), METH_FASTCALL | METH_KEYWORDS, kGetDoc},
    {"put", method<put>(), METH_FASTCALL | METH_KEYWORDS, kPutDoc},
    {"delete", method<remove>(), METH_O, kDeleteDoc},
    {"pop", method<pop>(), METH_FASTCALL | METH_KEYWORDS, kPopDoc},
    {"clear", method<clear>(), METH_NOARGS, kClearDoc},
    {"resize", method<resize>(), METH_O, kResizeDoc},
    {"stats", method<stats>(), METH_NOARGS, kStatsDoc},
    {"get_or_compute", method<get_or_compute>(), METH_FASTCALL | METH_KEYWORDS, kGetOrComputeDoc},
    {"memoize", method<memoize>(), METH_FASTCALL | METH_KEYWORDS, kMemoizeDoc},
    {"_call", method<call>(), METH_FASTCALL, "_call($self, function, name, ttl, args, kwargs, /)\n--\n\nOf memoize()."},
    {"_memo_key", method<memo_key>(), METH_FASTCALL, "_memo_key($self, name, args, kwargs, /)\n--\n\nOf memoize()."},
    {"_forget", method<forget>(), METH_O, "_forget($self, name, /)\n--\n\nOf memoize()."},
    {"_try_claim", method<try_claim>(), METH_O, "_try_claim($self, key, /)\n--\n\nOf memoize()."},
    {"_wait", method<wait>(), METH_FASTCALL, "_wait($self, key, milliseconds, /)\n--\n\nOf memoize()."},
    {"_fill", method<fill_claimed>(), METH_FASTCALL, "_fill($self, key, lease, value, ttl, /)\n--\n\nOf memoize()."},
    {"_abandon", method<abandon>(), METH_O, "_abandon($self, lease, /)\n--\n\nOf memoize()."},
    {"__reduce__", method<reduce>(), METH_NOARGS, "__reduce__($self, /)\n--\n\nHandles pickle by name."},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"name", &Guarded<name>::call, nullptr, "The cache's name.", nullptr},
    {"ttl", &Guarded<ttl>::call, nullptr, "Seconds that entries put through this handle live; None is for ever.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(kTypeDoc)},
    {Py_tp_new, slot<make_process_cache>()},
    {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_repr, slot<represent>()},
    {Py_mp_length, slot<length>()},
    {Py_sq_contains, slot<contains>()},
    {Py_nb_bool, slot<is_true>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Cache", sizeof(Instance<CacheFields>), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

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

void bind_cache(PyObject* module, ModuleState& state) { state.cache_type = add_type(module, spec); }

}  // namespace kv::py
