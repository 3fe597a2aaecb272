#include "csv/scan.hpp"

#include "csv/scan_kernels.hpp"

namespace kv::csv {

#ifdef KV_SCAN_AVX2
extern const ScanKernels kAvx2Kernels;

std::span<const ScanKernels> scan_kernels() noexcept {
  static const std::array<ScanKernels, 2> all{kKernels, kAvx2Kernels};
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 &&
                               __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("popcnt") != 0;
  return std::span(all).first(has_avx2 ? 2 : 1);
}
#else
std::span<const ScanKernels> scan_kernels() noexcept { return {&kKernels, 1}; }
#endif

}  // namespace kv::csv
