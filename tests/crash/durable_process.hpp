// What the processes of durable_storm do over a store with a data directory, and what it must hold whenever it is
// opened: from memory, through a process that is alive or dying, or from its files.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "kv_storage/store.hpp"
#include "random.hpp"
#include "scoreboard.hpp"

namespace kv::crash {

// A counter that all processes increment. What increment() answers is answered once.
struct SharedCounter {
  static constexpr std::size_t kAnswers = 1 << 16;

  std::atomic<std::uint64_t> begun;
  std::atomic<std::uint64_t> acknowledged;
  std::atomic<std::uint64_t> answers[kAnswers];  // the last one that is this modulo kAnswers
};

struct DurableBoard {
  Scoreboard scoreboard;
  SharedCounter shared;
  std::atomic<std::uint32_t> ready;  // processes that have opened the store since this was set to 0
  std::atomic<std::uint64_t> built;  // times that it was opened from its files
  std::atomic<std::uint64_t> recoveries;
};

struct DurableOptions {
  std::string path;
  std::uint32_t writers = 3;
  std::uint32_t parts = 0;  // 0 = 1 or 3, by chance
  std::string sync;         // "" = by chance
  bool unmapped = false;    // by chance, processes that cannot take blocks beforehand, and write call by call
};

class DurableProcess {
 public:
  // Opens the store. Throws kv::Error.
  DurableProcess(const DurableOptions& options, DurableBoard& board, Random& random);

  [[nodiscard]] bool built() const { return store_->built(); }
  // The row of a dead writer: each key holds the old or the new version, which from now on is the version done.
  void settle(std::uint32_t writer);
  void write(std::uint32_t writer, Random& random);
  // All rows and the shared counter, whatever other processes are doing. Throws Violation.
  void check();
  // When nobody else is left: what the shared counter holds is what it must hold from now on.
  void settle_shared();
  void close();

 private:
  struct Place {
    Hash hash;
    std::string key;
  };

  [[nodiscard]] Place place(std::uint32_t writer, std::uint32_t number);
  [[nodiscard]] std::optional<std::uint64_t> version(std::uint32_t writer, std::uint32_t number);
  [[nodiscard]] std::uint64_t count(const std::string& key);
  void change_own(std::uint32_t writer, Random& random);
  void change_list(std::uint32_t writer, std::uint32_t number, Random& random);
  void change_scratch(std::uint32_t writer);
  void count_own(std::uint32_t writer);
  void count_shared();

  DurableBoard& board_;
  std::uint32_t writers_;
  std::shared_ptr<Store> store_;
  std::optional<Hash> map_;
};

}  // namespace kv::crash
