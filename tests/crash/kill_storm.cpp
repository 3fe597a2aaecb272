// Exit code 0: as expected. Options: kill_storm --help.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "storm.hpp"

int main(int argc, char** argv) {
  using kv::crash::Storm;
  kv::crash::StormOptions options;
  CLI::App app("Kills processes that write and read one arena at random instants, and verifies it after each.");
  app.add_option("--mode", options.mode,
                 "Of which kind the collection is: treap, hash, map, records, list, set, cache");
  app.add_option("--kills", options.kills);
  app.add_option("--seconds", options.seconds, "Ends the storm before all kills are done");
  app.add_option("--seed", options.seed);
  app.add_option("--memory-mb", options.memory_mb);
  app.add_option("--writers", options.writers)->check(CLI::Range(1U, kv::crash::kMaxWriters));
  app.add_option("--readers", options.readers);
  app.add_flag("--attach", options.attach, "Workers are programs of their own that join, not forks");
  app.add_flag("--expect-violations", options.expect_violations, "Success is to find one");
  for (CLI::Option* option : {app.add_option("--address", options.address), app.add_option("--worker", options.worker),
                              app.add_option("--scoreboard-fd", options.scoreboard_fd)}) {
    option->group("A worker that joins");
  }
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.worker >= 0) Storm::work_as_guest(options);
    return Storm(options).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kill_storm: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
