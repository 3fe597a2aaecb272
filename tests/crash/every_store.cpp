// Options: every_store --help.
//
// Kills a writer between two machine instructions. A first run of each operation, single-stepped, finds the
// instructions that change the shared memory; further ones from the same start are killed right after one of these: all
// of them, or (looking only every kStride instructions, which is quicker) N drawn at random near one. The store must
// then hold what it held before the operation or what it holds after, must verify, and must be taken apart without a
// block lost. The storm (kill_storm.cpp) hits a window of two instructions once in days.
//
// Exit code 77: ptrace(2) is not permitted here.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "arena_image.hpp"
#include "scenarios.hpp"
#include "stepper.hpp"

namespace kv::crash {
namespace {

constexpr int kSkipped = 77;
constexpr std::uint64_t kStride = 16;

// Numbers of the instructions of `operation` after which the memory is another than `stride` instructions before.
std::vector<std::uint64_t> find_stores(const std::string& address, const std::function<void()>& operation,
                                       std::uint64_t stride) {
  ArenaImage image(address);
  std::vector<std::uint64_t> stores;
  Stepper child(operation);
  for (std::uint64_t number = 1; child.step(); ++number) {
    if (number % stride != 0 || !image.update()) continue;
    for (std::uint64_t changed = number - stride; changed < number; ++changed) stores.push_back(changed + 1);
  }
  return stores;
}

void run_to(std::uint64_t number, const std::function<void()>& operation) {
  Stepper child(operation);
  for (std::uint64_t i = 0; i < number && child.step(); ++i) {
  }
}

std::string told(const Contents& contents, const std::string& key) {
  const auto at = contents.find(key);
  return at == contents.end() ? "absent" : '"' + at->second.substr(0, 40) + '"';
}

// What is neither of the two, or else what differs from the contents before.
std::string differences(const Contents& found, const Contents& before, const Contents& after) {
  std::string neither, changed;
  for (const Contents* contents : {&found, &before, &after}) {
    for (const auto& [key, value] : *contents) {
      const std::string is = told(found, key), was = told(before, key), would = told(after, key);
      const std::string line = "\n  " + key + " is " + is + ", was " + was + ", would be " + would;
      if (is != was && is != would && neither.find(line) == std::string::npos) neither += line;
      if (was != would && changed.find(line) == std::string::npos) changed += line;
    }
  }
  return neither.empty() ? changed : neither;
}

void run(const Scenario& scenario, std::uint64_t kills, Random& random) {
  const auto store = make_scenario_store();
  const auto operation = [&] { scenario.operate(*store); };
  const auto before = contents_of(*store);
  ArenaImage start(store->address());
  const std::vector<std::uint64_t> stores = find_stores(store->address(), operation, kills == 0 ? 1 : kStride);
  const auto after = contents_of(*store);
  if (kills == 0) kills = stores.size();
  std::uint64_t kept = 0;
  for (std::uint64_t i = 0; i < kills; ++i) {
    start.restore();
    const std::size_t chosen = kills == stores.size() ? i : random.below(stores.size());
    run_to(stores[chosen], operation);
    const std::string where =
        std::string(scenario.name) + " killed after instruction " + std::to_string(stores[chosen]);
    try {
      require_sound(*store, "at once");
      const auto found = contents_of(*store);
      if (!possible(scenario, found, before, after)) {
        throw std::runtime_error("neither the old nor the new contents" + differences(found, before, after));
      }
      kept += found == before;
      dismantle(*store, random);
    } catch (const std::exception& error) {
      throw std::runtime_error(where + ": " + error.what());
    }
  }
  std::printf("%-16s %5zu instants, killed at %llu of them: %llu times as before, %llu not\n", scenario.name,
              stores.size(), static_cast<unsigned long long>(kills), static_cast<unsigned long long>(kept),
              static_cast<unsigned long long>(kills - kept));
}

// `kills` = 0: after every store.
int run_all(const std::string& only, std::uint64_t kills, std::uint64_t seed) {
  int failures = 0;
  for (const Scenario& scenario : scenarios()) {
    if (!only.empty() && only != scenario.name) continue;
    Random random(seed);
    try {
      run(scenario, kills, random);
    } catch (const PtraceRefused& refused) {
      std::printf("skipped: %s\n", refused.what());
      return kSkipped;
    } catch (const std::exception& error) {
      std::printf("FAILED: %s\n", error.what());
      ++failures;
    }
  }
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace kv::crash

int main(int argc, char** argv) {
  std::string only;
  std::uint64_t kills = 0;
  std::uint64_t seed = 1;
  CLI::App app("Kills a writer after each instruction that changes the shared memory.");
  app.add_option("--scenario", only, "Only this one");
  app.add_option("--kills", kills, "So many for each scenario, drawn at random; 0: one after each instruction");
  app.add_option("--seed", seed);
  CLI11_PARSE(app, argc, argv);
  return kv::crash::run_all(only, kills, seed);
}
