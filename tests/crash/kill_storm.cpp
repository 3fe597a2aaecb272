// kill_storm [--mode=treap|hash|map|records|list] [--kills=N] [--seconds=N] [--seed=N] [--memory-mb=N] [--writers=N]
// [--readers=N]
//            [--attach] [--expect-violations]
//
// Exit code 0: as expected. The other options are those of a worker that joins (storm.cpp).
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "storm.hpp"

namespace kv::crash {
namespace {

// "--name=value" with the value into `to`.
bool take(std::string_view argument, std::string_view name, std::string& to) {
  if (argument.substr(0, name.size()) != name || argument.substr(name.size(), 1) != "=") return false;
  to = argument.substr(name.size() + 1);
  return true;
}

template <class Number>
bool take(std::string_view argument, std::string_view name, Number& to) {
  std::string text;
  if (!take(argument, name, text)) return false;
  to = static_cast<Number>(std::stoull(text));
  return true;
}

bool parse(std::string_view argument, StormOptions& options) {
  if (argument == "--attach") return options.attach = true;
  if (argument == "--expect-violations") return options.expect_violations = true;
  return take(argument, "--mode", options.mode) || take(argument, "--kills", options.kills) ||
         take(argument, "--seconds", options.seconds) || take(argument, "--seed", options.seed) ||
         take(argument, "--memory-mb", options.memory_mb) || take(argument, "--writers", options.writers) ||
         take(argument, "--readers", options.readers) || take(argument, "--address", options.address) ||
         take(argument, "--worker", options.worker) || take(argument, "--scoreboard-fd", options.scoreboard_fd);
}

}  // namespace
}  // namespace kv::crash

int main(int argc, char** argv) {
  try {
    kv::crash::StormOptions options;
    for (int i = 1; i < argc; ++i) {
      if (kv::crash::parse(argv[i], options)) continue;
      std::fprintf(stderr, "kill_storm: unknown option %s\n", argv[i]);
      return EXIT_FAILURE;
    }
    if (options.writers == 0 || options.writers > kv::crash::kMaxWriters) {
      std::fprintf(stderr, "kill_storm: --writers must be 1 to %u\n", kv::crash::kMaxWriters);
      return EXIT_FAILURE;
    }
    if (options.worker >= 0) kv::crash::Storm::work_as_guest(options);
    return kv::crash::Storm(options).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kill_storm: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
