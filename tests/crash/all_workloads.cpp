#include "workload.hpp"

namespace kv::crash {

std::unique_ptr<Workload> make_workload(const WorkloadOptions& options, Scoreboard& scoreboard) {
  if (options.name == "treap") return make_treap_workload(options, scoreboard);
  if (options.name == "hash" || options.name == "map") return make_hash_workload(options, scoreboard);
  if (options.name == "records") return make_record_workload(options, scoreboard);
  if (options.name == "list") return make_list_workload(options, scoreboard);
  if (options.name == "set") return make_set_workload(options, scoreboard);
  if (options.name == "cache") return make_cache_workload(options, scoreboard);
  return nullptr;
}

}  // namespace kv::crash
