// One computation per missing key over all threads and processes, and what memoize.py is made of.

#include "args.hpp"
#include "bind.hpp"
#include "cache_methods.hpp"
#include "memo_key.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

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
  Cache& cache = open_cache(self).core;
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
  const std::uint64_t ttl_ms = cache_ttl(self, given[2]);
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
  return found_or_computed(self, key, cache_ttl(self, args[2]),
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
  Cache& cache = open_cache(self).core;
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
  fill(self, lease_argument(args[1]), key.view(), args[2], cache_ttl(self, args[3]));
  Py_RETURN_NONE;
}

PyObject* abandon(PyObject* self, PyObject* lease) {
  { const LeaseGuard guard(open_cache(self).core, lease_argument(lease)); }
  Py_RETURN_NONE;
}

PyObject* wait(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) return PyErr_Format(PyExc_TypeError, "_wait(key, milliseconds)");
  KeyBytes key;
  if (!key.assign(state_of(self), args[0])) return nullptr;
  const long ms = PyLong_AsLong(args[1]);
  if (ms == -1 && PyErr_Occurred() != nullptr) return nullptr;
  const Cache& cache = open_cache(self).core;
  in_core_detached([&] { cache.wait_for(key.view(), static_cast<std::uint32_t>(ms)); });
  Py_RETURN_NONE;
}

PyObject* forget(PyObject* self, PyObject* name) {
  KeyBytes key;
  if (!key.assign(state_of(self), name)) return nullptr;
  Cache& cache = open_cache(self).core;
  in_core([&] { cache.erase(key.view()); });
  Py_RETURN_NONE;
}

constexpr char kMemoizeSource[] =
#include "memoize.inc"
    ;

[[nodiscard]] PyObject* memoize_function(ModuleState& state) {
  return filled(state.memoize, [] {
    Ref code = checked(Py_CompileString(kMemoizeSource, "<kv_storage memoize>", Py_file_input));
    Ref globals = checked(PyDict_New());
    check(PyDict_SetItemString(globals.get(), "__name__", key_object("kv_storage").get()));
    check(PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins()));
    (void)checked(PyEval_EvalCode(code.get(), globals.get(), globals.get()));
    return new_reference(PyDict_GetItemString(globals.get(), "memoize"));
  });
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
  (void)open_cache(self);
  PyObject* ttl = given[1] == nullptr ? Py_None : given[1];
  if (ttl != Py_None) (void)ttl_seconds(state_of(self), ttl);  // refused here, not at the first call
  if (given[0] != nullptr && given[0] != Py_None) return memoized(self, given[0], ttl);
  Ref partial = attribute(checked(PyImport_ImportModule("functools")).get(), "partial");
  Ref method = attribute(self, "memoize");
  Ref positional = checked(PyTuple_Pack(1, method.get()));
  Ref named = checked(Py_BuildValue("{s:O}", "ttl", ttl));
  return PyObject_Call(partial.get(), positional.get(), named.get());
}

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

const PyMethodDef methods[] = {
    {"get_or_compute", method<get_or_compute>(), METH_FASTCALL | METH_KEYWORDS, kGetOrComputeDoc},
    {"memoize", method<memoize>(), METH_FASTCALL | METH_KEYWORDS, kMemoizeDoc},
    {"_call", method<call>(), METH_FASTCALL, "_call($self, function, name, ttl, args, kwargs, /)\n--\n\nOf memoize()."},
    {"_memo_key", method<memo_key>(), METH_FASTCALL, "_memo_key($self, name, args, kwargs, /)\n--\n\nOf memoize()."},
    {"_forget", method<forget>(), METH_O, "_forget($self, name, /)\n--\n\nOf memoize()."},
    {"_try_claim", method<try_claim>(), METH_O, "_try_claim($self, key, /)\n--\n\nOf memoize()."},
    {"_wait", method<wait>(), METH_FASTCALL, "_wait($self, key, milliseconds, /)\n--\n\nOf memoize()."},
    {"_fill", method<fill_claimed>(), METH_FASTCALL, "_fill($self, key, lease, value, ttl, /)\n--\n\nOf memoize()."},
    {"_abandon", method<abandon>(), METH_O, "_abandon($self, lease, /)\n--\n\nOf memoize()."},
};

}  // namespace

std::span<const PyMethodDef> cache_compute_methods() noexcept { return methods; }

}  // namespace kv::py
