// View: a stored value as a PEP 3118 exporter. It owns the pin, so the bytes stay as they are until the last memoryview
// or array over it is gone, whatever happens to the key, the collection or the Storage meanwhile.

#include "array_codec.hpp"
#include "bind.hpp"

namespace kv::py {
namespace {

struct View {
  Pin pin;
  std::vector<char> owned;  // instead of a pin: memory of its own, which may be written
  ByteView elements;
  Py_ssize_t itemsize = 1;
  std::string format = "B";
  std::vector<Py_ssize_t> shape;
  std::vector<Py_ssize_t> strides;
};

void fill_strides(View& view) {
  view.strides.resize(view.shape.size());
  Py_ssize_t stride = view.itemsize;
  for (std::size_t i = view.shape.size(); i-- > 0;) {
    view.strides[i] = stride;
    stride *= view.shape[i];
  }
}

View view_of_array(ModuleState& state, Pin pin) {
  const ArrayDescriptor array = describe_array(state, pin.bytes());
  View view;
  view.pin = std::move(pin);
  view.elements = array.elements;
  if (array.format.empty()) {  // a dtype that PEP 3118 cannot express: its bytes, one row per element
    view.shape.assign(array.shape.begin(), array.shape.begin() + array.ndim);
    view.shape.push_back(array.itemsize);
  } else {
    view.itemsize = array.itemsize;
    view.format = array.format;
    view.shape.assign(array.shape.begin(), array.shape.begin() + array.ndim);
  }
  return view;
}

View view_of_bytes(Pin pin) {
  View view;
  view.elements = pin.bytes();
  view.pin = std::move(pin);
  view.shape.push_back(static_cast<Py_ssize_t>(view.elements.size()));
  return view;
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
  buffer->ndim = static_cast<int>(view.shape.size());
  buffer->format = (flags & PyBUF_FORMAT) == PyBUF_FORMAT ? view.format.data() : nullptr;
  buffer->shape = with_shape ? view.shape.data() : nullptr;
  buffer->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? view.strides.data() : nullptr;
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

Ref make(ModuleState& state, View view) {
  fill_strides(view);
  return make_instance(state, state.view_type.get(), std::move(view));
}

}  // namespace

Ref make_view(ModuleState& state, Pin pin, ValueType type) {
  return make(state, type == ValueType::kArray ? view_of_array(state, std::move(pin)) : view_of_bytes(std::move(pin)));
}

Ref make_slab_view(ModuleState& state, Pin pin, ByteView records) {
  View view;
  view.pin = std::move(pin);
  view.elements = records;
  view.shape.push_back(static_cast<Py_ssize_t>(records.size()));
  return make(state, std::move(view));
}

Ref make_memory(ModuleState& state, std::vector<char> bytes) {
  View view;
  view.owned = std::move(bytes);
  view.elements = {view.owned.data(), view.owned.size()};
  view.shape.push_back(static_cast<Py_ssize_t>(view.owned.size()));
  return make(state, std::move(view));
}

Ref make_empty_export(ModuleState& state, ByteView format, Py_ssize_t itemsize) {
  View view;
  view.itemsize = itemsize;
  view.format = format;
  view.shape.push_back(0);
  return make(state, std::move(view));
}

void bind_buffer(PyObject* module, ModuleState& state) { state.view_type = make_type(module, view_spec); }

}  // namespace kv::py
