#include "schema_argument.hpp"

#include "array_codec.hpp"
#include "extension_types.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

// The spelling of a numpy.dtype, or of what numpy.dtype() takes: "<f4" without its byte order.
std::string dtype_spelling(ModuleState& state, PyObject* type) {
  Ref dtype = checked(PyObject_CallMethod(numpy_module().get(), "dtype", "O", type));
  std::string text = key_string(state, attribute(dtype.get(), "str").get());
  if (text.front() == '>') {
    fail(state, ErrorClass::kArgument, "columns are little endian: %R is not, use its newbyteorder('<')", dtype.get());
  }
  text.erase(0, 1);
  if (text.front() == 'U' || text.front() == 'O') return "category";
  if (text.starts_with("M8[") && text != "M8[D]") return "datetime";
  return text;
}

std::string class_spelling(ModuleState& state, PyObject* type) {
  if (type == reinterpret_cast<PyObject*>(&PyBool_Type)) return "bool";
  if (type == reinterpret_cast<PyObject*>(&PyLong_Type)) return "int64";
  if (type == reinterpret_cast<PyObject*>(&PyFloat_Type)) return "float64";
  if (type == reinterpret_cast<PyObject*>(&PyUnicode_Type)) return "category";
  switch (extension_of(state, reinterpret_cast<PyTypeObject*>(type))) {
    case Extension::kDate:
      return "date";
    case Extension::kDatetime:
      return "datetime";
    default:
      return dtype_spelling(state, type);
  }
}

Schema schema_of_mapping(ModuleState& state, PyObject* mapping) {
  std::vector<Column> columns;
  Ref items = checked(PyMapping_Items(mapping));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    PyObject* item = PyList_GET_ITEM(items.get(), i);
    columns.push_back(Schema::parse_type(name_string(state, PyTuple_GET_ITEM(item, 0), "a column name"),
                                         type_spelling(state, PyTuple_GET_ITEM(item, 1))));
  }
  return Schema(std::move(columns));
}

Schema schema_of_dtype(ModuleState& state, PyObject* dtype) {
  std::vector<Column> columns;
  Ref names = attribute(dtype, "names");
  if (names.get() == Py_None) fail(state, ErrorClass::kArgument, "the dtype %R has no fields to be columns", dtype);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names.get()); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names.get(), i);
    Ref field = checked(PyObject_GetItem(dtype, name));
    columns.push_back(Schema::parse_type(key_string(state, name), dtype_spelling(state, field.get())));
  }
  return Schema(std::move(columns));
}

}  // namespace

std::string type_spelling(ModuleState& state, PyObject* type) {
  if (PyUnicode_Check(type)) return key_string(state, type);
  if (PyType_Check(type)) return class_spelling(state, type);
  if (PyObject_HasAttrString(type, "itemsize")) return dtype_spelling(state, type);
  fail(state, ErrorClass::kKind, "a column type is text such as 'f4', a type or a numpy.dtype, not %R", type);
}

Schema schema_argument(ModuleState& state, PyObject* schema) {
  if (PyObject_HasAttrString(schema, "names")) return schema_of_dtype(state, schema);
  if (PyMapping_Check(schema) && PyObject_HasAttrString(schema, "keys")) return schema_of_mapping(state, schema);
  fail(state, ErrorClass::kKind, "schema is a dict of column names and types, or a structured numpy.dtype, not %s",
       Py_TYPE(schema)->tp_name);
}

}  // namespace kv::py
