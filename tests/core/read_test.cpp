// Optimistic reading: whatever writers do, a section's result belongs to one state.
#include <atomic>
#include <cerrno>
#include <thread>

#include "memory/part.hpp"
#include "support/child_process.hpp"
#include "support/memory_check.hpp"

namespace kv::test {
namespace {

constexpr std::size_t kCells = 64;

struct Snapshot {
  std::uint64_t cells[kCells];
  [[nodiscard]] bool consistent() const {
    for (const std::uint64_t cell : cells) {
      if (cell != cells[0]) return false;
    }
    return true;
  }
};

// A root word refers to a block of equal words. Writers change the words in place, or build another block and free the
// old.
class ReadFixture {
 public:
  ReadFixture() {
    Transaction txn(part);
    root = txn.allocate(8);
    store_relaxed<std::uint64_t>(txn.fresh(root), make_block(txn, 1));
    txn.commit();
  }

  [[nodiscard]] Snapshot snapshot() const {
    return part.read([this] {
      Snapshot seen{};
      const Ref block = load32(part.at(root, 8));
      copy_out(seen.cells, part.at(block, sizeof seen.cells), sizeof seen.cells);
      return seen;
    });
  }

  void change(std::uint64_t value) {
    Transaction txn(part);
    const Ref block = load32(txn.at(root));
    if (value % 3 == 0) {
      txn.store32(root, 0, make_block(txn, value));
      txn.free(block);
    } else {
      for (std::size_t i = 0; i < kCells; ++i) txn.store64(block, i * 8, value);
    }
    if (value % 7 != 0) txn.commit();  // else undone: what readers saw meanwhile never was
  }

  std::shared_ptr<Arena> arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  Ref root = kNullRef;

 private:
  static Ref make_block(Transaction& txn, std::uint64_t value) {
    const Ref block = txn.allocate(kCells * 8);
    for (std::size_t i = 0; i < kCells; ++i) store_relaxed<std::uint64_t>(txn.fresh(block) + i * 8, value);
    return block;
  }
};

}  // namespace

TEST_CASE_FIXTURE(ReadFixture, "read: threads never see a torn state") {
  constexpr std::uint64_t kChanges = 3'000;
  std::atomic<int> writers{2};
  std::atomic<std::uint64_t> torn{0};
  std::atomic<std::uint64_t> reads{0};
  std::vector<std::thread> threads;
  for (int w = 0; w < 2; ++w) {
    threads.emplace_back([&, w] {
      for (std::uint64_t i = 0; i < kChanges; ++i) change(i * 2 + static_cast<std::uint64_t>(w) + 1);
      --writers;
    });
  }
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&] {
      do {
        if (!snapshot().consistent()) ++torn;
        ++reads;
      } while (writers > 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(torn == 0);
  CHECK(reads > 0);
  CHECK(blocks_in_use(part).size() == 2);
}

TEST_CASE_FIXTURE(ReadFixture, "read: processes never see a torn state") {
  ChildProcess writer([&] {
    for (std::uint64_t i = 1;; ++i) change(i);
    return 0;
  });
  for (int i = 0; i < 20'000; ++i) REQUIRE(snapshot().consistent());
  writer.kill();
  CHECK(snapshot().consistent());
  CHECK(blocks_in_use(part).size() == 2);
}

TEST_CASE_FIXTURE(ReadFixture, "read: a section that always meets a writer ends up with the lock") {
  // Every optimistic try is spoilt from inside the section; the run that counts must be the one under the lock.
  int runs = 0;
  const Part& reading = part;
  const int result = reading.read([&] {
    ++runs;
    std::thread writer([&] {
      if (::pthread_mutex_trylock(&part.control().mutex) != 0) return;
      ::pthread_mutex_unlock(&part.control().mutex);
      change(static_cast<std::uint64_t>(runs) * 3 + 1);
    });
    writer.join();
    return runs;
  });
  CHECK(result == runs);
  CHECK(runs > 1);
  CHECK(snapshot().consistent());
  CHECK(::pthread_mutex_trylock(&part.control().mutex) == 0);  // and gave it back
  ::pthread_mutex_unlock(&part.control().mutex);
}

TEST_CASE_FIXTURE(ReadFixture, "read: impossible references lead to zeros and never outside the slice") {
  const std::uint64_t slice = arena->header().slice_bytes;
  const auto last = static_cast<Ref>((slice - 8) / kGranule);
  CHECK(part.at(last, 8) == part.slice() + slice - 8);
  CHECK(part.at(last, 9) == kZeroBlock);
  CHECK(part.at(last + 1, 1) == kZeroBlock);
  CHECK(part.at(0xFFFF'FFFF, 8) == kZeroBlock);
  CHECK(part.at(0xFFFF'FFFF, kZeroBytes) == kZeroBlock);
  CHECK_FALSE(part.contains(last, 16));
  CHECK_FALSE(part.contains(1, slice));
  CHECK(part.contains(0, slice));
  CHECK_FALSE(part.contains(0, slice + 1));
  for (const std::byte byte : kZeroBlock) REQUIRE(byte == std::byte{0});
}

}  // namespace kv::test
