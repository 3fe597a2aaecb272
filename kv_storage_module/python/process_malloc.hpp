// What the process's malloc says of itself.
#pragma once

#include <cstddef>
#include <optional>

namespace kv::py {

// In bytes, of the whole process: Python's objects too where Python takes them from malloc, never the store.
struct MallocStats {
  std::size_t allocated;  // handed out
  std::size_t active;     // pages in which something is handed out
  std::size_t resident;   // pages in physical memory, those kept for reuse and jemalloc's own included
  std::size_t mapped;     // address space in use
  std::size_t retained;   // address space kept, but given back as memory
};

// None if the malloc of this process is not jemalloc, which the runner links and plain python3 may preload.
// Takes jemalloc's locks for some microseconds.
[[nodiscard]] std::optional<MallocStats> malloc_stats() noexcept;

}  // namespace kv::py
