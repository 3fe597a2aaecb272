// Compiled for processors with AVX2, BMI and POPCNT; nothing in here may run elsewhere but by scan_kernels().
#include "csv/scan_kernels.hpp"

namespace kv::csv {

extern const ScanKernels kAvx2Kernels;
constinit const ScanKernels kAvx2Kernels = kKernels;

}  // namespace kv::csv
