// Keys and texts: Python str <-> UTF-8 bytes.
//
// Keys are byte strings that mostly hold text: a str is stored as UTF-8 and bytes that are not UTF-8 come back with
// surrogateescape, so that b"a" and "a" are one key and every key round-trips. Text values keep lone surrogates instead
// (surrogatepass). Most of both are ASCII, which Python stores as it is: no encoding, no intermediate object.
#pragma once

#include <Python.h>

#include <cstring>

#include "bind.hpp"

namespace kv::py {

[[nodiscard]] inline bool is_ascii(ByteView bytes) noexcept {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::uint64_t word = 0;
  std::uint64_t seen = 0;
  if (bytes.size() < sizeof word) {
    for (const char byte : bytes) seen |= static_cast<unsigned char>(byte);
    return (seen & kHighBits) == 0;
  }
  const char* const last = bytes.data() + bytes.size() - sizeof word;  // overlaps the word before it
  for (const char* at = bytes.data(); at < last; at += sizeof word) {
    std::memcpy(&word, at, sizeof word);
    seen |= word;
  }
  std::memcpy(&word, last, sizeof word);
  return ((seen | word) & kHighBits) == 0;
}

[[nodiscard]] inline PyObject* ascii_text(ByteView bytes) noexcept {
  PyObject* made = PyUnicode_New(static_cast<Py_ssize_t>(bytes.size()), 127);
  if (made != nullptr && !bytes.empty()) std::memcpy(PyUnicode_1BYTE_DATA(made), bytes.data(), bytes.size());
  return made;
}

// A new str, or nullptr with the error set.
[[nodiscard]] inline PyObject* decode_key(ByteView bytes) noexcept {
  if (is_ascii(bytes)) [[likely]]
    return ascii_text(bytes);
  return PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape");
}
[[nodiscard]] inline PyObject* decode_text(ByteView bytes) noexcept {
  if (is_ascii(bytes)) [[likely]]
    return ascii_text(bytes);
  return PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogatepass");
}

// The bytes of an ASCII str, without a copy; data() == nullptr if it is not ASCII.
[[nodiscard]] inline ByteView ascii_bytes(PyObject* str) noexcept {
#if PY_VERSION_HEX < 0x030C0000
  if (PyUnicode_READY(str) < 0) {
    PyErr_Clear();
    return {};
  }
#endif
  if (!PyUnicode_IS_ASCII(str)) return {};
  return {static_cast<const char*>(PyUnicode_DATA(str)), static_cast<std::size_t>(PyUnicode_GET_LENGTH(str))};
}

[[nodiscard]] inline ByteView bytes_of(PyObject* bytes) noexcept {
  return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

// The bytes of a key argument: valid while this object and the argument live.
class KeyBytes {
 public:
  // False with the error set if `key` is neither str nor bytes.
  [[nodiscard]] bool assign(ModuleState& state, PyObject* key) noexcept {
    if (PyUnicode_Check(key)) [[likely]] {
      view_ = ascii_bytes(key);
      if (view_.data() != nullptr) [[likely]]
        return true;
      return encode(state, key);
    }
    if (PyBytes_Check(key)) {
      view_ = bytes_of(key);
      return true;
    }
    return refuse(state, key);
  }

  // The same for a key of `collection`, whose keys may be typed.
  [[nodiscard]] bool assign_in(PyObject* collection, PyObject* key) {
    if (!is_ordered(collection)) [[likely]]
      return assign(state_of(collection), key);
    return assign_ordered(collection, key);
  }

  [[nodiscard]] ByteView view() const noexcept { return view_; }
  // The object that owns the bytes where it is not the argument itself.
  [[nodiscard]] Ref take_owner() noexcept { return std::move(owner_); }

 private:
  bool encode(ModuleState& state, PyObject* key) noexcept;
  bool assign_ordered(PyObject* collection, PyObject* key);
  static bool refuse(ModuleState& state, PyObject* key) noexcept;

  ByteView view_;
  Ref owner_;  // the encoded form of a str that is not ASCII; not cached in the str, which would double its size
};

// Throwing forms for paths that are not hot.
[[nodiscard]] std::string key_string(ModuleState& state, PyObject* key);
[[nodiscard]] std::string name_string(ModuleState& state, PyObject* name, const char* what);  // str only
[[nodiscard]] inline Ref key_object(ByteView bytes) { return checked(decode_key(bytes)); }
[[nodiscard]] inline Ref text_object(ByteView bytes) { return checked(decode_text(bytes)); }

}  // namespace kv::py
