#include "unsupported.hpp"

#include <cstring>

#include "extension_types.hpp"

namespace kv::py {
namespace {

// True if `type` or a base of it has this name: for classes of packages that need not be imported.
bool descends_from(PyTypeObject* type, const char* name) noexcept {
  PyObject* mro = type->tp_mro;
  for (Py_ssize_t i = 0; mro != nullptr && i < PyTuple_GET_SIZE(mro); ++i) {
    if (std::strcmp(reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(mro, i))->tp_name, name) == 0) return true;
  }
  return false;
}

// The storable type that `type` is derived from, or nullptr.
PyTypeObject* storable_base(ModuleState& state, PyTypeObject* type) {
  PyObject* mro = type->tp_mro;
  for (Py_ssize_t i = 1; mro != nullptr && i < PyTuple_GET_SIZE(mro); ++i) {
    auto* base = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(mro, i));
    for (PyTypeObject* known : {&PyLong_Type, &PyFloat_Type, &PyUnicode_Type, &PyBytes_Type, &PyTuple_Type,
                                &PyList_Type, &PyDict_Type, &PyByteArray_Type}) {
      if (base == known) return base;
    }
    if (std::strcmp(base->tp_name, "array.array") == 0 || extension_of(state, base) != Extension::kNone) return base;
  }
  return nullptr;
}

[[noreturn]] void refuse_subclass(ModuleState& state, PyTypeObject* type, PyTypeObject* base) {
  const char* dot = std::strrchr(base->tp_name, '.');
  const char* name = dot == nullptr ? base->tp_name : dot + 1;
  fail(state, ErrorClass::kKind, "%s is a subclass of %s and would come back as %s: convert it with %s(value)",
       type->tp_name, name, name, name);
}

}  // namespace

void refuse_unless_exporter(ModuleState& state, PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (PyTypeObject* base = storable_base(state, type)) refuse_subclass(state, type, base);
  if (descends_from(type, "numpy.generic")) {
    fail(state, ErrorClass::kKind,
         "%s is a NumPy scalar: convert it with value.item(), or np.asarray(value) for an array", type->tp_name);
  }
  if (descends_from(type, "numpy.ndarray")) {
    fail(state, ErrorClass::kKind,
         "%s is a subclass of ndarray and would come back as ndarray: convert it with np.asarray(value)",
         type->tp_name);
  }
  if (PyObject_CheckBuffer(object)) return;
  fail(state, ErrorClass::kKind,
       "values of type %s are not stored: use None, bool, int, float, str, bytes, a date or time, Decimal, UUID, an "
       "array, "
       "or tuple, list, dict of these",
       type->tp_name);
}

void refuse_object_array(ModuleState& state) {
  fail(state, ErrorClass::kKind,
       "arrays of Python objects are not stored: convert the array with astype(...) or store array.tolist()");
}

}  // namespace kv::py
