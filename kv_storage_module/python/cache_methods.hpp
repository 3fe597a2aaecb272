// What bind_cache.cpp and cache_compute.cpp share, and what they lend to Storage and to the module.
#pragma once

#include <span>

#include "bind.hpp"

namespace kv::py {

struct CacheFields {
  std::shared_ptr<StoreHandle> handle;
  Cache core;
  std::uint64_t ttl_ms;  // of entries put without one; kNoTtl = they do not expire
};

// Throws Error{kClosed} after close().
[[nodiscard]] inline CacheFields& open_cache(PyObject* self) {
  auto& cache = fields<CacheFields>(self);
  if (cache.handle->closed.load(std::memory_order_relaxed)) [[unlikely]] {
    throw Error(ErrorCode::kClosed, "this Storage was closed");
  }
  return cache;
}

// The ttl of one call: that of the argument, else that of the handle.
[[nodiscard]] std::uint64_t cache_ttl(PyObject* self, PyObject* ttl);

[[nodiscard]] std::span<const PyMethodDef> cache_compute_methods() noexcept;

extern const char kCacheDoc[];
PyObject* storage_cache(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
// What a pickled Cache calls: _open_cache(address, name, ttl_ms).
PyObject* reopen_cache(PyObject* module, PyObject* const* args, Py_ssize_t count);

}  // namespace kv::py
