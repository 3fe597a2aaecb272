#include "memory/allocator.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "kv_storage/error.hpp"
#include "memory/block_supply.hpp"
#include "support/memory_check.hpp"

namespace kv::test {
namespace {

struct Model {
  std::map<Ref, std::pair<std::size_t, unsigned char>> blocks;  // size asked for, byte it is filled with
};

void fill(Transaction& txn, Ref block, std::size_t bytes, unsigned char byte) {
  const std::vector<unsigned char> content(bytes, byte);
  copy_in(txn.fresh(block), content.data(), bytes);
}

bool holds(Part& part, Ref block, std::size_t bytes, unsigned char byte) {
  const std::vector<unsigned char> content(bytes, byte);
  return equal_bytes(part.slice() + std::uint64_t{block} * kGranule, content.data(), bytes);
}

std::size_t random_size(std::mt19937& random) {
  switch (random() % 10) {
    case 0:
      return random() % 300'000;
    case 1:
      return random() % 40'000;
    default:
      return random() % 400;
  }
}

void check(Part& part, const Model& model) {
  const auto in_use = blocks_in_use(part);
  REQUIRE(in_use.size() == model.blocks.size());
  Ref last_end = 0;
  for (const auto& [ref, content] : model.blocks) {
    const auto found = in_use.find(ref);
    REQUIRE(found != in_use.end());
    CHECK(found->second >= content.first);
    CHECK(ref >= last_end);  // blocks do not overlap
    last_end = Part::offset_ref(ref, found->second);
    CHECK(holds(part, ref, content.first, content.second));
  }
}

}  // namespace

TEST_CASE("size classes: every size fits its class, and classes are minimal") {
  for (std::size_t bytes = 1; bytes <= kMaxSmallBytes; ++bytes) {
    const std::size_t size_class = size_class_of(bytes);
    REQUIRE(size_class_bytes(size_class) >= bytes);
    if (size_class > 0) REQUIRE(size_class_bytes(size_class - 1) < bytes);
  }
}

TEST_CASE("size classes: the block index is exact for every block of every class") {
  for (const SizeClass& shape : kSizeClassTable) {
    CHECK(shape.first_offset + shape.blocks * shape.block_bytes <= shape.run_chunks * kChunkBytes);
    for (std::uint32_t i = 0; i < shape.blocks; ++i) REQUIRE(shape.index_of(i * shape.block_bytes) == i);
  }
}

TEST_CASE("allocator: random allocations, frees and rollbacks agree with a model") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  std::mt19937 random(1);
  Model model;
  for (int step = 0; step < 3000; ++step) {
    Model after = model;
    Transaction txn(part);
    const int operations = static_cast<int>(random() % 4) + 1;
    for (int i = 0; i < operations; ++i) {
      if (after.blocks.size() < 40 || (random() % 2 == 0 && after.blocks.size() < 400)) {
        const std::size_t bytes = random_size(random);
        const Ref block = txn.allocate(bytes);
        const auto byte = static_cast<unsigned char>(random());
        // A block freed by this very transaction may come back: its old contents must survive a rollback, so real users
        // of the transaction free last. Here blocks are filled only if the model did not hold them before.
        if (!model.blocks.contains(block)) fill(txn, block, bytes, byte);
        REQUIRE(!after.blocks.contains(block));
        after.blocks[block] = {model.blocks.contains(block) ? 0 : bytes, byte};
      } else {
        auto victim = after.blocks.begin();
        std::advance(victim, static_cast<long>(random() % after.blocks.size()));
        txn.free(victim->first);
        after.blocks.erase(victim);
      }
    }
    if (random() % 4 != 0) {
      txn.commit();
      model = after;
    } else {
      txn.rollback();
    }
    if (step % 100 == 0) {
      txn.commit();
    }
  }
  check(part, model);
  {
    Transaction txn(part);
    for (const auto& [ref, content] : model.blocks) {
      txn.free(ref);
      txn.commit();
    }
  }
  check(part, {});
  CHECK(part.control().allocator.used_bytes == 0);
}

TEST_CASE("block supply: many blocks of a step agree with a model") {
  auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  std::mt19937 random(3);
  Model model;
  for (int step = 0; step < 200; ++step) {
    Model after = model;
    Transaction txn(part);
    BlockSupply blocks(txn);
    const std::size_t usual = random() % 1000;
    while (txn.journal_room() > BlockSupply::kJournalToAllocate + BlockSupply::kJournalToSettle + 500 &&
           random() % 3000 != 0) {
      const std::size_t bytes = random() % 8 == 0 ? random_size(random) : usual;
      const Ref block = blocks.allocate(bytes);
      const auto byte = static_cast<unsigned char>(random());
      fill(txn, block, bytes, byte);
      REQUIRE(after.blocks.emplace(block, std::pair{bytes, byte}).second);
    }
    // As an index does: blocks of earlier steps are freed before the supply is settled.
    for (auto at = model.blocks.begin(); at != model.blocks.end() && random() % 8 != 0; ++at) {
      txn.free(at->first);
      after.blocks.erase(at->first);
    }
    if (random() % 4 == 0) continue;  // not settled, and rolled back
    blocks.settle();
    if (random() % 4 == 0) continue;  // settled, and rolled back
    txn.commit();
    model = std::move(after);
    for (auto at = model.blocks.begin(); at != model.blocks.end();) {
      if (model.blocks.size() > 3000 || random() % 4 == 0) {
        txn.free(at->first);
        if (txn.journal_room() < 500) txn.commit();
        at = model.blocks.erase(at);
      } else {
        ++at;
      }
    }
    txn.commit();
  }
  check(part, model);
  CHECK(model.blocks.size() > 100);
}

TEST_CASE("block supply: one allocation and settling journal no more than they say") {
  auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  for (const bool one_each : {true, false}) {
    Transaction txn(part);
    BlockSupply blocks(txn);
    for (std::size_t size_class = 0; size_class < kSizeClasses; ++size_class) {
      for (int i = 0; i < (one_each ? 1 : 70); ++i) {
        if (txn.journal_room() < BlockSupply::kJournalToAllocate + BlockSupply::kJournalToSettle) break;
        const std::size_t before = txn.journal_room();
        static_cast<void>(blocks.allocate(size_class_bytes(size_class)));
        CHECK(before - txn.journal_room() <= BlockSupply::kJournalToAllocate);
      }
    }
    const std::size_t before = txn.journal_room();
    blocks.settle();
    CHECK(before - txn.journal_room() <= BlockSupply::kJournalToSettle);
  }
  CHECK(blocks_in_use(part).empty());
}

TEST_CASE("allocator: large blocks are aligned for NumPy") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Transaction txn(arena->part(0));
  for (const std::size_t bytes : {4096, 5000, 32768, 32769, 1'000'000}) {
    CHECK(reinterpret_cast<std::uintptr_t>(txn.fresh(txn.allocate(bytes))) % 64 == 0);
  }
}

TEST_CASE("allocator: a full store raises, keeps what it had, and has room again after a free") {
  auto arena = Arena::create({.max_memory = 8 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  std::vector<Ref> blocks;
  const auto allocate_one = [&](std::size_t bytes) {
    Transaction txn(part);
    const Ref block = txn.allocate(bytes);
    txn.commit();
    return block;
  };
  CHECK_THROWS_AS(
      [&] {
        for (;;) blocks.push_back(allocate_one(100'000));
      }(),
      Error);
  CHECK(blocks.size() > 60);
  CHECK(blocks_in_use(part).size() == blocks.size());
  CHECK(arena->committed_bytes() <= 8 * kMiB);
  {
    Transaction txn(part);
    txn.free(blocks.back());
    txn.commit();
  }
  blocks.back() = allocate_one(100'000);
  CHECK(blocks_in_use(part).size() == blocks.size());
}

TEST_CASE("allocator: when the system refuses memory, nothing changes") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  {
    const FailingCall fault(system::Call::kAllocate, 0, ENOMEM);
    Transaction txn(part);
    CHECK_THROWS_AS(static_cast<void>(txn.allocate(3 * kMiB)), Error);
    CHECK(FailingCall::fired());
  }
  CHECK(blocks_in_use(part).empty());
  Transaction txn(part);
  CHECK(txn.allocate(3 * kMiB) != kNullRef);
}

TEST_CASE("allocator: a large part grows in huge pages, and keeps none of them if the system refuses a call") {
  auto arena = Arena::create({.max_memory = 256 * kMiB, .parts = 1});
  Transaction txn(arena->part(0));
  fill(txn, txn.allocate(64 * kMiB), 64 * kMiB, 1);
  txn.commit();
  const auto file_bytes = [&] {
    struct stat status {};
    REQUIRE(::fstat(arena->fd(), &status) == 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  };
  bool fired = true;
  for (int n = 0; fired; ++n) {
    const std::uint64_t committed = arena->committed_bytes();
    const std::uint64_t before = file_bytes();
    const FailingCall fault(system::Call::kAllocate, n, ENOMEM);
    try {
      const Ref block = txn.allocate(9 * kMiB);  // a whole number of huge pages and some
      fill(txn, block, 9 * kMiB, 2);
      txn.commit();
      CHECK(file_bytes() - before >= arena->committed_bytes() - committed);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kOverCapacity);
      txn.rollback();
      CHECK(arena->committed_bytes() == committed);
      CHECK(file_bytes() <= before + 64 * 1024);  // a step of the chunk table may stay, for the next try
    }
    fired = FailingCall::fired();
  }
}

TEST_CASE("allocator: freed memory goes back to the system and can be had again") {
  auto arena = Arena::create({.max_memory = 512 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  for (int round = 0; round < 2; ++round) {
    std::vector<Ref> blocks;
    Transaction txn(part);
    for (int i = 0; i < 300; ++i) {
      blocks.push_back(txn.allocate(kMiB));
      fill(txn, blocks.back(), kMiB, 7);
      txn.commit();
    }
    CHECK(arena->committed_bytes() >= 300 * kMiB);
    for (const Ref block : blocks) {
      txn.free(block);
      txn.commit();
      trim_free_runs(txn);
    }
    CHECK(arena->committed_bytes() <= 128 * kMiB);
  }
  CHECK(blocks_in_use(part).empty());
}

TEST_CASE("allocator: freeing what is not a block in use is noticed") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Transaction txn(arena->part(0));
  const Ref small = txn.allocate(64);
  const Ref large = txn.allocate(100'000);
  CHECK_THROWS_AS(txn.free(small + 1), std::logic_error);
  CHECK_THROWS_AS(txn.free(large + 1), std::logic_error);
  txn.free(small);
  CHECK_THROWS_AS(txn.free(small), std::logic_error);
}

}  // namespace kv::test
