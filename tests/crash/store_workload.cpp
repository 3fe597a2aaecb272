#include "store_workload.hpp"

namespace kv::crash {
namespace {

constexpr std::uint32_t kParts = 2;

}  // namespace

StoreWorkload::StoreWorkload(const WorkloadOptions& options, Scoreboard& scoreboard)
    : scoreboard_(scoreboard),
      writers_(options.writers),
      store_(options.address.empty() ? Store::create({.max_memory = options.max_memory, .parts = kParts})
                                     : Store::attach(options.address)) {}

void StoreWorkload::write(std::uint32_t writer, Random& random) {
  try {
    change(writer, random);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOverCapacity) throw;
    ++scoreboard_.refused;
  }
}

void StoreWorkload::settle(std::uint32_t writer) {
  for (std::uint32_t number = 0; number < kKeysPerWriter; ++number) {
    const auto version = current_version(writer, number);
    crash::settle(scoreboard_.oracle[writer][number], version.has_value(), version.value_or(0));
  }
}

std::vector<std::string> StoreWorkload::verify() { return store_->verify(); }

std::vector<std::string> StoreWorkload::verify_at_rest() {
  let_go();
  const StoreStats stats = store_->stats();  // reaps
  std::vector<std::string> violations = store_->verify();
  for (const PartStats& part : stats.parts) {
    if (part.pins != 0) violations.emplace_back("pins of dead processes are left");
    if (part.pinned_bytes != 0) violations.emplace_back("bytes pinned by nobody");
  }
  clear();
  for (const std::string& what : store_->verify()) violations.push_back("cleared: " + what);
  return violations;
}

std::uint64_t StoreWorkload::recoveries() const {
  std::uint64_t sum = 0;
  for (const PartStats& part : store_->stats().parts) sum += part.recoveries;
  return sum;
}

}  // namespace kv::crash
