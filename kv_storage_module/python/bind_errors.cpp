// The one table from the core's ErrorCode to Python's exception classes.
//
//   Error (Exception)
//     ArgumentError (ValueError)          KindError (TypeError)           MissingKeyError (KeyError)
//       CsvError                          ClosedError (ValueError)        CapacityError (MemoryError)
//     IntegerOverflowError (OverflowError)
//     StorageIOError (OSError)            StoreBusyError (OSError)        CorruptionError
//     ReentryError (RuntimeError)

#include <cstdarg>
#include <cstring>
#include <exception>
#include <string>

#include "bind.hpp"

namespace kv::py {
namespace {

struct ErrorRow {
  ErrorClass which;
  const char* name;
  ErrorClass parent;
  PyObject* const* builtin;  // nullptr: none beside the parent's
  const char* doc;
};

const ErrorRow kRows[] = {
    {ErrorClass::kError, "kv_storage.Error", ErrorClass::kError, &PyExc_Exception,
     "Base class of every error that the store raises."},
    {ErrorClass::kArgument, "kv_storage.ArgumentError", ErrorClass::kError, &PyExc_ValueError,
     "An argument can never be accepted: a key that is too long, an unknown column, a bad pattern."},
    {ErrorClass::kCsv, "kv_storage.CsvError", ErrorClass::kArgument, nullptr,
     "Malformed input of load_csv.\n\nAttributes: path, line and column, each None where unknown; "
     "line and column count from 1."},
    {ErrorClass::kKind, "kv_storage.KindError", ErrorClass::kError, &PyExc_TypeError,
     "A value, key or collection is of the wrong type for what was asked."},
    {ErrorClass::kMissingKey, "kv_storage.MissingKeyError", ErrorClass::kError, &PyExc_KeyError,
     "The key, collection or column does not exist."},
    {ErrorClass::kClosed, "kv_storage.ClosedError", ErrorClass::kError, &PyExc_ValueError,
     "The Storage was closed, or the collection dropped."},
    {ErrorClass::kCapacity, "kv_storage.CapacityError", ErrorClass::kError, &PyExc_MemoryError,
     "The store is full (max_memory). What it held before the call is unchanged."},
    {ErrorClass::kOverflow, "kv_storage.IntegerOverflowError", ErrorClass::kError, &PyExc_OverflowError,
     "An integer would leave the range of its column or of a 64-bit counter."},
    {ErrorClass::kIo, "kv_storage.StorageIOError", ErrorClass::kError, &PyExc_OSError,
     "A system call failed; errno, strerror and filename as in OSError."},
    {ErrorClass::kBusy, "kv_storage.StoreBusyError", ErrorClass::kError, &PyExc_OSError,
     "The store is held by a process that cannot be reached."},
    {ErrorClass::kReentry, "kv_storage.ReentryError", ErrorClass::kError, &PyExc_RuntimeError,
     "The computation of a cached value asked for that value itself."},
    {ErrorClass::kCorruption, "kv_storage.CorruptionError", ErrorClass::kError, nullptr,
     "Shared memory or a file breaks an invariant. Nothing was guessed; see Storage.verify()."},
};

ErrorClass class_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return ErrorClass::kArgument;
    case ErrorCode::kParse:
      return ErrorClass::kCsv;
    case ErrorCode::kTypeMismatch:
      return ErrorClass::kKind;
    case ErrorCode::kNotFound:
      return ErrorClass::kMissingKey;
    case ErrorCode::kClosed:
    case ErrorCode::kReplaced:
      return ErrorClass::kClosed;
    case ErrorCode::kOverCapacity:
      return ErrorClass::kCapacity;
    case ErrorCode::kOverflow:
      return ErrorClass::kOverflow;
    case ErrorCode::kIo:
      return ErrorClass::kIo;
    case ErrorCode::kCorrupt:
      return ErrorClass::kCorruption;
    case ErrorCode::kBusy:
      return ErrorClass::kBusy;
    case ErrorCode::kReentry:
      return ErrorClass::kReentry;
    case ErrorCode::kInterrupted:
      return ErrorClass::kError;
  }
  return ErrorClass::kError;
}

// Text of the core may quote keys, which need not be UTF-8.
Ref text(std::string_view bytes) {
  return checked(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace"));
}

Ref number_or_none(std::uint64_t number) {
  return number == 0 ? new_reference(Py_None) : checked(PyLong_FromUnsignedLongLong(number));
}

// OSError's own arguments, so that errno, strerror and filename are where Python programs look for them.
Ref os_error(PyObject* error, const Error& cause) {
  if (cause.path().empty())
    return checked(PyObject_CallFunction(error, "iN", cause.os_error(), text(cause.what()).release()));
  Ref reason = text(std::strerror(cause.os_error()));
  Ref path = checked(PyUnicode_DecodeFSDefault(cause.path().c_str()));
  return checked(PyObject_CallFunction(error, "iOO", cause.os_error(), reason.get(), path.get()));
}

Ref csv_error(PyObject* error, const Error& cause) {
  Ref made = checked(PyObject_CallOneArg(error, text(cause.what()).get()));
  Ref path = cause.path().empty() ? new_reference(Py_None) : checked(PyUnicode_DecodeFSDefault(cause.path().c_str()));
  check(PyObject_SetAttrString(made.get(), "path", path.get()));
  check(PyObject_SetAttrString(made.get(), "line", number_or_none(cause.line()).get()));
  check(PyObject_SetAttrString(made.get(), "column", number_or_none(cause.column()).get()));
  return made;
}

void raise_error(const Error& cause) {
  if (cause.code() == ErrorCode::kInterrupted && PyErr_Occurred() != nullptr) return;
  ModuleState* state = current_state();
  if (state == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, cause.what());
    return;
  }
  PyObject* error = error_class(*state, class_of(cause.code()));
  const bool has_errno = cause.code() == ErrorCode::kIo || (cause.code() == ErrorCode::kBusy && cause.os_error() != 0);
  Ref made = has_errno                           ? os_error(error, cause)
             : cause.code() == ErrorCode::kParse ? csv_error(error, cause)
                                                 : checked(PyObject_CallOneArg(error, text(cause.what()).get()));
  PyErr_SetObject(error, made.get());
}

}  // namespace

void raise_current_exception() noexcept {
  try {
    try {
      throw;
    } catch (const Error& error) {
      raise_error(error);
    }
  } catch (const PythonError&) {
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_Format(PyExc_SystemError, "kv_storage: %s", error.what());
  }
}

void fail(ModuleState& state, ErrorClass which, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  PyErr_FormatV(error_class(state, which), format, arguments);
  va_end(arguments);
  throw PythonError{};
}

void set_missing_key(ModuleState& state, PyObject* key) noexcept {
  PyErr_SetObject(error_class(state, ErrorClass::kMissingKey), key);
}

void bind_errors(PyObject* module, ModuleState& state) {
  for (const ErrorRow& row : kRows) {
    PyObject* parent = error_class(state, row.parent);
    Ref bases;
    if (parent == nullptr) {
      bases = checked(PyTuple_Pack(1, *row.builtin));
    } else {
      bases =
          row.builtin == nullptr ? checked(PyTuple_Pack(1, parent)) : checked(PyTuple_Pack(2, parent, *row.builtin));
    }
    Ref made = checked(PyErr_NewExceptionWithDoc(row.name, row.doc, bases.get(), nullptr));
    check(PyModule_AddObjectRef(module, std::strrchr(row.name, '.') + 1, made.get()));
    state.errors[static_cast<std::size_t>(row.which)] = std::move(made);
  }
  for (const char* name : {"path", "line", "column"}) {
    check(PyObject_SetAttrString(error_class(state, ErrorClass::kCsv), name, Py_None));
  }
}

}  // namespace kv::py
