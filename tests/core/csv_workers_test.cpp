#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "csv/workers.hpp"
#include "kv_storage/error.hpp"

using kv::csv::Stop;
using kv::csv::Workers;

TEST_CASE("csv workers: every index once") {
  for (const unsigned threads : {1U, 2U, 7U}) {
    std::vector<std::atomic<int>> done(1000);
    Workers(threads).run(done.size(), {}, [&](unsigned thread, std::size_t index, const Stop&) {
      CHECK(thread < threads);
      ++done[index];
    });
    for (const auto& count : done) CHECK(count == 1);
  }
  Workers(2).run(0, {}, [](unsigned, std::size_t, const Stop&) { FAIL("nothing to do"); });
  CHECK(Workers(0).threads() >= 1);
}

TEST_CASE("csv workers: the error of the lowest index wins, and all below it are completed") {
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<std::atomic<bool>> done(100);
    std::string message;
    try {
      Workers(4).run(done.size(), {}, [&](unsigned, std::size_t index, const Stop&) {
        if (index == 40 || index == 41 || index > 60) throw std::runtime_error(std::to_string(index));
        std::this_thread::yield();
        done[index] = true;
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    CHECK(message == "40");
    for (std::size_t i = 0; i < 40; ++i) CHECK(done[i]);
  }
}

TEST_CASE("csv workers: what is taken comes in order, on the calling thread, and the threads do not run far ahead") {
  const std::thread::id caller = std::this_thread::get_id();
  for (const unsigned threads : {1U, 2U, 7U}) {
    std::vector<int> results(1000);
    std::atomic<std::size_t> taken{0};
    Workers(threads).run_in_order(
        results.size(), {},
        [&](unsigned thread, std::size_t index, const Stop&) {
          CHECK(thread < threads);
          CHECK(index < taken + 100);
          results[index] = static_cast<int>(index) * 3;
        },
        [&](std::size_t index) {
          CHECK(std::this_thread::get_id() == caller);
          CHECK(index == taken);
          CHECK(results[index] == static_cast<int>(index) * 3);
          ++taken;
        });
    CHECK(taken == results.size());
  }
  Workers(2).run_in_order(
      0, {}, [](unsigned, std::size_t, const Stop&) { FAIL("nothing to do"); },
      [](std::size_t) { FAIL("nothing to take"); });
}

TEST_CASE("csv workers: all below a failed index is taken, and what the taker throws ends the work") {
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::size_t taken = 0;
    std::string message;
    try {
      Workers(4).run_in_order(
          100, {},
          [&](unsigned, std::size_t index, const Stop&) {
            if (index == 40 || index == 41 || index > 60) throw std::runtime_error(std::to_string(index));
            std::this_thread::yield();
          },
          [&](std::size_t) { ++taken; });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    CHECK(message == "40");
    CHECK(taken == 40);
  }
  CHECK_THROWS_AS(Workers(3).run_in_order(
                      1000, {}, [](unsigned, std::size_t, const Stop&) {},
                      [](std::size_t index) {
                        if (index == 20) throw std::logic_error("taker");
                      }),
                  std::logic_error);
  CHECK_THROWS_AS(Workers(2).run_in_order(
                      10, [] { return false; },
                      [](unsigned, std::size_t index, const Stop& stop) {
                        while (!stop(index)) std::this_thread::yield();
                      },
                      [](std::size_t) {}),
                  kv::Error);
}

TEST_CASE("csv workers: work above a failed index learns that it is pointless") {
  std::atomic<bool> failed{false};
  CHECK_THROWS_AS(Workers(2).run(2, {},
                                 [&](unsigned, std::size_t index, const Stop& stop) {
                                   if (index == 0) {
                                     failed = true;
                                     throw std::runtime_error("0");
                                   }
                                   while (!stop(index)) std::this_thread::yield();
                                   CHECK(failed);
                                 }),
                  std::runtime_error);
}

TEST_CASE("csv workers: a tick that says no ends the work with kInterrupted, on the calling thread") {
  const std::thread::id caller = std::this_thread::get_id();
  const auto until_stopped = [](unsigned, std::size_t index, const Stop& stop) {
    while (!stop(index)) std::this_thread::yield();
  };
  try {
    Workers(2).run(
        10,
        [&] {
          CHECK(std::this_thread::get_id() == caller);
          return false;
        },
        until_stopped);
    FAIL("not interrupted");
  } catch (const kv::Error& error) {
    CHECK(error.code() == kv::ErrorCode::kInterrupted);
  }
  CHECK_THROWS_AS(Workers(2).run(
                      10, []() -> bool { throw std::logic_error("tick"); }, until_stopped),
                  std::logic_error);
}

TEST_CASE("csv workers: signals are blocked in the threads and the caller's mask is left as it was") {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  Workers(2).run(4, {}, [](unsigned, std::size_t, const Stop&) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    CHECK(sigismember(&mask, SIGINT) == 1);
    CHECK(sigismember(&mask, SIGTERM) == 1);
  });
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  CHECK(sigismember(&after, SIGINT) == sigismember(&before, SIGINT));
}
