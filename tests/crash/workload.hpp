// What the storm's workers do, and what must hold whenever one of them has been killed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "random.hpp"
#include "scoreboard.hpp"

namespace kv::crash {

class Workload {
 public:
  Workload() = default;
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;
  virtual ~Workload() = default;

  // One operation of writer `writer`, which alone changes the keys of its row in the oracle.
  virtual void write(std::uint32_t writer, Random& random) = 0;
  // One operation of a reader. Throws Violation.
  virtual void read(Random& random) = 0;

  // In the parent, once `writer` is dead: each of its keys holds the old or the new version. Throws Violation.
  virtual void settle(std::uint32_t writer) = 0;
  // In the parent, after each kill, while other workers run: what is wrong with the structures; empty = sound.
  [[nodiscard]] virtual std::vector<std::string> verify() = 0;
  // In the parent, when all workers are dead: nobody holds a pin, or memory that nobody refers to.
  [[nodiscard]] virtual std::vector<std::string> verify_at_rest() = 0;

  // How another process joins: "pid:descriptor:id".
  [[nodiscard]] virtual std::string address() const = 0;
  [[nodiscard]] virtual std::uint64_t recoveries() const = 0;
};

struct WorkloadOptions {
  std::string name;
  std::uint64_t max_memory;
  std::uint32_t writers;
  std::string address;  // of the arena to join; empty = make a new one
};

// nullptr if this executable has no workload of that name.
[[nodiscard]] std::unique_ptr<Workload> make_workload(const WorkloadOptions& options, Scoreboard& scoreboard);
[[nodiscard]] std::unique_ptr<Workload> make_treap_workload(const WorkloadOptions& options, Scoreboard& scoreboard);
[[nodiscard]] std::unique_ptr<Workload> make_hash_workload(const WorkloadOptions& options, Scoreboard& scoreboard);
[[nodiscard]] std::unique_ptr<Workload> make_list_workload(const WorkloadOptions& options, Scoreboard& scoreboard);
[[nodiscard]] std::unique_ptr<Workload> make_record_workload(const WorkloadOptions& options, Scoreboard& scoreboard);
[[nodiscard]] std::unique_ptr<Workload> make_set_workload(const WorkloadOptions& options, Scoreboard& scoreboard);
[[nodiscard]] std::unique_ptr<Workload> make_cache_workload(const WorkloadOptions& options, Scoreboard& scoreboard);

// The bytes of a version of a key: a reader can tell from them alone whether they belong together.
class Payload {
 public:
  static constexpr std::size_t kHeaderBytes = 24;

  // Sizes of every kind a store treats differently, small ones most.
  [[nodiscard]] static std::size_t size(std::uint64_t key, std::uint64_t version) noexcept;
  static void fill(char* to, std::size_t bytes, std::uint64_t key, std::uint64_t version) noexcept;
  // The version that `bytes` bytes hold. Throws Violation if they are not exactly what `fill` made for `key`.
  [[nodiscard]] static std::uint64_t version_in(const char* from, std::size_t bytes, std::uint64_t key);
};

}  // namespace kv::crash
