// Doing several pieces of work at once while a store is opened.
#pragma once

#include <cstddef>
#include <functional>

namespace kv::persist {

// Runs work(0) ... work(count - 1) on as many threads as there are processors, the caller among them, and waits; throws
// what the lowest failing one threw.
void for_each_on_threads(std::size_t count, const std::function<void(std::size_t)>& work);

// How many processors there are for each of so many threads; at least 1.
[[nodiscard]] std::size_t processors_for_each(std::size_t threads) noexcept;

}  // namespace kv::persist
