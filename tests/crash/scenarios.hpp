// Operations that a writer may die in, on a store small enough to be looked at whole.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kv_storage/store.hpp"
#include "random.hpp"

namespace kv::crash {

struct Scenario {
  const char* name;
  std::function<void(Store&)> operate;
  bool in_steps = false;  // each key by itself is as before or as after
};
[[nodiscard]] const std::vector<Scenario>& scenarios();

// The store that the scenarios expect.
[[nodiscard]] std::shared_ptr<Store> make_scenario_store();

// Everything a user can see: "collection/key" -> value, and "collection" -> how many entries it says it has.
using Contents = std::map<std::string, std::string>;
[[nodiscard]] Contents contents_of(Store& store);

// Whether `found` is what a writer may leave that died on the way from `before` to `after`. A cache may forget.
[[nodiscard]] bool possible(const Scenario& scenario, const Contents& found, const Contents& before,
                            const Contents& after);

// Throws if Store::verify() finds something.
void require_sound(const Store& store, const std::string& when);

// Takes everything apart, key by key in an order drawn anew, so that what a death left in a table comes to light: no
// block may be lost, and no pin kept. Throws.
void dismantle(Store& store, Random& random);

}  // namespace kv::crash
