#include "process_malloc.hpp"

#include <cstdint>

// jemalloc's; null without it. The extension module finds a preloaded one as it is loaded.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old, std::size_t* old_bytes, void* fresh,
                                             std::size_t fresh_bytes) noexcept;

namespace kv::py {
namespace {

bool read_figure(const char* name, std::size_t& figure) noexcept {
  std::size_t bytes = sizeof figure;
  return mallctl(name, &figure, &bytes, nullptr, 0) == 0;
}

}  // namespace

std::optional<MallocStats> malloc_stats() noexcept {
  if (mallctl == nullptr) return std::nullopt;
  std::uint64_t epoch = 1;  // jemalloc adds its threads' counters up when this is written
  if (mallctl("epoch", nullptr, nullptr, &epoch, sizeof epoch) != 0) return std::nullopt;
  MallocStats stats = {};
  const bool has_figures = read_figure("stats.allocated", stats.allocated) &&
                           read_figure("stats.active", stats.active) && read_figure("stats.resident", stats.resident) &&
                           read_figure("stats.mapped", stats.mapped) && read_figure("stats.retained", stats.retained);
  return has_figures ? std::optional(stats) : std::nullopt;
}

}  // namespace kv::py
