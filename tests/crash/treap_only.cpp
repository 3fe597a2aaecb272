// The negative controls are built from memory/ alone.
#include "workload.hpp"

namespace kv::crash {

std::unique_ptr<Workload> make_workload(const WorkloadOptions& options, Scoreboard& scoreboard) {
  return options.name == "treap" ? make_treap_workload(options, scoreboard) : nullptr;
}

}  // namespace kv::crash
