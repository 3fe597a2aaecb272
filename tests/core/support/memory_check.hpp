// What must hold of a part between transactions, as assertions.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "memory/allocator.hpp"
#include "memory/arena.hpp"
#include "memory/system.hpp"

namespace kv::test {

inline constexpr std::uint64_t kMiB = 1024 * 1024;

// Blocks in use by reference, with their sizes. Fails the test on any contradiction in the allocator.
inline std::map<Ref, std::size_t> blocks_in_use(const Part& part) {
  std::map<Ref, std::size_t> blocks;
  std::vector<std::string> violations;
  const Part::Lock lock(part);
  verify_allocator(
      part, [&](Ref ref, std::size_t bytes) { blocks.emplace(ref, bytes); }, violations);
  for (const std::string& violation : violations) FAIL_CHECK(violation);
  return blocks;
}

// Makes the n-th system call of a kind fail, counting from 0, for as long as it lives.
class FailingCall {
 public:
  FailingCall(system::Call call, int n, int error) {
    state() = {call, n, error};
    system::set_fault_hook(&hook);
  }
  FailingCall(const FailingCall&) = delete;
  FailingCall& operator=(const FailingCall&) = delete;
  ~FailingCall() { system::set_fault_hook(nullptr); }
  [[nodiscard]] static bool fired() { return state().left < 0; }

 private:
  struct State {
    system::Call call;
    int left;
    int error;
  };
  static State& state() {
    static State instance{};
    return instance;
  }
  static int hook(system::Call call) {
    State& s = state();
    return call == s.call && s.left >= 0 && s.left-- == 0 ? s.error : 0;
  }
};

}  // namespace kv::test
