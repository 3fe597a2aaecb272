#include "ordered_codec.hpp"

#include <cstring>

#include "array_codec.hpp"
#include "extension_types.hpp"
#include "matches.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

[[nodiscard]] Ref as_bytes(const std::string& key) {
  return checked(PyBytes_FromStringAndSize(key.data(), static_cast<Py_ssize_t>(key.size())));
}

Ref encode_integer(ModuleState& state, PyObject* key) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(key, &overflow);
  if (overflow != 0) fail(state, ErrorClass::kOverflow, "an int key has at most 64 bits: %R does not fit", key);
  return as_bytes(ordered_key::of_integer(KeyType::kInt, number));
}

Ref encode_text(PyObject* key) {
  if (const ByteView ascii = ascii_bytes(key); ascii.data() != nullptr) {
    return as_bytes(ordered_key::of_bytes(KeyType::kText, ascii));
  }
  Ref encoded = checked(PyUnicode_AsEncodedString(key, "utf-8", "surrogatepass"));
  return as_bytes(ordered_key::of_bytes(KeyType::kText, bytes_of(encoded.get())));
}

Ref encode_datetime(ModuleState& state, PyObject* key) {
  if (attribute(key, "tzinfo").get() != Py_None) {
    fail(state, ErrorClass::kKind,
         "a datetime key has no time zone: use .astimezone(timezone.utc).replace(tzinfo=None) for all keys");
  }
  return as_bytes(ordered_key::of_integer(KeyType::kDatetime, microseconds_from_datetime(key)));
}

[[noreturn]] void refuse(ModuleState& state, PyObject* key) {
  const char* type = Py_TYPE(key)->tp_name;
  if (PyBool_Check(key)) fail(state, ErrorClass::kKind, "a key is no bool: use int(key)");
  fail(state, ErrorClass::kKind, "a key is an int, float, str, bytes, date or datetime (exactly), not %s", type);
}

// 8 bytes for each key or value, end to end, as an array.
Ref array_of(ModuleState& state, std::vector<char> bytes, const char* dtype) {
  if (bytes.empty()) return checked(PyObject_CallMethod(numpy_module().get(), "empty", "is", 0, dtype));
  Ref memory = make_memory(state, std::move(bytes));
  return checked(PyObject_CallMethod(numpy_module().get(), "frombuffer", "Os", memory.get(), dtype));
}

template <class Number>
void append(std::vector<char>& bytes, Number number) {
  static_assert(sizeof number == 8);
  const char* at = reinterpret_cast<const char*>(&number);
  bytes.insert(bytes.end(), at, at + sizeof number);
}

// Calls visit(page, item) for all of the range.
template <class Visit>
void visit_range(PyObject* collection, const KeyRange& range, bool with_values, Visit&& visit) {
  Scan scan = in_core([&] { return open_ordered(collection).scan(range, with_values); });
  for (ScanPage page; in_core([&] { return scan.next(page); });) {
    for (const ScanPage::Item& item : page.items) visit(page, item);
    check(PyErr_CheckSignals());
  }
}

}  // namespace

Ref encode_ordered_key(ModuleState& state, PyObject* key) {
  if (PyLong_CheckExact(key)) return encode_integer(state, key);
  if (PyUnicode_Check(key)) return encode_text(key);
  if (PyFloat_CheckExact(key)) return as_bytes(ordered_key::of_float(PyFloat_AS_DOUBLE(key)));
  if (PyBytes_CheckExact(key)) return as_bytes(ordered_key::of_bytes(KeyType::kBytes, bytes_of(key)));
  const auto* type = reinterpret_cast<PyObject*>(Py_TYPE(key));
  if (type == date_type(state)) return as_bytes(ordered_key::of_integer(KeyType::kDate, days_from_date(key)));
  if (type == datetime_type(state)) return encode_datetime(state, key);
  refuse(state, key);
}

Ref decode_ordered_key(ModuleState& state, ByteView key) {
  switch (key_type_of(key)) {
    case KeyType::kInt:
      return checked(PyLong_FromLongLong(ordered_key::integer(key)));
    case KeyType::kFloat:
      return checked(PyFloat_FromDouble(ordered_key::floating(key)));
    case KeyType::kText:
      return text_object(ordered_key::bytes(key));
    case KeyType::kBytes: {
      const ByteView bytes = ordered_key::bytes(key);
      return checked(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
    }
    case KeyType::kDate:
      return date_from_days(state, ordered_key::integer(key));
    case KeyType::kDatetime:
      return datetime_from_microseconds(state, ordered_key::integer(key));
    case KeyType::kUnknown:
      break;
  }
  fail(state, ErrorClass::kCorruption, "a stored key has no type");
}

KeyType key_type_argument(ModuleState& state, PyObject* type) {
  if (type == nullptr || type == Py_None) return KeyType::kUnknown;
  if (type == reinterpret_cast<PyObject*>(&PyLong_Type)) return KeyType::kInt;
  if (type == reinterpret_cast<PyObject*>(&PyFloat_Type)) return KeyType::kFloat;
  if (type == reinterpret_cast<PyObject*>(&PyUnicode_Type)) return KeyType::kText;
  if (type == reinterpret_cast<PyObject*>(&PyBytes_Type)) return KeyType::kBytes;
  if (type == date_type(state)) return KeyType::kDate;
  if (type == datetime_type(state)) return KeyType::kDatetime;
  fail(state, ErrorClass::kKind, "key= is int, float, str, bytes, date or datetime, not %R", type);
}

Ref comparable_key(PyObject* collection, PyObject* key) {
  Ref encoded = encode_ordered_key(state_of(collection), key);
  const Ordered& core = open_ordered(collection);
  const KeyType present = in_core([&] { return core.key_type(); });
  const KeyType given = key_type_of(bytes_of(encoded.get()));
  if (present != KeyType::kUnknown && present != given) throw_mixed_keys(present, given);
  return encoded;
}

Ref ordered_keys_array(PyObject* collection, const KeyRange& range) {
  ModuleState& state = state_of(collection);
  const Ordered& core = open_ordered(collection);
  const KeyType type = in_core([&] { return core.key_type(); });
  const char* dtype = nullptr;
  if (type == KeyType::kInt || type == KeyType::kUnknown) dtype = "i8";
  if (type == KeyType::kFloat) dtype = "f8";
  if (type == KeyType::kDate) dtype = "M8[D]";
  if (type == KeyType::kDatetime) dtype = "M8[us]";
  if (dtype == nullptr) {
    fail(state, ErrorClass::kKind, "keys of type %s make no array of numbers: use list()", key_type_name(type));
  }
  std::vector<char> bytes;
  visit_range(collection, range, false, [&](const ScanPage& page, const ScanPage::Item& item) {
    const ByteView key = page.key(item);
    if (type == KeyType::kFloat) {
      append(bytes, ordered_key::floating(key));
    } else {
      append(bytes, ordered_key::integer(key));
    }
  });
  return array_of(state, std::move(bytes), dtype);
}

Ref ordered_values_array(PyObject* collection, const KeyRange& range) {
  ModuleState& state = state_of(collection);
  std::vector<char> bytes;
  std::optional<ValueType> type;
  visit_range(collection, range, true, [&](const ScanPage& page, const ScanPage::Item& item) {
    const bool number = !item.large && (item.type == ValueType::kInt || item.type == ValueType::kFloat);
    if (!number || type.value_or(item.type) != item.type) {
      fail(state, ErrorClass::kKind, "values_array() needs values that are all int or all float; that of %R is not",
           decode_ordered_key(state, page.key(item)).get());
    }
    type = item.type;
    const ByteView value = page.value(item);
    bytes.insert(bytes.end(), value.begin(), value.end());
  });
  return array_of(state, std::move(bytes), type == ValueType::kInt ? "i8" : "f8");
}

}  // namespace kv::py
