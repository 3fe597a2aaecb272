// Finding in a List: in, count(), index(), remove().
//
// Equality is Python's. What can be told from the bytes of a value is looked up in the dictionary of the list; for
// anything else the values are compared as Python objects, in their order, as a list does.

#include <cmath>
#include <optional>

#include "list_fields.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

// All values that are equal to an object, as far as bytes can tell.
class Wanted {
 public:
  // False if they cannot.
  [[nodiscard]] bool assign(PyObject* self, PyObject* object) {
    ModuleState& state = state_of(self);
    if (object == Py_None || PyBytes_CheckExact(object) || PyUnicode_CheckExact(object)) {
      values_.push_back(encode_value(state, object, scratch_));
      return true;
    }
    const bool integral = PyLong_CheckExact(object) || PyBool_Check(object);
    if (!integral && !PyFloat_CheckExact(object)) return false;
    const List& core = open_list(self);
    if (in_core([&] { return core.has_opaque_values(); })) return false;  // Decimals, ints of any size
    return integral ? assign_integer(object) : assign_float(PyFloat_AS_DOUBLE(object));
  }
  [[nodiscard]] const std::vector<Value>& values() const noexcept { return values_; }

 private:
  bool assign_integer(PyObject* object) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
      add_integer(number);
      const auto real = static_cast<double>(number);
      // Above 2^53 a double may stand for a neighbour.
      if (real < 0x1p63 && static_cast<long long>(real) == number) add_float(real);
      return true;
    }
    const double real = PyLong_AsDouble(object);
    if (PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      return true;  // larger than any float
    }
    Ref same = checked(PyFloat_FromDouble(real));
    const int equal = PyObject_RichCompareBool(same.get(), object, Py_EQ);
    check(equal);
    if (equal == 1) add_float(real);
    return true;
  }
  bool assign_float(double real) {
    add_float(real);
    if (std::trunc(real) == real && real >= -0x1p63 && real < 0x1p63) add_integer(static_cast<long long>(real));
    return true;
  }
  void add_integer(long long number) {
    values_.push_back({ValueType::kInt, scratch_.copy_number(static_cast<std::int64_t>(number))});
    if (number == 0 || number == 1)
      values_.push_back({ValueType::kBool, scratch_.copy_number(static_cast<char>(number))});
  }
  void add_float(double real) {
    values_.push_back({ValueType::kFloat, scratch_.copy_number(real)});
    if (real == 0) values_.push_back({ValueType::kFloat, scratch_.copy_number(-real)});
  }

  Scratch scratch_;
  std::vector<Value> values_;
};

bool is_equal(PyObject* a, PyObject* b) {
  const int equal = PyObject_RichCompareBool(a, b, Py_EQ);
  check(equal);
  return equal == 1;
}

struct Found {
  std::uint64_t position;
  ValueType type;
  std::string bytes;
};

// The first position in [start, stop) whose value is equal to `object`; each distinct value of a page is compared once.
std::optional<Found> find_by_comparing(PyObject* self, PyObject* object, std::int64_t start, std::int64_t stop) {
  constexpr std::int64_t kPage = 1024;
  ModuleState& state = state_of(self);
  ListItems items;
  for (std::int64_t first = start; first < stop; first += static_cast<std::int64_t>(items.codes.size())) {
    const List& core = open_list(self);
    const std::int64_t last = stop - first < kPage ? stop : first + kPage;
    in_core([&] { core.read({.start = first, .stop = last, .step = 1}, items, 1 << 20); });
    if (items.codes.empty()) return std::nullopt;
    DecodedItems decoded(state, items);
    std::vector<bool> compared(items.values.items.size());
    for (std::size_t i = 0; i < items.codes.size(); ++i) {
      if (compared[items.codes[i]]) continue;
      compared[items.codes[i]] = true;
      if (!is_equal(decoded.at(i).get(), object)) continue;
      const ListValues::Item& item = items.values.items[items.codes[i]];
      return Found{static_cast<std::uint64_t>(first) + i, item.type, std::string(items.values.bytes_of(item))};
    }
  }
  return std::nullopt;
}

constexpr std::uint64_t kLong = 20'000;  // positions, from which on other threads should run while one looks

template <class Call>
auto in_core_for(const List& core, Call&& call) {
  const std::uint64_t length = in_core([&] { return core.size(); });
  if (length < kLong) return in_core(std::forward<Call>(call));
  return in_core_detached(std::forward<Call>(call));
}

}  // namespace

int list_contains(PyObject* self, PyObject* object) {
  Wanted wanted;
  if (!wanted.assign(self, object)) return find_by_comparing(self, object, 0, PY_SSIZE_T_MAX) ? 1 : 0;
  const List& core = open_list(self);
  return in_core([&] { return core.count(wanted.values()); }) != 0 ? 1 : 0;
}

PyObject* list_count(PyObject* self, PyObject* object) {
  Wanted wanted;
  if (wanted.assign(self, object)) {
    const List& core = open_list(self);
    return PyLong_FromUnsignedLongLong(in_core([&] { return core.count(wanted.values()); }));
  }
  const List& core = open_list(self);
  ListItems items;
  in_core_detached([&] { core.read_values(items.values); });
  DecodedItems decoded(state_of(self), items);
  std::uint64_t count = 0;
  for (std::size_t code = 0; code < items.values.items.size(); ++code) {
    const ListValues::Item& item = items.values.items[code];
    if (item.used && is_equal(decoded.value(code).get(), object)) count += item.count;
  }
  return PyLong_FromUnsignedLongLong(count);
}

namespace {

// A bound as list.index() takes it: clamped, and anything but an index is a TypeError.
Py_ssize_t bound_argument(PyObject* bound) {
  if (PyIndex_Check(bound) == 0) {
    PyErr_SetString(PyExc_TypeError, "slice indices must be integers or have an __index__ method");
    throw PythonError{};
  }
  const Py_ssize_t value = PyNumber_AsSsize_t(bound, nullptr);
  if (value == -1 && PyErr_Occurred() != nullptr) throw PythonError{};
  return value;
}

}  // namespace

PyObject* list_index(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count < 1 || count > 3) {
    return PyErr_Format(PyExc_TypeError, "index() takes 1 to 3 positional arguments, not %zd", count);
  }
  Py_ssize_t start = count > 1 ? bound_argument(args[1]) : 0;
  Py_ssize_t stop = count > 2 ? bound_argument(args[2]) : PY_SSIZE_T_MAX;
  Wanted wanted;
  std::optional<std::uint64_t> position;
  if (wanted.assign(self, args[0])) {
    const List& core = open_list(self);
    position = in_core_for(core, [&] { return core.find(wanted.values(), start, stop); });
  } else {
    const List& core = open_list(self);
    const auto length = static_cast<Py_ssize_t>(in_core([&] { return core.size(); }));
    if (start < 0) start = start + length < 0 ? 0 : start + length;
    if (stop < 0) stop = stop + length < 0 ? 0 : stop + length;
    if (auto found = find_by_comparing(self, args[0], start, stop)) position = found->position;
  }
  if (position) return PyLong_FromUnsignedLongLong(*position);
  return PyErr_Format(PyExc_ValueError, "%R is not in list", args[0]);
}

PyObject* list_remove(PyObject* self, PyObject* object) {
  Wanted wanted;
  bool removed = false;
  if (wanted.assign(self, object)) {
    List& core = open_list(self);
    removed = in_core_for(core, [&] { return core.remove(wanted.values()); });
  } else {
    // Somebody else may remove it between: then another one is looked for.
    while (!removed) {
      const auto found = find_by_comparing(self, object, 0, PY_SSIZE_T_MAX);
      if (!found) break;
      List& core = open_list(self);
      const Value value{found->type, found->bytes};
      removed = in_core_for(core, [&] { return core.remove({&value, 1}); });
    }
  }
  if (removed) Py_RETURN_NONE;
  PyErr_SetString(PyExc_ValueError, "list.remove(x): x not in list");
  return nullptr;
}

}  // namespace kv::py
