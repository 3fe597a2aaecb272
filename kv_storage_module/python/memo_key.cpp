#include "memo_key.hpp"

#include <sys/random.h>

#include "messagepack.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

// Longer encodings are stored under their digest.
constexpr std::size_t kMaxPlainBytes = 512;

std::string digest_of(const std::string& bytes) {
  Ref blake2b = attribute(checked(PyImport_ImportModule("hashlib")).get(), "blake2b");
  Ref data = checked(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
  Ref digest =
      checked(PyObject_CallMethod(checked(PyObject_CallOneArg(blake2b.get(), data.get())).get(), "digest", nullptr));
  return "#" + std::string(bytes_of(digest.get()));
}

}  // namespace

std::string arguments_key(ModuleState& state, PyObject* args, PyObject* kwargs) {
  std::string key;
  pack(state, args, key);
  if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) != 0) {
    Ref items = checked(PyDict_Items(kwargs));
    check(PyList_Sort(items.get()));
    pack(state, items.get(), key);
  }
  return key.size() <= kMaxPlainBytes ? key : digest_of(key);
}

PyObject* new_token() noexcept {
  char bytes[16];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return PyErr_SetFromErrno(PyExc_OSError);
  return PyBytes_FromStringAndSize(bytes, sizeof bytes);
}

}  // namespace kv::py
