// What the files of the binding share: the module's state, the layout of its objects, and one make_* function per type.
#pragma once

#include <Python.h>

#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gil.hpp"
#include "guard.hpp"
#include "kv_storage/store.hpp"
#include "ref.hpp"

namespace kv::py {

// One row per Python class an error can have; bind_errors.cpp maps ErrorCode to them.
enum class ErrorClass {
  kError,
  kArgument,
  kCsv,
  kKind,
  kMissingKey,
  kClosed,
  kCapacity,
  kOverflow,
  kIo,
  kBusy,
  kReentry,
  kCorruption,
  kCount,
};

// Everything Python that the module holds on to: one per interpreter, owned by its module object. No static PyObject
// exists, so that interpreters share nothing but the store.
struct ModuleState {
  Ref errors[static_cast<std::size_t>(ErrorClass::kCount)];
  Ref collection_type, hash_type, record_hash_type, storage_type, map_type, set_type;
  Ref matches_type, keys_view_type, values_view_type, items_view_type, iterator_type;
  Ref view_type, key_type, record_type, edit_type, cache_type, list_type, list_iterator_type;
  Ref missing;  // the MISSING singleton

  // Filled when first needed: importing the module imports nothing but what Python has loaded anyway.
  Ref date_type, datetime_type, time_type, timedelta_type, timezone_type, zoneinfo_type, decimal_type, uuid_type;
  Ref ndarray_type;
  Ref dtypes;                // dict: what determines a dtype (bytes) -> numpy.dtype
  Ref last_key, last_dtype;  // the entry of `dtypes` used last
  Ref stored_dtype;          // of the array stored last, with what array_codec.cpp makes of it:
  Py_ssize_t stored_itemsize = 0;
  std::string stored_key;
  Ref record_classes;  // dict: column names (tuple) -> subclass of Record
  Ref memoize;         // of memoize.py

  template <class Visit>
  int each(Visit visit) {
    for (Ref& error : errors) {
      if (int stop = visit(error)) return stop;
    }
    for (Ref* ref :
         {&collection_type,  &hash_type,       &record_hash_type, &storage_type,      &matches_type, &keys_view_type,
          &values_view_type, &items_view_type, &iterator_type,    &view_type,         &key_type,     &record_type,
          &edit_type,        &missing,         &date_type,        &datetime_type,     &time_type,    &timedelta_type,
          &map_type,         &set_type,        &timezone_type,    &zoneinfo_type,     &decimal_type, &uuid_type,
          &ndarray_type,     &stored_dtype,    &last_key,         &last_dtype,        &dtypes,       &record_classes,
          &cache_type,       &memoize,         &list_type,        &list_iterator_type}) {
      if (int stop = visit(*ref)) return stop;
    }
    return 0;
  }
};

[[nodiscard]] ModuleState& state_of_module(PyObject* module);           // throws ImportError while it is being built
[[nodiscard]] ModuleState& state_of_type(PyTypeObject* type) noexcept;  // of a type of ours
[[nodiscard]] ModuleState* current_state() noexcept;  // of this interpreter; nullptr before the import

// ---- Objects: a header, the state of the module they belong to, and C++ fields ----

template <class Fields>
struct Instance {
  PyObject_HEAD ModuleState* state;
  Fields fields;
};

template <class Fields>
[[nodiscard]] Instance<Fields>& instance(PyObject* self) noexcept {
  return *reinterpret_cast<Instance<Fields>*>(self);
}
template <class Fields>
[[nodiscard]] Fields& fields(PyObject* self) noexcept {
  return instance<Fields>(self).fields;
}
[[nodiscard]] inline ModuleState& state_of(PyObject* self) noexcept {
  struct Head {
    PyObject_HEAD ModuleState* state;
  };
  return *reinterpret_cast<Head*>(self)->state;
}

// A new object of `type`, which must have been made with Instance<Fields> as its layout.
template <class Fields>
[[nodiscard]] Ref make_instance(ModuleState& state, PyObject* type, Fields&& fields) {
  auto* python_type = reinterpret_cast<PyTypeObject*>(type);
  Ref self = checked(python_type->tp_alloc(python_type, 0));
  auto& made = instance<std::remove_reference_t<Fields>>(self.get());
  made.state = &state;
  new (&made.fields) std::remove_reference_t<Fields>(std::forward<Fields>(fields));
  return self;
}

template <class Fields>
void deallocate(PyObject* self) noexcept {
  PyTypeObject* type = Py_TYPE(self);
  fields<Fields>(self).~Fields();
  type->tp_free(self);
  Py_DECREF(type);
}

// ---- Storage and its collections ----

// What Storage.close() closes: shared by a Storage object and the collections opened through it.
struct StoreHandle {
  enum class Origin { kProcess, kPrivate };
  StoreHandle(std::shared_ptr<Store> opened, Origin from) noexcept : store(std::move(opened)), origin(from) {}
  std::shared_ptr<Store> store;
  Origin origin;
  std::atomic<bool> closed = false;
};

class RecordCodec;  // record_codec.hpp

// Layout of Hash, RecordHash, Storage (which is the root Hash), Map and Set.
struct Collection {
  std::shared_ptr<StoreHandle> handle;
  std::variant<Hash, RecordHash, Ordered> core;
  std::shared_ptr<RecordCodec> codec;  // of a RecordHash
};

// The collection behind `self`. Throws Error{kClosed} after close().
[[nodiscard]] inline Collection& open_collection(PyObject* self) {
  auto& collection = fields<Collection>(self);
  if (collection.handle->closed.load(std::memory_order_relaxed)) [[unlikely]] {
    throw Error(ErrorCode::kClosed, "this Storage was closed");
  }
  return collection;
}
// Of a Map, the Hash that it is at bottom. Throws Error{kTypeMismatch} for a RecordHash, which inherits from Hash in
// Python.
[[nodiscard]] inline Hash& open_hash(PyObject* self) {
  auto& core = open_collection(self).core;
  if (auto* hash = std::get_if<Hash>(&core)) [[likely]]
    return *hash;
  if (auto* ordered = std::get_if<Ordered>(&core)) return *ordered;
  throw Error(ErrorCode::kTypeMismatch,
              "a collection with a schema has records, not single values: use get() and set_fields()");
}
[[nodiscard]] inline RecordHash& open_records(PyObject* self) {
  return std::get<RecordHash>(open_collection(self).core);
}

// Whether the keys of a collection are typed: of a Map or Set.
[[nodiscard]] inline bool is_ordered(PyObject* collection) noexcept {
  return std::holds_alternative<Ordered>(fields<Collection>(collection).core);
}
[[nodiscard]] inline Ordered& open_ordered(PyObject* self) { return std::get<Ordered>(open_collection(self).core); }

[[nodiscard]] Ref make_ordered(ModuleState& state, std::shared_ptr<StoreHandle> handle, CollectionKind kind,
                               Ordered ordered);
[[nodiscard]] Ref make_list(ModuleState& state, std::shared_ptr<StoreHandle> handle, List list);
[[nodiscard]] Ref make_storage(ModuleState& state, std::shared_ptr<StoreHandle> handle);
[[nodiscard]] Ref make_hash(ModuleState& state, std::shared_ptr<StoreHandle> handle, Hash hash);
[[nodiscard]] Ref make_records(ModuleState& state, std::shared_ptr<StoreHandle> handle, RecordHash records);

// Calls `call` with the kv::Hash, kv::RecordHash or kv::Ordered behind `self`.
template <class Call>
decltype(auto) with_core(PyObject* self, Call&& call) {
  return std::visit(std::forward<Call>(call), open_collection(self).core);
}

// One key's value as a Python object; the new reference may be empty: absent.
[[nodiscard]] Ref read_value(PyObject* collection, ByteView key);

[[nodiscard]] Ref make_matches(PyObject* collection, KeyRange range, std::string description);
[[nodiscard]] Ref make_view(ModuleState& state, Pin pin, ValueType type);
// An exporter that owns plain, writable memory.
[[nodiscard]] Ref make_memory(ModuleState& state, std::vector<char> bytes);
[[nodiscard]] Ref make_slab_view(ModuleState& state, Pin pin, ByteView records);
// An exporter of no elements in a PEP 3118 format.
[[nodiscard]] Ref make_empty_export(ModuleState& state, ByteView format, Py_ssize_t itemsize);
[[nodiscard]] Ref make_edit(PyObject* hash, PyObject* key);

// ---- Errors ----

[[nodiscard]] inline PyObject* error_class(ModuleState& state, ErrorClass which) noexcept {
  return state.errors[static_cast<std::size_t>(which)].get();
}
// Sets the Python exception and throws PythonError; `format` as for PyErr_Format.
[[noreturn]] void fail(ModuleState& state, ErrorClass which, const char* format, ...);
void set_missing_key(ModuleState& state, PyObject* key) noexcept;

// ---- Registration: each adds its types to the state and to the module ----

void bind_errors(PyObject* module, ModuleState& state);
void bind_collection(PyObject* module, ModuleState& state);  // each before those derived from it
void bind_hash(PyObject* module, ModuleState& state);
void bind_records(PyObject* module, ModuleState& state);
void bind_map(PyObject* module, ModuleState& state);
void bind_set(PyObject* module, ModuleState& state);
void bind_store(PyObject* module, ModuleState& state);
void bind_matches(PyObject* module, ModuleState& state);
void bind_iterator(PyObject* module, ModuleState& state);
void bind_buffer(PyObject* module, ModuleState& state);
void bind_key(PyObject* module, ModuleState& state);
void bind_record(PyObject* module, ModuleState& state);
void bind_edit(PyObject* module, ModuleState& state);
void bind_cache(PyObject* module, ModuleState& state);
void bind_list(PyObject* module, ModuleState& state);
void bind_arrow(PyObject* module, ModuleState& state);  // after the types it adds methods to

// Makes a heap type of the module; `base` may be nullptr.
[[nodiscard]] Ref make_type(PyObject* module, PyType_Spec& spec, PyObject* base = nullptr);
// The same, and adds it to the module under its name.
[[nodiscard]] Ref add_type(PyObject* module, PyType_Spec& spec, PyObject* base = nullptr);
// Registers `type` with an abstract base class of collections.abc.
void register_abc(PyObject* type, const char* abstract_class);

}  // namespace kv::py
