// Atomicity of a transaction: within one process, and when its process is killed at a chosen point.
#include "memory/transaction.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

#include "support/child_process.hpp"
#include "support/memory_check.hpp"

namespace kv::test {
namespace {

constexpr std::size_t kWords = 8'192;  // more than a journal holds

// An arena with one block whose words start as their own number.
class TransactionFixture {
 public:
  TransactionFixture() {
    Transaction txn(part);
    block = txn.allocate(kWords * 8);
    for (std::size_t i = 0; i < kWords; ++i) store_relaxed<std::uint64_t>(txn.fresh(block) + i * 8, i);
    txn.commit();
  }
  [[nodiscard]] std::uint64_t word(std::size_t i) const { return load64(part.at(block, 8) + i * 8); }
  [[nodiscard]] bool untouched() const {
    for (std::size_t i = 0; i < kWords; ++i) {
      if (word(i) != i) return false;
    }
    return true;
  }

  std::shared_ptr<Arena> arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  Ref block = kNullRef;
};

}  // namespace

TEST_CASE_FIXTURE(TransactionFixture, "transaction: a commit keeps, its absence and an exception undo") {
  {
    Transaction txn(part);
    txn.store64(block, 0, 100);
    txn.store32(block, 12, 200);
    txn.commit();
  }
  CHECK(word(0) == 100);
  CHECK(word(1) == (1 | std::uint64_t{200} << 32));
  {
    Transaction txn(part);
    txn.store64(block, 0, 0);
    txn.store32(block, 12, 0);
    txn.store64(block, 0, 7);  // twice: the first old value counts
  }
  CHECK(word(0) == 100);
  CHECK(word(1) == (1 | std::uint64_t{200} << 32));
  const auto fail_inside = [&] {
    Transaction txn(part);
    txn.store64(block, 0, 7);
    throw std::runtime_error("inside");
  };
  CHECK_THROWS_AS(fail_inside(), std::runtime_error);
  CHECK(word(0) == 100);
  Transaction txn(part);
  txn.store64(block, 0, 0);
  txn.rollback();
  txn.store64(block, 8, 1);  // goes on after a rollback
  txn.commit();
  CHECK(word(0) == 100);
  CHECK(word(1) == 1);
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: store32 leaves the other half of its word alone") {
  Transaction txn(part);
  txn.store64(block, 0, 0x1111'2222'3333'4444);
  txn.store32(block, 0, 0xAAAA'AAAA);
  CHECK(word(0) == 0x1111'2222'AAAA'AAAA);
  txn.store32(block, 4, 0xBBBB'BBBB);
  CHECK(word(0) == 0xBBBB'BBBB'AAAA'AAAA);
  txn.rollback();
  CHECK(untouched());
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: each step counts for itself") {
  Transaction txn(part);
  txn.store64(block, 0, 10);
  txn.commit();
  txn.store64(block, 8, 11);
  txn.commit();
  txn.store64(block, 16, 12);
  txn.rollback();
  CHECK(word(0) == 10);
  CHECK(word(1) == 11);
  CHECK(word(2) == 2);
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: an overfull journal is refused, and all of it undone") {
  {
    Transaction txn(part);
    CHECK(txn.journal_room() == kJournalEntries);
    for (std::size_t i = 0; i < kJournalEntries; ++i) txn.store64(block, i * 8, 0);
    CHECK(txn.journal_room() == 0);
    CHECK_THROWS_AS(txn.store64(block, kJournalEntries * 8, 0), std::logic_error);
    CHECK(word(kJournalEntries) == kJournalEntries);  // refused before the store
    const std::vector<std::byte> zeros(64);
    CHECK_THROWS_AS(txn.write(block, kJournalEntries * 8, zeros.data(), zeros.size()), std::logic_error);
  }
  CHECK(untouched());
  Transaction txn(part);
  for (std::size_t i = 0; i < kJournalEntries; ++i) txn.store64(block, i * 8, 0);
  txn.commit();
  CHECK(txn.journal_room() == kJournalEntries);
  CHECK(word(kJournalEntries - 1) == 0);
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: write stores any range and journals only words that differ") {
  std::mt19937 random(3);
  std::vector<std::byte> model(kWords * 8);
  copy_out(model.data(), part.at(block, 8), model.size());
  for (int round = 0; round < 2'000; ++round) {
    const std::size_t offset = random() % 1'000;
    const std::size_t bytes = random() % 100;
    std::vector<std::byte> next = model;
    for (std::size_t i = 0; i < bytes; ++i) {
      if (random() % 4 == 0) next[offset + i] = static_cast<std::byte>(random());
    }
    std::size_t differing = 0;
    for (std::size_t i = 0; i < model.size(); i += 8) differing += std::memcmp(&model[i], &next[i], 8) != 0;
    Transaction txn(part);
    txn.write(block, offset, next.data() + offset, bytes);
    REQUIRE(txn.journal_room() == kJournalEntries - differing);
    REQUIRE(equal_bytes(part.at(block, 8), next.data(), next.size()));
    if (random() % 2 == 0) {
      txn.commit();
      model = next;
    } else {
      txn.rollback();
      REQUIRE(equal_bytes(part.at(block, 8), model.data(), model.size()));
    }
  }
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: the sequence is odd exactly while reachable memory changes") {
  const std::uint64_t start = part.sequence();
  CHECK(start % 2 == 0);
  {
    Transaction txn(part);
    CHECK(part.sequence() == start);  // nothing stored yet
    txn.store64(block, 0, 1);
    CHECK(part.sequence() == start + 1);
    txn.store64(block, 0, 2);
    CHECK(part.sequence() == start + 1);
    txn.commit();
    CHECK(part.sequence() == start + 2);
    txn.commit();  // of nothing
    CHECK(part.sequence() == start + 2);
    txn.store64(block, 0, 3);
    CHECK(part.sequence() == start + 3);
    txn.rollback();
    CHECK(part.sequence() == start + 4);  // what was seen meanwhile is void
    txn.store64(block, 0, 3);
  }
  CHECK(part.sequence() == start + 6);
  { const Transaction txn(part); }
  CHECK(part.sequence() == start + 6);
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: what was allocated is free again after a rollback") {
  const auto before = blocks_in_use(part);
  {
    Transaction txn(part);
    for (const std::size_t bytes : {1, 100, 5'000, 40'000, 3'000'000}) CHECK(txn.allocate(bytes) != kNullRef);
  }
  CHECK(blocks_in_use(part) == before);
  {
    Transaction txn(part);
    txn.free(block);
  }
  CHECK(blocks_in_use(part) == before);
  CHECK(untouched());
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: nobody gets freed memory before the commit") {
  constexpr std::size_t kBlocks = 50;
  for (const std::size_t bytes : {std::size_t{64}, std::size_t{3'000}, std::size_t{40'000}}) {
    CAPTURE(bytes);
    std::vector<Ref> old_blocks;
    {
      Transaction txn(part);
      for (std::size_t i = 0; i < kBlocks; ++i) {
        old_blocks.push_back(txn.allocate(bytes));
        store_relaxed<std::uint64_t>(txn.fresh(old_blocks.back()), i);
      }
      txn.commit();
    }
    const auto before = blocks_in_use(part);
    for (const bool commits : {false, true}) {
      Transaction txn(part);
      for (const Ref old_block : old_blocks) txn.free(old_block);
      CHECK_THROWS_AS(txn.free(old_blocks.front()), std::logic_error);
      for (std::size_t i = 0; i < kBlocks; ++i) {
        const Ref fresh = txn.allocate(bytes);
        CHECK(std::find(old_blocks.begin(), old_blocks.end(), fresh) == old_blocks.end());
        store_relaxed<std::uint64_t>(txn.fresh(fresh), 0xDEAD);
      }
      if (commits) {
        txn.commit();
        continue;
      }
      txn.rollback();
      for (std::size_t i = 0; i < kBlocks; ++i) REQUIRE(load64(part.at(old_blocks[i], 8)) == i);
      CHECK_NOTHROW(txn.free(old_blocks.front()));  // the rollback took its free back, too
    }
    CHECK(blocks_in_use(part).size() == before.size());
  }
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: the journal has room for what was freed, or the free is refused") {
  std::vector<Ref> blocks;
  Transaction txn(part);
  for (int i = 0; i < 3'000; ++i) {
    blocks.push_back(txn.allocate(i % 3 == 0 ? 20'000 : 5'000));
    txn.commit();
  }
  // Free every other block first, so that the runs have many neighbours to be merged with later.
  for (std::size_t i = 0; i < blocks.size(); i += 2) {
    txn.free(blocks[i]);
    if (txn.journal_room() < 100) txn.commit();
  }
  txn.commit();
  std::size_t freed = 0;
  const auto free_all = [&] {
    for (std::size_t i = 1; i < blocks.size(); i += 2, ++freed) txn.free(blocks[i]);
  };
  CHECK_THROWS_AS(free_all(), std::logic_error);
  CHECK(freed > 100);
  CHECK(txn.journal_room() < 32);
  txn.commit();
  CHECK(txn.journal_room() == kJournalEntries);
  txn.rollback();
}

namespace {

enum class Point { kAfterLock, kAfterFirstStore, kBeforeCommit, kAfterCommit, kInSecondStep };

}  // namespace

TEST_CASE_FIXTURE(TransactionFixture, "transaction: a writer killed at any point leaves the old or the new state") {
  struct Case {
    Point point;
    bool committed;
  };
  for (const Case& c :
       {Case{Point::kAfterLock, false}, Case{Point::kAfterFirstStore, false}, Case{Point::kBeforeCommit, false},
        Case{Point::kAfterCommit, true}, Case{Point::kInSecondStep, true}}) {
    for (const bool found_by_reader : {false, true}) {
      CAPTURE(static_cast<int>(c.point));
      CAPTURE(found_by_reader);
      const auto blocks_before = blocks_in_use(part);
      const std::uint64_t recoveries = part.control().recoveries;
      const std::uint64_t old_first = word(0);
      const std::uint64_t old_last = word(99);
      Gate reached;
      ChildProcess child([&] {
        const auto stop_at = [&](Point point) {
          if (point != c.point) return;
          reached.open();
          wait_to_be_killed();
        };
        Transaction txn(part);
        stop_at(Point::kAfterLock);
        txn.store64(block, 0, old_first + 1);
        stop_at(Point::kAfterFirstStore);
        for (std::size_t i = 1; i < 100; ++i) txn.store64(block, i * 8, old_last + 1);
        txn.free(txn.allocate(2'000));
        stop_at(Point::kBeforeCommit);
        txn.commit();
        stop_at(Point::kAfterCommit);
        txn.store64(block, 0, 0);
        static_cast<void>(txn.allocate(50'000));
        stop_at(Point::kInSecondStep);
        return 0;
      });
      REQUIRE(reached.pass());
      child.kill();

      struct Seen {
        std::uint64_t first;
        std::uint64_t last;
      };
      const auto look = [&] { return Seen{word(0), word(99)}; };
      // A reader recovers, too, where it finds the sequence odd: it takes the lock after some tries.
      const Seen seen = found_by_reader ? part.read(look) : [&] {
        const Part::Lock lock(part);
        return look();
      }();
      CHECK(seen.first == (c.committed ? old_first + 1 : old_first));
      CHECK(seen.last == (c.committed ? old_last + 1 : old_last));
      CHECK(blocks_in_use(part) == blocks_before);
      CHECK(part.control().recoveries == recoveries + 1);
      CHECK(part.sequence() % 2 == 0);
      CHECK(part.control().journal_count == 0);
      Transaction txn(part);  // the lock works on
      txn.store64(block, 0, word(0));
      txn.commit();
      CHECK(part.control().recoveries == recoveries + 1);
    }
  }
}

TEST_CASE_FIXTURE(TransactionFixture, "transaction: undoing twice, or from half way, is undoing once") {
  Gate reached;
  ChildProcess child([&] {
    Transaction txn(part);
    for (std::size_t i = 0; i < 50; ++i) txn.store64(block, i * 8, 1'000 + i);
    for (std::size_t i = 0; i < 50; ++i) txn.store64(block, i * 8, 2'000 + i);
    reached.open();
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(reached.pass());
  child.kill();
  // As if the first who recovered had died in the middle of it: some of the journal's last entries are applied.
  const PartControl& control = part.control();
  for (std::uint64_t i = control.journal_count; i > control.journal_count / 3; --i) {
    const JournalEntry& entry = control.journal[i - 1];
    store_relaxed<std::uint64_t>(arena->base() + entry.offset, entry.old_word);
  }
  { const Part::Lock lock(part); }
  CHECK(untouched());
  part.undo();
  CHECK(untouched());
  CHECK(part.sequence() % 2 == 0);
}

}  // namespace kv::test
