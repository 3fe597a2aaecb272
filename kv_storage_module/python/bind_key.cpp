// Key: a composed key that is a str. Key("hash", date(2018, 6, 6), 42) == "hash-06-06-2018-42".
//
// A part that holds the separator is refused: two different lists of parts never make the same key.

#include "args.hpp"
#include "bind.hpp"
#include "extension_types.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

struct KeyObject {
  PyUnicodeObject text;
  PyObject* parts;      // tuple: as given
  PyObject* separator;  // str
  PyObject* order;      // str: "dmy" or "ymd"
};

KeyObject& key_of(PyObject* self) noexcept { return *reinterpret_cast<KeyObject*>(self); }

// A date is three parts, so that a separator between them is no separator within one.
Ref date_text(PyObject* date, PyObject* separator, bool year_first) {
  Ref day = attribute(date, "day");
  Ref month = attribute(date, "month");
  Ref year = attribute(date, "year");
  Ref format = checked(year_first ? PyUnicode_FromFormat("%%04d%U%%02d%U%%02d", separator, separator)
                                  : PyUnicode_FromFormat("%%02d%U%%02d%U%%04d", separator, separator));
  Ref numbers = checked(year_first ? PyTuple_Pack(3, year.get(), month.get(), day.get())
                                   : PyTuple_Pack(3, day.get(), month.get(), year.get()));
  return checked(PyUnicode_Format(format.get(), numbers.get()));
}

Ref escaped_percent(PyObject* separator) { return checked(PyObject_CallMethod(separator, "replace", "ss", "%", "%%")); }

Ref plain_text(ModuleState& state, PyObject* part) {
  if (PyUnicode_Check(part)) return checked(PyObject_Str(part));
  if (PyLong_CheckExact(part) || extension_of(state, Py_TYPE(part)) == Extension::kUuid)
    return checked(PyObject_Str(part));
  fail(state, ErrorClass::kKind, "a part of a Key is str, int, date or UUID, not %s", Py_TYPE(part)->tp_name);
}

Ref part_text(ModuleState& state, PyObject* part, PyObject* separator, bool year_first) {
  if (extension_of(state, Py_TYPE(part)) == Extension::kDate) {
    return date_text(part, escaped_percent(separator).get(), year_first);
  }
  Ref text = plain_text(state, part);
  const int holds = PyUnicode_Contains(text.get(), separator);
  check(holds);
  if (holds == 1) {
    fail(state, ErrorClass::kArgument, "the part %R holds the separator %R: choose another with sep=", part, separator);
  }
  return text;
}

bool is_year_first(ModuleState& state, PyObject* order) {
  if (PyUnicode_Check(order)) {
    if (PyUnicode_CompareWithASCIIString(order, "dmy") == 0) return false;
    if (PyUnicode_CompareWithASCIIString(order, "ymd") == 0) return true;
  }
  fail(state, ErrorClass::kArgument, "order is 'dmy' or 'ymd' (which sorts by time), not %R", order);
}

Ref joined(ModuleState& state, PyObject* parts, PyObject* separator, bool year_first) {
  const Py_ssize_t count = PyTuple_GET_SIZE(parts);
  if (count == 0) fail(state, ErrorClass::kArgument, "a Key has at least one part");
  Ref texts = checked(PyTuple_New(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyTuple_SET_ITEM(texts.get(), i, part_text(state, PyTuple_GET_ITEM(parts, i), separator, year_first).release());
  }
  return checked(PyUnicode_Join(separator, texts.get()));
}

void check_separator(ModuleState& state, PyObject* separator) {
  if (!PyUnicode_Check(separator) || PyUnicode_GET_LENGTH(separator) == 0) {
    fail(state, ErrorClass::kArgument, "sep is a str of at least one character, not %R", separator);
  }
}

PyObject* make_key(PyTypeObject* type, PyObject* parts, PyObject* keywords) {
  ModuleState& state = state_of_type(type);
  constexpr const char* kNames[] = {"sep", "order"};
  PyObject* given[2];
  Ref none = checked(PyTuple_New(0));
  if (!parse_tuple_arguments("Key", kNames, 2, 0, 0, none.get(), keywords, given)) return nullptr;
  Ref separator = given[0] == nullptr ? text_object("-") : new_reference(given[0]);
  Ref order = given[1] == nullptr ? text_object("dmy") : new_reference(given[1]);
  check_separator(state, separator.get());
  Ref text = joined(state, parts, separator.get(), is_year_first(state, order.get()));
  Ref arguments = checked(PyTuple_Pack(1, text.get()));
  Ref self = checked(PyUnicode_Type.tp_new(type, arguments.get(), nullptr));
  KeyObject& key = key_of(self.get());
  key.parts = Py_NewRef(parts);
  key.separator = separator.release();
  key.order = order.release();
  return self.release();
}

void destroy(PyObject* self) noexcept {
  PyTypeObject* type = Py_TYPE(self);
  KeyObject& key = key_of(self);
  Py_XDECREF(key.parts);
  Py_XDECREF(key.separator);
  Py_XDECREF(key.order);
  PyUnicode_Type.tp_dealloc(self);
  Py_DECREF(type);
}

PyObject* parts(PyObject* self, void*) { return Py_NewRef(key_of(self).parts); }

PyObject* represent(PyObject* self) {
  Ref text = checked(PyObject_Str(self));
  return PyUnicode_FromFormat("Key(%R)", text.get());
}

PyObject* new_arguments(PyObject* self, PyObject*) {
  const KeyObject& key = key_of(self);
  return Py_BuildValue("O{s:O,s:O}", key.parts, "sep", key.separator, "order", key.order);
}

PyMethodDef methods[] = {
    {"__getnewargs_ex__", method<new_arguments>(), METH_NOARGS,
     "__getnewargs_ex__($self, /)\n--\n\nFor copy and pickle."},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"parts", &Guarded<parts>::call, nullptr, "The parts as they were given, as a tuple.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

constexpr char kDoc[] =
    "Key(*parts, sep='-', order='dmy')\n--\n\n"
    "A key composed of parts: a str, with the parts in .parts.\n\n"
    "    Key('hash', date(2018, 6, 6), 42) == 'hash-06-06-2018-42'\n\n"
    "Args:\n"
    "    parts: str, int, date or UUID. A date counts as three parts: day, month and year.\n"
    "    sep: what stands between the parts. A part that holds it is an ArgumentError: a UUID or a negative number\n"
    "        needs another separator, such as ':'.\n"
    "    order: 'dmy', or 'ymd' for dates that sort by time, as range() needs it.";

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(kDoc)},
    {Py_tp_new, slot<make_key>()},
    {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_repr, slot<represent>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Key", sizeof(KeyObject), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

void bind_key(PyObject* module, ModuleState& state) {
  state.key_type = add_type(module, spec, reinterpret_cast<PyObject*>(&PyUnicode_Type));
}

}  // namespace kv::py
