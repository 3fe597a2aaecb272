#include "value_codec.hpp"

#include "array_codec.hpp"
#include "extension_types.hpp"
#include "messagepack.hpp"

namespace kv::py {

char* Scratch::allocate_more(std::size_t bytes) {
  constexpr std::size_t kChunk = 4096;
  const std::size_t size = bytes > kChunk ? bytes : kChunk;
  chunks_.push_back(std::make_unique_for_overwrite<char[]>(size));
  char* at = chunks_.back().get();
  if (size - bytes > left_) {
    next_ = at + bytes;
    left_ = size - bytes;
  }
  return at;
}

Py_buffer* Scratch::try_buffer(PyObject* exporter, int flags) {
  auto buffer = std::make_unique<Py_buffer>();
  if (PyObject_GetBuffer(exporter, buffer.get(), flags) < 0) return nullptr;
  buffers_.push_back(std::move(buffer));
  return buffers_.back().get();
}

Py_buffer& Scratch::keep_buffer(PyObject* exporter, int flags) {
  Py_buffer* buffer = try_buffer(exporter, flags);
  if (buffer == nullptr) throw PythonError{};
  return *buffer;
}

void Scratch::reset() noexcept {
  for (const auto& buffer : buffers_) PyBuffer_Release(buffer.get());
  buffers_.clear();
  kept_.clear();
  chunks_.clear();
  next_ = inline_;
  left_ = sizeof inline_;
}

namespace {

Value encode_text(PyObject* object, Scratch& scratch) {
  Ref encoded = checked(PyUnicode_AsEncodedString(object, "utf-8", "surrogatepass"));
  const ByteView bytes = bytes_of(encoded.get());
  scratch.keep(std::move(encoded));
  return {ValueType::kText, bytes};
}

Value encode_packed(ModuleState& state, PyObject* object, Scratch& scratch) {
  std::string packed;
  pack(state, object, packed);
  return {ValueType::kPacked, scratch.copy(packed)};
}

template <class Number>
Number number_of(ByteView bytes) noexcept {
  Number number{};
  std::memcpy(&number, bytes.data(), sizeof number < bytes.size() ? sizeof number : bytes.size());
  return number;
}

PyObject* corrupt(ModuleState& state, ValueType type) {
  return PyErr_Format(error_class(state, ErrorClass::kCorruption), "a stored value has the unknown type %d",
                      static_cast<int>(type));
}

// Everything but arrays.
PyObject* decode_plain(ModuleState& state, ValueType type, ByteView bytes) {
  switch (type) {
    case ValueType::kBytes:
      return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
    case ValueType::kText:
      return decode_text(bytes);
    case ValueType::kInt:
      return PyLong_FromLongLong(number_of<std::int64_t>(bytes));
    case ValueType::kFloat:
      return PyFloat_FromDouble(number_of<double>(bytes));
    case ValueType::kNone:
      return Py_NewRef(Py_None);
    case ValueType::kBool:
      return PyBool_FromLong(number_of<char>(bytes));
    case ValueType::kPacked:
      return unpack(state, bytes).release();
    default:
      return corrupt(state, type);
  }
}

}  // namespace

Value encode_slowly(ModuleState& state, PyObject* object, Scratch& scratch) {
  if (object == Py_None) return {ValueType::kNone, {}};
  if (PyBool_Check(object)) return {ValueType::kBool, scratch.copy_number(static_cast<char>(object == Py_True))};
  if (PyUnicode_CheckExact(object)) return encode_text(object, scratch);
  if (is_packable(state, object)) return encode_packed(state, object, scratch);
  return encode_array(state, object, scratch);
}

PyObject* decode_copied(ModuleState& state, ValueType type, ByteView bytes) {
  if (type == ValueType::kArray) return copied_array(state, bytes).release();
  return decode_plain(state, type, bytes);
}

PyObject* decode_read(ModuleState& state, ValueBuffer& buffer) {
  if (buffer.type() != ValueType::kArray) return decode_plain(state, buffer.type(), buffer.bytes());
  if (buffer.pinned()) return pinned_array(state, buffer.take_pin()).release();
  return copied_array(state, buffer.bytes()).release();
}

}  // namespace kv::py
