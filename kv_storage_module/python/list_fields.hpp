// What the files that bind List share.
#pragma once

#include <Python.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bind.hpp"
#include "kv_storage/list.hpp"
#include "value_codec.hpp"

namespace kv::py {

struct ListFields {
  std::shared_ptr<StoreHandle> handle;
  List core;
};

[[nodiscard]] inline List& open_list(PyObject* self) {
  auto& list = fields<ListFields>(self);
  if (list.handle->closed.load(std::memory_order_relaxed)) [[unlikely]] {
    throw Error(ErrorCode::kClosed, "this Storage was closed");
  }
  return list.core;
}
[[nodiscard]] inline bool is_list(ModuleState& state, PyObject* object) noexcept {
  return Py_TYPE(object) == reinterpret_cast<PyTypeObject*>(state.list_type.get());
}

// Objects encoded one after the other, until clear(): what their values refer to stays alive.
class ValueBatch {
 public:
  void add(ModuleState& state, PyObject* object) {
    values_.push_back(encode_value(state, object, scratch_));
    objects_.push_back(new_reference(object));
  }
  [[nodiscard]] const std::vector<Value>& values() const noexcept { return values_; }
  void clear() noexcept {
    values_.clear();
    objects_.clear();
    scratch_.reset();
  }

 private:
  std::vector<Value> values_;
  std::vector<Ref> objects_;
  Scratch scratch_;
};

// Calls take(values) with what an iterable holds, some thousand values at a time, without the GIL. An array gives its
// elements as Python's own numbers and texts. A List is read whole first. Throws PythonError.
void for_each_batch(PyObject* self, PyObject* iterable, const std::function<void(std::span<const Value>)>& take);
// The same with all of them at once.
void with_all_values(PyObject* self, PyObject* iterable, const std::function<void(std::span<const Value>)>& take);

// Copied values as values again; they refer to `items`.
[[nodiscard]] std::vector<Value> values_of(const ListItems& items);

// The objects of a part of a list. Values that cannot change are made once for all positions.
class DecodedItems {
 public:
  // `items` outlives this.
  DecodedItems(ModuleState& state, const ListItems& items) : state_(state), items_(items) {}
  [[nodiscard]] Ref at(std::size_t position);
  [[nodiscard]] Ref value(std::size_t code);

 private:
  ModuleState& state_;
  const ListItems& items_;
  std::vector<Ref> made_;  // by code
};
[[nodiscard]] Ref decode_items(ModuleState& state, const ListItems& items);  // a built-in list

// Arrays.
PyObject* list_codes(PyObject* self, PyObject*);
PyObject* list_dictionary(PyObject* self, PyObject*);
PyObject* list_encoded(PyObject* self, PyObject*);
PyObject* list_to_numpy(PyObject* self, PyObject*);
PyObject* list_value_counts(PyObject* self, PyObject*);

// Searching, by the equality of Python.
int list_contains(PyObject* self, PyObject* object);
PyObject* list_count(PyObject* self, PyObject* object);
PyObject* list_index(PyObject* self, PyObject* const* args, Py_ssize_t count);
PyObject* list_remove(PyObject* self, PyObject* object);

// list_iterator.cpp
PyObject* list_iterate(PyObject* self);
PyObject* list_iterate_reversed(PyObject* self, PyObject*);

}  // namespace kv::py
