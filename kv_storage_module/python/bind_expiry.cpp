// expire, persist and ttl: the same for Hash, RecordHash and Storage.

#include <cmath>

#include "args.hpp"
#include "bind.hpp"
#include "hash_methods.hpp"
#include "text.hpp"
#include "ttl_argument.hpp"

namespace kv::py {
namespace {

constexpr double kMaxSeconds = static_cast<double>(kMaxTtlMs) / 1000;

bool is_number(PyObject* object) noexcept {
  if (PyBool_Check(object)) return false;
  const PyNumberMethods* as_number = Py_TYPE(object)->tp_as_number;
  return as_number != nullptr && (as_number->nb_float != nullptr || as_number->nb_index != nullptr);
}

constexpr Signature<2> kExpire = {"expire", {"key", "seconds"}, 2};

}  // namespace

std::uint64_t ttl_seconds(ModuleState& state, PyObject* object) {
  if (is_number(object)) {
    const double seconds = PyFloat_AsDouble(object);
    if (seconds == -1 && PyErr_Occurred() != nullptr) {
      if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw PythonError{};
      PyErr_Clear();
    } else if (seconds > 0 && seconds <= kMaxSeconds) {  // false for NaN
      return static_cast<std::uint64_t>(std::ceil(seconds * 1000));
    }
  }
  fail(state, ErrorClass::kArgument, "a ttl is a number of seconds greater than 0 and at most 1e11, not %R", object);
}

PyObject* hash_expire(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[2];
  if (!kExpire.parse(args, count, keywords, given)) return nullptr;
  KeyBytes key;
  if (!key.assign_in(self, given[0])) return nullptr;
  const std::uint64_t ttl_ms = ttl_seconds(state_of(self), given[1]);
  return PyBool_FromLong(
      with_core(self, [&](auto& core) { return in_core([&] { return core.expire(key.view(), ttl_ms); }); }));
}

PyObject* hash_persist(PyObject* self, PyObject* key_object) {
  KeyBytes key;
  if (!key.assign_in(self, key_object)) return nullptr;
  return PyBool_FromLong(
      with_core(self, [&](auto& core) { return in_core([&] { return core.persist(key.view()); }); }));
}

PyObject* hash_ttl(PyObject* self, PyObject* key_object) {
  KeyBytes key;
  if (!key.assign_in(self, key_object)) return nullptr;
  const std::optional<TimeToLive> left =
      with_core(self, [&](auto& core) { return in_core([&] { return core.time_to_live(key.view()); }); });
  if (!left) {
    set_missing_key(state_of(self), key_object);
    return nullptr;
  }
  if (!left->expires) Py_RETURN_NONE;
  return PyFloat_FromDouble(static_cast<double>(left->ms) / 1000);
}

}  // namespace kv::py
