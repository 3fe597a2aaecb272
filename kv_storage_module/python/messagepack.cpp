#include "messagepack.hpp"

#include <bit>
#include <cstring>
#include <limits>

#include "array_codec.hpp"
#include "extension_types.hpp"
#include "text.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

template <class Number>
Number swapped(Number number) noexcept {
  if constexpr (sizeof(Number) == 2) return static_cast<Number>(__builtin_bswap16(static_cast<std::uint16_t>(number)));
  if constexpr (sizeof(Number) == 4) return static_cast<Number>(__builtin_bswap32(static_cast<std::uint32_t>(number)));
  if constexpr (sizeof(Number) == 8) return static_cast<Number>(__builtin_bswap64(static_cast<std::uint64_t>(number)));
  return number;
}
static_assert(std::endian::native == std::endian::little, "stored numbers are little endian, MessagePack's big endian");

// Tags of MessagePack that come in sizes: tag, tag + 1, ... for the next larger length.
enum Tag : unsigned char {
  kNil = 0xc0,
  kFalse = 0xc2,
  kTrue = 0xc3,
  kBin8 = 0xc4,
  kExt8 = 0xc7,
  kFloat64 = 0xcb,
  kUInt8 = 0xcc,
  kInt8 = 0xd0,
  kFixExt1 = 0xd4,
  kStr8 = 0xd9,
  kArray16 = 0xdc,
  kMap16 = 0xde,
};

class Packer {
 public:
  Packer(ModuleState& state, std::string& out) noexcept : state_(state), out_(out) {}

  void pack(PyObject* object, int depth) {
    if (object == Py_None) return byte(kNil);
    if (object == Py_True) return byte(kTrue);
    if (object == Py_False) return byte(kFalse);
    if (PyLong_CheckExact(object)) return pack_int(object);
    if (PyFloat_CheckExact(object)) return tagged(kFloat64, std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(object)));
    if (PyUnicode_CheckExact(object)) return pack_text(object);
    if (PyBytes_CheckExact(object)) return pack_bytes(bytes_of(object));
    if (PyList_CheckExact(object)) return pack_list(object, depth);
    if (PyTuple_CheckExact(object)) return pack_tuple(object, depth);
    if (PyDict_CheckExact(object)) return pack_dict(object, depth);
    if (const Extension extension = extension_of(state_, Py_TYPE(object)); extension != Extension::kNone) {
      const std::size_t start = begin_extension();
      encode_extension(state_, extension, object, out_);
      return end_extension(start, extension);
    }
    pack_array(object);
  }

 private:
  void byte(unsigned value) { out_.push_back(static_cast<char>(value)); }
  template <class Number>
  void big_endian(Number number) {
    number = swapped(number);
    out_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  template <class Number>
  void tagged(unsigned tag, Number number) {
    byte(tag);
    big_endian(number);
  }

  // A length with the tags for 16 and 32 bits, and for 8 bits where the type has one.
  void length(std::size_t size, unsigned tag8, unsigned tag16) {
    if (tag8 != 0 && size <= 0xff) return tagged(tag8, static_cast<std::uint8_t>(size));
    if (size <= 0xffff) return tagged(tag16, static_cast<std::uint16_t>(size));
    if (size > std::numeric_limits<std::uint32_t>::max())
      fail(state_, ErrorClass::kArgument, "a value is limited to 4 GiB");
    tagged(tag16 + 1, static_cast<std::uint32_t>(size));
  }

  void pack_int(PyObject* object) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0) return pack_large_int(object, overflow > 0);
    if (number >= 0) return pack_unsigned(static_cast<std::uint64_t>(number));
    if (number >= -32) return byte(static_cast<unsigned>(number) & 0xff);
    if (number >= INT8_MIN) return tagged(kInt8, static_cast<std::int8_t>(number));
    if (number >= INT16_MIN) return tagged(kInt8 + 1, static_cast<std::int16_t>(number));
    if (number >= INT32_MIN) return tagged(kInt8 + 2, static_cast<std::int32_t>(number));
    tagged(kInt8 + 3, static_cast<std::int64_t>(number));
  }

  void pack_unsigned(std::uint64_t number) {
    if (number <= 0x7f) return byte(static_cast<unsigned>(number));
    if (number <= UINT8_MAX) return tagged(kUInt8, static_cast<std::uint8_t>(number));
    if (number <= UINT16_MAX) return tagged(kUInt8 + 1, static_cast<std::uint16_t>(number));
    if (number <= UINT32_MAX) return tagged(kUInt8 + 2, static_cast<std::uint32_t>(number));
    tagged(kUInt8 + 3, number);
  }

  void pack_large_int(PyObject* object, bool positive) {
    Ref bits = checked(PyObject_CallMethod(object, "bit_length", nullptr));
    const std::size_t bit_count = PyLong_AsSize_t(bits.get());
    if (positive && bit_count <= 64)
      return tagged(kUInt8 + 3, static_cast<std::uint64_t>(PyLong_AsUnsignedLongLong(object)));
    Ref method = attribute(object, "to_bytes");
    Ref arguments = checked(Py_BuildValue("(ns)", static_cast<Py_ssize_t>(bit_count / 8 + 1), "little"));
    Ref keywords = checked(Py_BuildValue("{s:O}", "signed", Py_True));
    Ref bytes = checked(PyObject_Call(method.get(), arguments.get(), keywords.get()));
    const std::size_t start = begin_extension();
    out_.append(bytes_of(bytes.get()));
    end_extension(start, Extension::kBigInt);
  }

  void pack_text(PyObject* object) {
    ByteView bytes = ascii_bytes(object);
    Ref encoded;
    if (bytes.data() == nullptr) {
      encoded = checked(PyUnicode_AsEncodedString(object, "utf-8", "surrogatepass"));
      bytes = bytes_of(encoded.get());
    }
    if (bytes.size() < 32) {
      byte(0xa0 | static_cast<unsigned>(bytes.size()));
    } else {
      length(bytes.size(), kStr8, kStr8 + 1);
    }
    out_.append(bytes);
  }

  void pack_bytes(ByteView bytes) {
    length(bytes.size(), kBin8, kBin8 + 1);
    out_.append(bytes);
  }

  void enter(int depth) {
    if (depth == kMaxDepth) {
      fail(state_, ErrorClass::kArgument, "the value is nested more than %d levels deep, or holds itself", kMaxDepth);
    }
  }

  void array_header(std::size_t size) {
    if (size < 16) return byte(0x90 | static_cast<unsigned>(size));
    length(size, 0, kArray16);
  }

  // Encoding an item may run Python code (a UUID's properties), which may change the container meanwhile.
  void pack_list(PyObject* list, int depth) {
    enter(depth);
    const CriticalSection section(list);
    const Py_ssize_t size = PyList_GET_SIZE(list);
    array_header(static_cast<std::size_t>(size));
    for (Py_ssize_t i = 0; i < size && i < PyList_GET_SIZE(list); ++i) {
      Ref item = new_reference(PyList_GET_ITEM(list, i));
      pack(item.get(), depth + 1);
    }
    if (PyList_GET_SIZE(list) != size) changed("list");
  }

  void pack_tuple(PyObject* tuple, int depth) {
    enter(depth);
    const std::size_t start = begin_extension();
    const Py_ssize_t size = PyTuple_GET_SIZE(tuple);
    array_header(static_cast<std::size_t>(size));
    for (Py_ssize_t i = 0; i < size; ++i) pack(PyTuple_GET_ITEM(tuple, i), depth + 1);
    end_extension(start, Extension::kTuple);
  }

  void pack_dict(PyObject* dict, int depth) {
    enter(depth);
    const CriticalSection section(dict);
    const Py_ssize_t size = PyDict_GET_SIZE(dict);
    if (size < 16) {
      byte(0x80 | static_cast<unsigned>(size));
    } else {
      length(static_cast<std::size_t>(size), 0, kMap16);
    }
    Py_ssize_t packed = 0;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &key, &value); ++packed) {
      Ref held_key = new_reference(key);
      Ref held_value = new_reference(value);
      if (!PyUnicode_CheckExact(key)) {
        fail(state_, ErrorClass::kKind, "the keys of a stored dict are str, not %s (%R)", Py_TYPE(key)->tp_name, key);
      }
      pack_text(key);
      pack(value, depth + 1);
    }
    if (packed != size || PyDict_GET_SIZE(dict) != size) changed("dict");
  }

  [[noreturn]] static void changed(const char* what) {
    PyErr_Format(PyExc_RuntimeError, "the %s changed while it was being stored", what);
    throw PythonError{};
  }

  void pack_array(PyObject* object) {
    Scratch scratch;
    const Value value = encode_array(state_, object, scratch);
    const std::size_t start = begin_extension();
    out_.append(value.data);
    out_.append(value.trailer);
    end_extension(start, Extension::kArray);
  }

  // An extension's length precedes it: room for the largest header is left, and closed up when the length is known.
  static constexpr std::size_t kExtensionHeader = 6;
  std::size_t begin_extension() {
    const std::size_t start = out_.size();
    out_.append(kExtensionHeader, '\0');
    return start;
  }
  void end_extension(std::size_t start, Extension extension) {
    std::string header;
    const std::size_t size = out_.size() - start - kExtensionHeader;
    Packer packer(state_, header);
    if (std::has_single_bit(size) && size <= 16) {
      packer.byte(kFixExt1 + static_cast<unsigned>(std::countr_zero(size)));
    } else {
      packer.length(size, kExt8, kExt8 + 1);
    }
    packer.byte(static_cast<unsigned char>(extension));
    out_.replace(start, kExtensionHeader, header);
  }

  ModuleState& state_;
  std::string& out_;
};

class Unpacker {
 public:
  Unpacker(ModuleState& state, ByteView bytes) noexcept : state_(state), bytes_(bytes) {}

  Ref next(int depth) {
    const auto tag = number<std::uint8_t>();
    if (tag <= 0x7f) return checked(PyLong_FromLong(tag));
    if (tag >= 0xe0) return checked(PyLong_FromLong(static_cast<std::int8_t>(tag)));
    if (tag <= 0x8f) return dict(tag & 0x0f, depth);
    if (tag <= 0x9f) return list(tag & 0x0f, depth);
    if (tag <= 0xbf) return text_object(take(tag & 0x1f));
    switch (tag) {
      case kNil:
        return new_reference(Py_None);
      case kFalse:
        return new_reference(Py_False);
      case kTrue:
        return new_reference(Py_True);
      case kBin8:
      case kBin8 + 1:
      case kBin8 + 2:
        return bytes(take(length(tag - kBin8)));
      case kExt8:
      case kExt8 + 1:
      case kExt8 + 2:
        return extension(length(tag - kExt8), depth);
      case kFloat64:
        return checked(PyFloat_FromDouble(std::bit_cast<double>(number<std::uint64_t>())));
      case kUInt8:
        return checked(PyLong_FromLong(number<std::uint8_t>()));
      case kUInt8 + 1:
        return checked(PyLong_FromLong(number<std::uint16_t>()));
      case kUInt8 + 2:
        return checked(PyLong_FromUnsignedLong(number<std::uint32_t>()));
      case kUInt8 + 3:
        return checked(PyLong_FromUnsignedLongLong(number<std::uint64_t>()));
      case kInt8:
        return checked(PyLong_FromLong(number<std::int8_t>()));
      case kInt8 + 1:
        return checked(PyLong_FromLong(number<std::int16_t>()));
      case kInt8 + 2:
        return checked(PyLong_FromLong(number<std::int32_t>()));
      case kInt8 + 3:
        return checked(PyLong_FromLongLong(number<std::int64_t>()));
      case kFixExt1:
      case kFixExt1 + 1:
      case kFixExt1 + 2:
      case kFixExt1 + 3:
      case kFixExt1 + 4:
        return extension(std::size_t{1} << (tag - kFixExt1), depth);
      case kStr8:
      case kStr8 + 1:
      case kStr8 + 2:
        return text_object(take(length(tag - kStr8)));
      case kArray16:
      case kArray16 + 1:
        return list(length(tag - kArray16 + 1), depth);
      case kMap16:
      case kMap16 + 1:
        return dict(length(tag - kMap16 + 1), depth);
      default:
        corrupt();
    }
  }

  [[nodiscard]] bool done() const noexcept { return bytes_.empty(); }
  [[noreturn]] void corrupt() { fail(state_, ErrorClass::kCorruption, "a stored nested value is damaged"); }

 private:
  ByteView take(std::size_t size) {
    if (size > bytes_.size()) corrupt();
    const ByteView taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return swapped(value);
  }
  std::size_t length(int width) {
    if (width == 0) return number<std::uint8_t>();
    return width == 1 ? number<std::uint16_t>() : number<std::uint32_t>();
  }

  static Ref bytes(ByteView data) {
    return checked(PyBytes_FromStringAndSize(data.data(), static_cast<Py_ssize_t>(data.size())));
  }

  // A container's items take a byte each at least: a damaged length cannot make us allocate more than was stored.
  void enter(std::size_t size, int depth) {
    if (depth > kMaxDepth || size > bytes_.size()) corrupt();
  }

  Ref list(std::size_t size, int depth) {
    enter(size, depth);
    Ref made = checked(PyList_New(static_cast<Py_ssize_t>(size)));
    for (std::size_t i = 0; i < size; ++i) {
      PyList_SET_ITEM(made.get(), static_cast<Py_ssize_t>(i), next(depth + 1).release());
    }
    return made;
  }

  Ref dict(std::size_t size, int depth) {
    enter(size, depth);
    Ref made = checked(PyDict_New());
    for (std::size_t i = 0; i < size; ++i) {
      Ref key = next(depth + 1);
      Ref value = next(depth + 1);
      check(PyDict_SetItem(made.get(), key.get(), value.get()));
    }
    return made;
  }

  Ref extension(std::size_t size, int depth) {
    const auto type = static_cast<Extension>(number<std::int8_t>());
    const ByteView payload = take(size);
    if (type == Extension::kBigInt) return large_int(payload);
    if (type == Extension::kArray) return copied_array(state_, payload);
    if (type != Extension::kTuple) return decode_extension(state_, type, payload);
    Unpacker items(state_, payload);
    Ref list = items.next(depth);
    if (!PyList_CheckExact(list.get())) corrupt();
    return checked(PyList_AsTuple(list.get()));
  }

  static Ref large_int(ByteView payload) {
    Ref method = attribute(reinterpret_cast<PyObject*>(&PyLong_Type), "from_bytes");
    Ref arguments = checked(Py_BuildValue("(Ns)", bytes(payload).release(), "little"));
    Ref keywords = checked(Py_BuildValue("{s:O}", "signed", Py_True));
    return checked(PyObject_Call(method.get(), arguments.get(), keywords.get()));
  }

  ModuleState& state_;
  ByteView bytes_;
};

}  // namespace

bool is_packable(ModuleState& state, PyObject* object) {
  return PyLong_CheckExact(object) || PyList_CheckExact(object) || PyTuple_CheckExact(object) ||
         PyDict_CheckExact(object) || extension_of(state, Py_TYPE(object)) != Extension::kNone;
}

void pack(ModuleState& state, PyObject* object, std::string& out) { Packer(state, out).pack(object, 0); }

Ref unpack(ModuleState& state, ByteView bytes) {
  Unpacker unpacker(state, bytes);
  Ref object = unpacker.next(0);
  if (!unpacker.done()) unpacker.corrupt();
  return object;
}

Ref unpack_sequence(ModuleState& state, ByteView bytes) {
  Unpacker unpacker(state, bytes);
  Ref objects = checked(PyList_New(0));
  while (!unpacker.done()) check(PyList_Append(objects.get(), unpacker.next(0).get()));
  return objects;
}

}  // namespace kv::py
