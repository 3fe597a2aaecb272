#include "persist/threads.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

#include "memory/part.hpp"

namespace kv::persist {

void for_each_on_threads(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::vector<std::exception_ptr> failures(count);
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    const Part::PatientScope patient;
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      try {
        work(i);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  const std::size_t wanted = std::min<std::size_t>(count, std::max(1U, std::thread::hardware_concurrency()));
  try {
    for (std::size_t i = 1; i < wanted; ++i) threads.emplace_back(run);
  } catch (const std::system_error&) {  // fewer will do
  }
  run();
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

std::size_t processors_for_each(std::size_t threads) noexcept {
  return std::max<std::size_t>(1, std::thread::hardware_concurrency() / std::max<std::size_t>(1, threads));
}

}  // namespace kv::persist
