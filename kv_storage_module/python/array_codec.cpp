#include "array_codec.hpp"

#include <pybind11/numpy.h>

#include <cstring>

#include "unsupported.hpp"

namespace kv::py {
namespace {

// ---- Encoding ----

void append_varint(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>(number | 0x80));
  out.push_back(static_cast<char>(number));
}

// The end of a descriptor, which says what the elements are.
std::string element_key(ModuleState& state, ByteView format, ByteView descr) {
  if (format.size() > UINT8_MAX) format = {};  // a long structured format: the descr says it all
  std::string key(1, static_cast<char>(format.size()));
  key.append(format).append(descr);
  constexpr std::size_t kMostBytes = UINT16_MAX - (kMaxDimensions + 1) * 10 - 1;
  if (key.size() > kMostBytes || (format.empty() && descr.empty())) {
    fail(state, ErrorClass::kArgument, "the array's element type has too many fields to be stored");
  }
  return key;
}

ByteView make_descriptor(int ndim, const Py_ssize_t* shape, Py_ssize_t itemsize, ByteView key, Scratch& scratch) {
  std::string out;
  out.reserve(64);
  out.push_back(static_cast<char>(ndim));
  append_varint(out, static_cast<std::uint64_t>(itemsize));
  for (int i = 0; i < ndim; ++i) append_varint(out, static_cast<std::uint64_t>(shape[i]));
  out.append(key);
  const auto size = static_cast<std::uint16_t>(out.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  return scratch.copy(out);
}

// True if elements of `format` hold addresses; names of fields stand between colons.
bool holds_pointers(ByteView format) noexcept {
  bool in_name = false;
  for (const char c : format) {
    if (c == ':') in_name = !in_name;
    if (!in_name && (c == 'O' || c == '&' || c == 'X' || c == 'P')) return true;
  }
  return false;
}

// True if NumPy makes of `format` the dtype it was made from: a single number, or text of a fixed width.
bool is_plain(ByteView format) noexcept {
  if (!format.empty() && std::strchr("@=<>!", format.front()) != nullptr) format.remove_prefix(1);
  while (!format.empty() && format.front() >= '0' && format.front() <= '9') format.remove_prefix(1);
  if (format.size() == 2 && format.front() == 'Z') format.remove_prefix(1);
  return format.size() == 1 && std::strchr("?bBhHiIlLqQefdgswcu", format.front()) != nullptr;
}

Ref numpy_format(const char* function, PyObject* argument) {
  Ref format = checked(PyImport_ImportModule("numpy.lib.format"));
  return checked(PyObject_CallMethod(format.get(), function, "O", argument));
}

// The descr of a dtype as text, checked to bring the same dtype back.
std::string descr_of(ModuleState& state, PyObject* dtype) {
  Ref has_object = attribute(dtype, "hasobject");
  if (has_object.get() == Py_True) refuse_object_array(state);
  Ref descr = numpy_format("dtype_to_descr", dtype);
  Ref back = numpy_format("descr_to_dtype", descr.get());
  const int same = PyObject_RichCompareBool(back.get(), dtype, Py_EQ);
  check(same);
  if (same == 0) fail(state, ErrorClass::kKind, "arrays of dtype %R are not stored", dtype);
  Ref text = checked(PyObject_Repr(descr.get()));
  return key_string(state, text.get());
}

struct Elements {
  ByteView bytes;
  int ndim;
  std::array<Py_ssize_t, kMaxDimensions> shape;
  Py_ssize_t itemsize;
  std::string key;
};

// The elements of an export in C order; copied only if they are not so already.
ByteView contiguous_bytes(Py_buffer& buffer, Scratch& scratch) {
  const auto size = static_cast<std::size_t>(buffer.len);
  if (PyBuffer_IsContiguous(&buffer, 'C')) return {static_cast<const char*>(buffer.buf), size};
  char* copy = scratch.allocate(size);
  check(PyBuffer_ToContiguous(copy, &buffer, buffer.len, 'C'));
  return {copy, size};
}

Elements elements_of_buffer(ModuleState& state, PyObject* object, Py_buffer& buffer, Scratch& scratch) {
  Elements elements;
  const std::string format = buffer.format == nullptr ? "B" : buffer.format;
  if (holds_pointers(format)) refuse_object_array(state);
  if (buffer.ndim > kMaxDimensions)
    fail(state, ErrorClass::kArgument, "an array has at most %d dimensions", kMaxDimensions);
  elements.bytes = contiguous_bytes(buffer, scratch);
  elements.ndim = buffer.ndim;
  elements.itemsize = buffer.itemsize;
  for (int i = 0; i < buffer.ndim; ++i) elements.shape[static_cast<std::size_t>(i)] = buffer.shape[i];
  std::string descr;
  if (is_ndarray(object) && !is_plain(format)) descr = descr_of(state, attribute(object, "dtype").get());
  elements.key = element_key(state, format, descr);
  return elements;
}

// For dtypes that NumPy does not export (datetime64): the same memory seen as bytes.
Elements elements_of_ndarray(ModuleState& state, PyObject* array, Scratch& scratch) {
  Elements elements;
  Ref dtype = attribute(array, "dtype");
  const std::string descr = descr_of(state, dtype.get());
  Ref shape = attribute(array, "shape");
  elements.ndim = static_cast<int>(PyTuple_GET_SIZE(shape.get()));
  for (int i = 0; i < elements.ndim; ++i) {
    elements.shape[static_cast<std::size_t>(i)] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape.get(), i));
  }
  elements.itemsize = PyLong_AsSsize_t(attribute(dtype.get(), "itemsize").get());
  Ref kind = attribute(dtype.get(), "kind");
  const bool is_time =
      PyUnicode_CompareWithASCIIString(kind.get(), "M") == 0 || PyUnicode_CompareWithASCIIString(kind.get(), "m") == 0;
  elements.key = element_key(state, is_time ? "q" : "", descr);
  Ref flat = checked(PyObject_CallMethod(array, "reshape", "i", -1));
  Ref bytes = checked(PyObject_CallMethod(flat.get(), "view", "s", "u1"));
  Py_buffer& buffer = scratch.keep_buffer(bytes.get(), PyBUF_SIMPLE);
  elements.bytes = {static_cast<const char*>(buffer.buf), static_cast<std::size_t>(buffer.len)};
  return elements;
}

Elements elements_by_any_way(ModuleState& state, PyObject* object, Scratch& scratch) {
  if (!is_ndarray(object)) {
    refuse_unless_exporter(state, object);
    return elements_of_buffer(state, object, scratch.keep_buffer(object, PyBUF_FULL_RO), scratch);
  }
  if (Py_buffer* buffer = scratch.try_buffer(object, PyBUF_FULL_RO)) {
    return elements_of_buffer(state, object, *buffer, scratch);
  }
  if (!PyErr_ExceptionMatches(PyExc_ValueError)) throw PythonError{};
  PyErr_Clear();
  return elements_of_ndarray(state, object, scratch);
}

#ifdef Py_GIL_DISABLED
constexpr bool kOneThreadAtATime = false;
#else
constexpr bool kOneThreadAtATime = true;
#endif

// A program stores arrays of one dtype after another: what is known of that is not asked again, and contiguous elements
// are then taken from the array itself, as an export costs several times the copy of a short array.
Elements elements_of(ModuleState& state, PyObject* object, Scratch& scratch) {
  if (!kOneThreadAtATime || !is_ndarray(object)) return elements_by_any_way(state, object, scratch);
  const pybind11::detail::PyArray_Proxy* const array = pybind11::detail::array_proxy(object);
  constexpr int kContiguous = pybind11::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_;
  if (array->descr != state.stored_dtype.get() || !pybind11::detail::check_flags(object, kContiguous)) {
    Elements elements = elements_by_any_way(state, object, scratch);
    const bool has_descr = elements.key.size() > 1U + static_cast<unsigned char>(elements.key.front());
    if (has_descr) return elements;  // its fields may get other names in place
    state.stored_dtype = new_reference(array->descr);
    state.stored_itemsize = elements.itemsize;
    state.stored_key = elements.key;
    return elements;
  }
  scratch.keep(new_reference(object));
  Elements elements;
  elements.ndim = array->nd;
  elements.itemsize = state.stored_itemsize;
  elements.key = state.stored_key;
  auto bytes = static_cast<std::size_t>(elements.itemsize);
  for (int i = 0; i < array->nd; ++i) {
    elements.shape[static_cast<std::size_t>(i)] = array->dimensions[i];
    bytes *= static_cast<std::size_t>(array->dimensions[i]);
  }
  elements.bytes = {array->data, bytes};
  return elements;
}

// ---- Decoding ----

[[noreturn]] void corrupt(ModuleState& state) { fail(state, ErrorClass::kCorruption, "a stored array is damaged"); }

Ref dtype_of_format(ModuleState& state, const ArrayDescriptor& array) {
  if (!array.descr.empty()) {
    Ref ast = checked(PyImport_ImportModule("ast"));
    Ref descr = checked(PyObject_CallMethod(ast.get(), "literal_eval", "N", text_object(array.descr).release()));
    return numpy_format("descr_to_dtype", descr.get());
  }
  // NumPy reads the format of an export with no elements: one rule for formats, which is NumPy's.
  Ref numpy = numpy_module();
  Ref empty = make_empty_export(state, array.format, array.itemsize);
  return attribute(checked(PyObject_CallMethod(numpy.get(), "asarray", "O", empty.get())).get(), "dtype");
}

// Borrowed: the cache keeps it.
PyObject* dtype_of(ModuleState& state, const ArrayDescriptor& array) {
  if (kOneThreadAtATime && state.last_key && bytes_of(state.last_key.get()) == array.key) return state.last_dtype.get();
  PyObject* const dtypes = filled(state.dtypes, [] { return checked(PyDict_New()); });
  Ref key = checked(PyBytes_FromStringAndSize(array.key.data(), static_cast<Py_ssize_t>(array.key.size())));
  Ref dtype = find_item(dtypes, key.get());
  if (!dtype) {
    Ref made = dtype_of_format(state, array);
    if (attribute(made.get(), "hasobject").get() != Py_False) corrupt(state);  // bytes of a file are no addresses
    dtype = new_reference(PyDict_SetDefault(dtypes, key.get(), made.get()));   // the first that was made stays
    if (!dtype) throw PythonError{};
  }
  PyObject* borrowed = dtype.get();
  if (kOneThreadAtATime) {
    state.last_key = std::move(key);
    state.last_dtype = std::move(dtype);
  }
  return borrowed;
}

// The elements at `data`, in memory that `owner` keeps.
Ref array_over(ModuleState& state, const ArrayDescriptor& array, PyObject* owner, const char* data) {
  PyObject* const dtype = dtype_of(state, array);
  const auto itemsize = pybind11::reinterpret_borrow<pybind11::dtype>(dtype).itemsize();
  if (itemsize != array.itemsize) corrupt(state);  // NumPy would believe it
  const auto& numpy = pybind11::detail::npy_api::get();
  Ref made = checked(numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, Py_NewRef(dtype), array.ndim, array.shape.data(),
                                                 nullptr, const_cast<char*>(data), 0, nullptr));
  check(numpy.PyArray_SetBaseObject_(made.get(), Py_NewRef(owner)));
  return made;
}

std::uint64_t take_varint(ModuleState& state, ByteView& bytes) {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes.empty()) corrupt(state);
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    number |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return number;
  }
  corrupt(state);
}

std::size_t take_byte(ModuleState& state, ByteView& bytes) {
  if (bytes.empty()) corrupt(state);
  const auto byte = static_cast<unsigned char>(bytes.front());
  bytes.remove_prefix(1);
  return byte;
}

}  // namespace

ArrayDescriptor describe_array(ModuleState& state, ByteView stored) {
  std::uint16_t size = 0;
  if (stored.size() < sizeof size) corrupt(state);
  std::memcpy(&size, stored.data() + stored.size() - sizeof size, sizeof size);
  stored.remove_suffix(sizeof size);
  if (stored.size() < size) corrupt(state);
  ArrayDescriptor array;
  array.elements = stored.substr(0, stored.size() - size);
  ByteView rest = stored.substr(stored.size() - size);
  array.ndim = static_cast<int>(take_byte(state, rest));
  if (array.ndim > kMaxDimensions) corrupt(state);
  array.itemsize = static_cast<Py_ssize_t>(take_varint(state, rest));
  std::uint64_t bytes = static_cast<std::uint64_t>(array.itemsize);
  for (int i = 0; i < array.ndim; ++i) {
    const std::uint64_t extent = take_varint(state, rest);
    array.shape[static_cast<std::size_t>(i)] = static_cast<Py_ssize_t>(extent);
    if (__builtin_mul_overflow(bytes, extent, &bytes)) corrupt(state);
  }
  if (bytes != array.elements.size()) corrupt(state);
  array.key = rest;
  const std::size_t format_size = take_byte(state, rest);
  if (rest.size() < format_size) corrupt(state);
  array.format = rest.substr(0, format_size);
  array.descr = rest.substr(format_size);
  return array;
}

Value encode_array(ModuleState& state, PyObject* object, Scratch& scratch) {
  const Elements elements = elements_of(state, object, scratch);
  return {ValueType::kArray, elements.bytes,
          make_descriptor(elements.ndim, elements.shape.data(), elements.itemsize, elements.key, scratch)};
}

ArrayRows encode_rows(ModuleState& state, PyObject* array, Scratch& scratch) {
  const Elements elements = elements_of(state, array, scratch);
  const auto count = static_cast<std::size_t>(elements.shape[0]);
  std::size_t row_bytes = static_cast<std::size_t>(elements.itemsize);
  for (int i = 1; i < elements.ndim; ++i)
    row_bytes *= static_cast<std::size_t>(elements.shape[static_cast<std::size_t>(i)]);
  return {elements.bytes,
          make_descriptor(elements.ndim - 1, elements.shape.data() + 1, elements.itemsize, elements.key, scratch),
          count, row_bytes};
}

Ref copied_array(ModuleState& state, ByteView stored) {
  const ArrayDescriptor array = describe_array(state, stored);
  Ref bytes = checked(PyBytes_FromStringAndSize(array.elements.data(), static_cast<Py_ssize_t>(array.elements.size())));
  return array_over(state, array, bytes.get(), PyBytes_AS_STRING(bytes.get()));
}

Ref pinned_array(ModuleState& state, Pin pin) {
  const ByteView stored = pin.bytes();
  Ref view = make_view(state, std::move(pin), ValueType::kArray);
  const ArrayDescriptor array = describe_array(state, stored);
  return array_over(state, array, view.get(), array.elements.data());
}

bool is_ndarray(PyObject* object) noexcept { return std::strcmp(Py_TYPE(object)->tp_name, "numpy.ndarray") == 0; }

Ref numpy_module() {
  PyObject* numpy = PyImport_ImportModule("numpy");
  if (numpy != nullptr) return Ref::steal(numpy);
  if (!PyErr_ExceptionMatches(PyExc_ImportError)) throw PythonError{};
  PyErr_Clear();
  PyErr_SetString(PyExc_ImportError,
                  "the value is an array, and NumPy cannot be imported here: use view(key), which gives a memoryview");
  throw PythonError{};
}

Ref make_ndarray(ModuleState& state, PyObject* shape, PyObject* dtype, PyObject* buffer) {
  PyObject* const ndarray = filled(state.ndarray_type, [] { return attribute(numpy_module().get(), "ndarray"); });
  PyObject* arguments[] = {shape, dtype, buffer};
  return checked(PyObject_Vectorcall(ndarray, arguments, 3, nullptr));
}

}  // namespace kv::py
