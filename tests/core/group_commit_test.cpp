// Whom a sync waits for: those who were there a moment ago, and nobody when there is one writer.
#include "persist/group_commit.hpp"

#include <doctest/doctest.h>

namespace kv::test {
namespace {

struct Log {
  Log() { ::pthread_mutex_init(&state.sync_mutex, nullptr); }
  ~Log() { ::pthread_mutex_destroy(&state.sync_mutex); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // A sync while which so many writers come.
  void sync(int came_meanwhile) {
    persist::GroupCommit group(state);
    group.before_sync();
    for (int i = 0; i < came_meanwhile; ++i) group.arrive();
    group.after_sync();
  }
  void arrive(int writers) {
    for (int i = 0; i < writers; ++i) persist::GroupCommit(state).arrive();
  }

  LogState state{};
};

}  // namespace

TEST_CASE("group commit: a single writer is not waited for") {
  Log log;
  for (int i = 0; i < 100; ++i) {
    log.arrive(1);
    log.sync(0);
    CHECK(log.state.expected == 1);
    CHECK(log.state.futile == 0);
    CHECK(log.state.skip == 0);
  }
}

TEST_CASE("group commit: a writer who came too late for a sync is expected, together with those whom it served") {
  Log log;
  log.arrive(1);
  log.sync(1);
  CHECK(log.state.expected == 2);
  CHECK(log.state.served == 1);
  log.arrive(1);  // the other one came again
  log.sync(0);
  CHECK(log.state.expected == 2);
  CHECK(log.state.served == 3);
  CHECK(log.state.futile == 0);
  log.arrive(2);
  log.sync(1);
  CHECK(log.state.expected == 3);
}

TEST_CASE("group commit: after waiting in vain nobody is waited for, each time for longer") {
  Log log;
  std::uint32_t skipped = 0;
  for (std::uint32_t round = 1; round <= 10; ++round) {
    log.arrive(1);
    log.sync(1);  // two are expected, one comes
    while (log.state.skip != 0) log.sync(1);
    log.state.expected = 10;
    log.sync(0);
    CHECK(log.state.futile >= 1);
    CHECK(log.state.skip >= skipped);
    CHECK(log.state.skip <= 64);
    skipped = log.state.skip;
  }
  CHECK(skipped == 64);
  // Who comes then is not overlooked.
  while (log.state.skip != 0) log.sync(1);
  log.arrive(10);
  log.state.expected = 3;
  log.sync(0);
  CHECK(log.state.skip == 0);
}

TEST_CASE("group commit: hints that a killed process left do no more than mislead once") {
  Log log;
  log.state.expected = ~std::uint64_t{0};
  log.state.served = 1'000;
  log.state.arrivals = 5;
  log.sync(0);
  log.arrive(1);
  log.sync(0);
  CHECK(log.state.expected <= 64);
  CHECK(log.state.served == log.state.arrivals);
}

}  // namespace kv::test
