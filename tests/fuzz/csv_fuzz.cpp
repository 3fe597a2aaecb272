// Compares the parallel CSV parser with a byte-by-byte state machine. Findings belong into regressions/csv/, which the
// unit tests replay.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "fuzz/csv_oracle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto difference = kv::test::compare_csv_input({reinterpret_cast<const char*>(data), size});
  if (difference) {
    std::fputs(difference->c_str(), stderr);
    std::abort();
  }
  return 0;
}
