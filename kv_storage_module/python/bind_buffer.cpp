// View: a stored value as a PEP 3118 exporter. It owns the pin, so the bytes stay as they are until the last memoryview
// or array over it is gone, whatever happens to the key, the collection or the Storage meanwhile.

#include "array_codec.hpp"
#include "bind.hpp"

namespace kv::py {
namespace {

// Shape and strides, side by side; one dimension, as bytes have it, needs no memory of its own.
class Extents {
 public:
  void resize(int ndim) {
    ndim_ = ndim;
    if (ndim > 1) heap_ = std::make_unique<Py_ssize_t[]>(2 * static_cast<std::size_t>(ndim));
  }
  [[nodiscard]] int ndim() const noexcept { return ndim_; }
  [[nodiscard]] Py_ssize_t* shape() noexcept { return heap_ ? heap_.get() : inline_; }
  [[nodiscard]] Py_ssize_t* strides() noexcept { return shape() + (heap_ ? ndim_ : 1); }

 private:
  int ndim_ = 0;
  Py_ssize_t inline_[2] = {};
  std::unique_ptr<Py_ssize_t[]> heap_;
};

struct View {
  Pin pin;
  std::vector<char> owned;  // instead of a pin: memory of its own, which may be written
  ByteView elements;
  Py_ssize_t itemsize = 1;
  std::string format = "B";
  Extents extents;
};

void set_shape(View& view, int ndim, const Py_ssize_t* shape) {
  view.extents.resize(ndim);
  Py_ssize_t stride = view.itemsize;
  for (int i = ndim; i-- > 0;) {
    view.extents.shape()[i] = shape[i];
    view.extents.strides()[i] = stride;
    stride *= shape[i];
  }
}

void set_bytes(View& view, ByteView bytes) {
  view.elements = bytes;
  const auto size = static_cast<Py_ssize_t>(bytes.size());
  set_shape(view, 1, &size);
}

void set_array(View& view, const ArrayDescriptor& array) {
  view.elements = array.elements;
  if (!array.format.empty()) {
    view.itemsize = array.itemsize;
    view.format = array.format;
    return set_shape(view, array.ndim, array.shape.data());
  }
  // A dtype that PEP 3118 cannot express: its bytes, a row for each element.
  std::vector<Py_ssize_t> shape(array.shape.begin(), array.shape.begin() + array.ndim);
  shape.push_back(array.itemsize);
  set_shape(view, static_cast<int>(shape.size()), shape.data());
}

int get_buffer(PyObject* self, Py_buffer* buffer, int flags) {
  View& view = fields<View>(self);
  const bool read_only = view.owned.empty();
  if ((flags & PyBUF_WRITABLE) == PyBUF_WRITABLE && read_only) {
    buffer->obj = nullptr;
    PyErr_SetString(PyExc_BufferError, "stored values are read-only: copy it, or use edit(key)");
    return -1;
  }
  static char nothing;
  const bool with_shape = (flags & PyBUF_ND) == PyBUF_ND;
  buffer->obj = Py_NewRef(self);
  buffer->buf = view.elements.empty() ? &nothing : const_cast<char*>(view.elements.data());
  buffer->len = static_cast<Py_ssize_t>(view.elements.size());
  buffer->itemsize = view.itemsize;
  buffer->readonly = read_only ? 1 : 0;
  buffer->ndim = view.extents.ndim();
  buffer->format = (flags & PyBUF_FORMAT) == PyBUF_FORMAT ? view.format.data() : nullptr;
  buffer->shape = with_shape ? view.extents.shape() : nullptr;
  buffer->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? view.extents.strides() : nullptr;
  buffer->suboffsets = nullptr;
  buffer->internal = nullptr;
  return 0;
}

PyType_Slot view_slots[] = {
    {Py_tp_doc, const_cast<char*>("A pinned stored value: what a memoryview from view(), or an array, looks at.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate<View>)},
    {Py_bf_getbuffer, slot<get_buffer>()},
    {0, nullptr},
};
PyType_Spec view_spec = {"kv_storage.View", sizeof(Instance<View>), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, view_slots};

Ref make(ModuleState& state) { return make_instance(state, state.view_type.get(), View()); }

}  // namespace

Ref make_view(ModuleState& state, Pin pin, ValueType type) {
  Ref made = make(state);
  View& view = fields<View>(made.get());
  view.pin = std::move(pin);
  if (type == ValueType::kArray) {
    set_array(view, describe_array(state, view.pin.bytes()));
  } else {
    set_bytes(view, view.pin.bytes());
  }
  return made;
}

Ref make_slab_view(ModuleState& state, Pin pin, ByteView records) {
  Ref made = make(state);
  View& view = fields<View>(made.get());
  view.pin = std::move(pin);
  set_bytes(view, records);
  return made;
}

Ref make_memory(ModuleState& state, std::vector<char> bytes) {
  Ref made = make(state);
  View& view = fields<View>(made.get());
  view.owned = std::move(bytes);
  set_bytes(view, {view.owned.data(), view.owned.size()});
  return made;
}

Ref make_empty_export(ModuleState& state, ByteView format, Py_ssize_t itemsize) {
  Ref made = make(state);
  View& view = fields<View>(made.get());
  view.itemsize = itemsize;
  view.format = format;
  constexpr Py_ssize_t kNone = 0;
  set_shape(view, 1, &kNone);
  return made;
}

void bind_buffer(PyObject* module, ModuleState& state) { state.view_type = make_type(module, view_spec); }

}  // namespace kv::py
