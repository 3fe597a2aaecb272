// Pins against a model, when memory runs out, across forks and past the death of who pinned.
#include "memory/pins.hpp"

#include <algorithm>
#include <cerrno>
#include <random>

#include "kv_storage/error.hpp"
#include "support/child_process.hpp"
#include "support/memory_check.hpp"

namespace kv::test {
namespace {

constexpr std::size_t kBlockBytes = 1'000;

struct ModelBlock {
  std::map<std::uint32_t, std::uint64_t> pins;  // slot -> count
  bool orphan = false;
};
using Model = std::map<Ref, ModelBlock>;

Model pin_model(const Part& part) {
  Model found;
  const Part::Lock lock(part);
  for (const pins::Record& record : pins::records(part)) {
    ModelBlock& block = found[record.block];
    CHECK(block.pins.emplace(record.slot, record.count).second);  // one record for each block and slot
    CHECK(record.count > 0);
    if (block.pins.size() > 1) CHECK(block.orphan == record.orphan);
    block.orphan = record.orphan;
  }
  return found;
}

class PinsFixture {
 public:
  [[nodiscard]] Ref make_block(unsigned char byte = 1) {
    Transaction txn(part);
    const Ref block = txn.allocate(kBlockBytes);
    const std::vector<unsigned char> content(kBlockBytes, byte);
    copy_in(txn.fresh(block), content.data(), content.size());
    txn.commit();
    return block;
  }
  [[nodiscard]] bool holds(Ref block, unsigned char byte) const {
    const std::vector<unsigned char> content(kBlockBytes, byte);
    return equal_bytes(part.at(block, kBlockBytes), content.data(), content.size());
  }
  [[nodiscard]] bool in_use(Ref block) const { return blocks_in_use(part).contains(block); }

  template <class Action>
  void in_transaction(Action&& action) {
    Transaction txn(part);
    action(txn);
    txn.commit();
  }
  void pin(Ref block, std::uint32_t slot) {
    in_transaction([&](Transaction& txn) { pins::pin(txn, block, slot); });
  }
  void unpin(Ref block, std::uint32_t slot) {
    in_transaction([&](Transaction& txn) { pins::unpin(txn, block, slot); });
  }
  void free(Ref block) {
    in_transaction([&](Transaction& txn) { txn.free(block); });
  }

  // Takes every byte the store can give, so that whatever allocates next fails.
  std::vector<Ref> fill_store() {
    std::vector<Ref> blocks;
    for (const std::size_t bytes : {std::size_t{kMiB}, std::size_t{16'384}, kBlockBytes, std::size_t{16}}) {
      try {
        for (;;) in_transaction([&](Transaction& txn) { blocks.push_back(txn.allocate(bytes)); });
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::kOverCapacity);
      }
    }
    return blocks;
  }

  std::shared_ptr<Arena> arena = Arena::create({.max_memory = 16 * kMiB, .parts = 1});
  Part& part = arena->part(0);
};

}  // namespace

TEST_CASE_FIXTURE(PinsFixture, "pins: an orphan stays unchanged until the last pin of the last slot goes") {
  const Ref block = make_block(7);
  pin(block, 3);
  pin(block, 3);
  pin(block, 4);
  free(block);
  CHECK(part.control().pins.pinned_bytes >= kBlockBytes);
  for (int i = 0; i < 50; ++i) static_cast<void>(make_block(8));  // nobody gets its memory
  CHECK(holds(block, 7));
  unpin(block, 3);
  unpin(block, 4);
  CHECK(holds(block, 7));
  CHECK(in_use(block));
  unpin(block, 3);
  CHECK_FALSE(in_use(block));
  CHECK(part.control().pins.pinned_bytes == 0);
  CHECK(part.control().pins.records == 0);
}

TEST_CASE_FIXTURE(PinsFixture, "pins: a block that still has its owner outlives its pins") {
  const Ref block = make_block();
  pin(block, 0);
  unpin(block, 0);
  CHECK(in_use(block));
  unpin(block, 0);  // one too many is ignored
  free(block);
  CHECK_FALSE(in_use(block));
}

TEST_CASE_FIXTURE(PinsFixture, "pins: random pins, frees, deaths and rollbacks agree with a model") {
  constexpr std::uint32_t kSlots = 6;
  std::mt19937 random(5);
  Model model;
  std::map<Ref, bool> live;  // every block in use by its owner
  for (int step = 0; step < 4'000; ++step) {
    Model after = model;
    std::map<Ref, bool> live_after = live;
    const auto drop = [&](Model::iterator at, std::uint32_t slot) {
      at->second.pins.erase(slot);
      if (at->second.pins.empty()) after.erase(at);
    };
    if (live.size() < 150) {
      live_after[make_block()] = true;
      live = live_after;
    }
    auto chosen = live.begin();
    std::advance(chosen, static_cast<long>(random() % live.size()));
    const Ref block = chosen->first;
    const auto slot = static_cast<std::uint32_t>(random() % kSlots);
    bool stepwise = false;  // commits by itself: cannot be rolled back
    Transaction txn(part);
    switch (random() % 16) {
      case 0:
        txn.free(block);
        live_after.erase(block);
        if (after.contains(block)) after[block].orphan = true;
        break;
      case 1:
        if (random() % 8 == 0) {
          pins::release_slot(txn, slot);
          stepwise = true;
          for (auto it = after.begin(); it != after.end();) drop(it++, slot);
        }
        break;
      case 2:
        if (random() % 8 == 0) {
          const auto fresh = static_cast<std::uint32_t>(kSlots + random() % 2);
          pins::release_slot(txn, fresh);
          for (auto it = after.begin(); it != after.end();) drop(it++, fresh);
          pins::copy_slot(txn, slot, fresh);
          stepwise = true;
          for (auto& [ref, pinned] : after) {
            if (const auto found = pinned.pins.find(slot); found != pinned.pins.end())
              pinned.pins[fresh] = found->second;
          }
        }
        break;
      case 3:
      case 4:
      case 5:
      case 6:
        if (!after.empty()) {  // any pinned block, orphans included
          auto pinned = after.begin();
          std::advance(pinned, static_cast<long>(random() % after.size()));
          const std::uint32_t owner = pinned->second.pins.begin()->first;
          pins::unpin(txn, pinned->first, owner);
          if (--pinned->second.pins[owner] == 0) drop(pinned, owner);
        }
        break;
      default:
        pins::pin(txn, block, slot);
        ++after[block].pins[slot];
        break;
    }
    if (stepwise || random() % 4 != 0) {
      txn.commit();
      model = after;
      live = live_after;
    } else {
      txn.rollback();
    }
    if (step % 50 != 0) continue;
    txn.commit();
    const Model found = [&] {
      Model records;
      for (const pins::Record& record : pins::records(part)) {
        records[record.block].pins[record.slot] = record.count;
        records[record.block].orphan = record.orphan;
      }
      return records;
    }();
    REQUIRE(found.size() == model.size());
    std::size_t records = 0;
    for (const auto& [ref, pinned] : model) {
      REQUIRE(found.contains(ref));
      CHECK(found.at(ref).pins == pinned.pins);
      CHECK(found.at(ref).orphan == pinned.orphan);
      records += pinned.pins.size();
    }
    CHECK(part.control().pins.records == records);
  }
  const auto in_use = blocks_in_use(part);
  std::size_t expected = live.size() + 1;  // and the table
  std::uint64_t pinned_bytes = 0;
  for (const auto& [ref, pinned] : model) {
    REQUIRE(in_use.contains(ref));
    if (!pinned.orphan) continue;
    ++expected;
    pinned_bytes += in_use.at(ref);
  }
  CHECK(in_use.size() == expected);
  CHECK(part.control().pins.pinned_bytes == pinned_bytes);
}

TEST_CASE_FIXTURE(PinsFixture, "pins: the table grows, and finds and deletes everything in any order") {
  constexpr std::uint32_t kBlocks = 3'000;
  std::vector<Ref> blocks;
  for (std::uint32_t i = 0; i < kBlocks; ++i) blocks.push_back(make_block());
  for (const Ref block : blocks) pin(block, 1);
  CHECK(part.control().pins.capacity >= 2 * kBlocks);
  for (const Ref block : blocks) free(block);
  CHECK(part.control().pins.records == kBlocks);
  CHECK(pin_model(part).size() == kBlocks);
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937(2));
  for (std::uint32_t i = 0; i < kBlocks; ++i) {
    unpin(blocks[i], 1);
    if (i % 500 == 0) CHECK(pin_model(part).size() == kBlocks - i - 1);
  }
  CHECK(pin_model(part).empty());
  CHECK(blocks_in_use(part).size() == 1);
}

TEST_CASE_FIXTURE(PinsFixture, "pins: releasing a slot frees its orphans, keeps other slots', and fits any journal") {
  std::vector<Ref> blocks;
  for (int i = 0; i < 3'000; ++i) {
    blocks.push_back(make_block());
    pin(blocks.back(), 1);
    if (i % 3 == 0) pin(blocks.back(), 2);
    free(blocks.back());
  }
  in_transaction([](Transaction& txn) { pins::release_slot(txn, 1); });
  CHECK(pin_model(part).size() == 1'000);
  CHECK(blocks_in_use(part).size() == 1'001);
  in_transaction([](Transaction& txn) { pins::release_slot(txn, 2); });
  CHECK(pin_model(part).empty());
  CHECK(blocks_in_use(part).size() == 1);
}

TEST_CASE_FIXTURE(PinsFixture, "pins: one block pinned by every possible process is released by all of them") {
  const Ref block = make_block();
  const Ref other = make_block();
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    pin(block, slot);
    pin(other, slot);
  }
  free(block);
  // In one transaction, as a reaper that finds many processes dead: no step may outgrow the journal.
  for (std::uint32_t slot = 0; slot + 1 < kMaxSlots; slot += 2) {
    in_transaction([&](Transaction& txn) {
      pins::release_slot(txn, slot);
      pins::release_slot(txn, slot + 1);
    });
  }
  CHECK(part.control().pins.records == 0);
  CHECK_FALSE(in_use(block));
  CHECK(in_use(other));
}

TEST_CASE_FIXTURE(PinsFixture, "pins: when the store is full a pin that needs room fails and changes nothing") {
  const std::uint32_t slot = arena->slot();  // of a living process: a full store looks for pins of dead ones
  std::vector<Ref> blocks;
  for (int i = 0; i < 200; ++i) blocks.push_back(make_block());
  const std::vector<Ref> ballast = fill_store();
  CHECK_THROWS_AS(pin(blocks[0], slot), Error);
  CHECK(part.control().pins.table == kNullRef);

  // Give it room for the first table, then let every further growth fail.
  for (const Ref block : ballast) free(block);
  pin(blocks[0], slot);
  fill_store();
  const auto before = blocks_in_use(part);
  std::size_t pinned = 1;
  try {
    for (; pinned < blocks.size(); ++pinned) pin(blocks[pinned], slot);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kOverCapacity);
  }
  REQUIRE(pinned < blocks.size());
  CHECK(blocks_in_use(part) == before);
  CHECK(pin_model(part).size() == pinned);
  pin(blocks[0], slot);  // a block already pinned needs no room
  CHECK(pin_model(part).at(blocks[0]).pins.at(slot) == 2);
  unpin(blocks[1], slot);
  pin(blocks[pinned], slot);  // nor does one in another's place
  CHECK(pin_model(part).size() == pinned);
}

TEST_CASE_FIXTURE(PinsFixture, "pins: a view alive at fork stays readable in the child when the parent lets go") {
  const Ref block = make_block(7);
  pin(block, arena->slot());
  Gate released;
  ChildProcess child([&] {
    if (!released.pass()) return 1;
    if (!holds(block, 7)) return 2;
    unpin(block, arena->slot());
    return in_use(block) ? 3 : 0;
  });
  CHECK(pin_model(part).at(block).pins.size() == 2);
  free(block);
  unpin(block, arena->slot());
  for (int i = 0; i < 50; ++i) static_cast<void>(make_block(8));
  CHECK(in_use(block));
  released.open();
  CHECK(child.wait() == 0);
  CHECK_FALSE(in_use(block));
}

TEST_CASE_FIXTURE(PinsFixture,
                  "pins: a view alive at fork stays readable in the parent when the child lets go or dies") {
  const Ref block = make_block(7);
  pin(block, arena->slot());
  free(block);
  ChildProcess child([&] {
    unpin(block, arena->slot());
    return 0;
  });
  CHECK(child.wait() == 0);
  CHECK(holds(block, 7));
  CHECK(pin_model(part).at(block).pins == std::map<std::uint32_t, std::uint64_t>{{arena->slot(), 1}});
  Gate started;
  ChildProcess killed([&] {
    started.open();
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(started.pass());
  killed.kill();
  CHECK(pin_model(part).at(block).pins.size() == 2);
  arena->reap_dead_slots();
  CHECK(pin_model(part).at(block).pins.size() == 1);
  CHECK(holds(block, 7));
  unpin(block, arena->slot());
  CHECK_FALSE(in_use(block));
}

TEST_CASE_FIXTURE(PinsFixture, "pins: a grandchild keeps what its killed parents pinned") {
  const Ref block = make_block(7);
  pin(block, arena->slot());
  Gate ready;
  Gate go;
  Gate seen;
  ChildProcess child([&] {
    if (::fork() == 0) {
      ready.open();
      if (go.pass() && holds(block, 7)) seen.open();
      ::_exit(0);
    }
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(ready.pass());
  child.kill();
  free(block);
  unpin(block, arena->slot());
  arena->reap_dead_slots();
  CHECK(in_use(block));
  for (int i = 0; i < 50; ++i) static_cast<void>(make_block(8));
  go.open();
  CHECK(seen.pass());
}

TEST_CASE_FIXTURE(PinsFixture,
                  "pins: those of a killed process are released, and its slot is used again without them") {
  const Ref block = make_block();
  std::uint32_t slot_of_dead = 0;
  for (const bool reap : {true, false}) {
    Gate pinned;
    ChildProcess child([&] {
      pin(block, arena->slot());
      pin(block, arena->slot());
      pinned.open();
      wait_to_be_killed();
      return 0;
    });
    REQUIRE(pinned.pass());
    slot_of_dead = pin_model(part).at(block).pins.begin()->first;
    CHECK(slot_of_dead != arena->slot());
    arena->reap_dead_slots();  // a living owner keeps them
    CHECK(pin_model(part).at(block).pins.at(slot_of_dead) == 2);
    child.kill();
    if (reap) {
      arena->reap_dead_slots();
      CHECK(pin_model(part).empty());
    }
  }
  CHECK(pin_model(part).size() == 1);
  ChildProcess next([&] {
    if (arena->slot() != slot_of_dead) return 1;
    const Part::Lock lock(part);
    return pins::records(part).empty() ? 0 : 2;
  });
  CHECK(next.wait() == 0);
}

TEST_CASE_FIXTURE(PinsFixture, "pins: a writer that dies lets the next one release what it had pinned") {
  const Ref block = make_block();
  Gate stored;
  ChildProcess child([&] {
    pin(block, arena->slot());
    Transaction txn(part);
    pins::pin(txn, block, arena->slot());
    stored.open();
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(stored.pass());
  child.kill();
  in_transaction([](Transaction&) {});  // nobody asked for a reaping: finding the dead owner is enough
  CHECK(pin_model(part).empty());
}

TEST_CASE_FIXTURE(PinsFixture, "pins: a fork that gets no slot of its own counts each pin twice") {
  const Ref block = make_block(7);
  pin(block, arena->slot());
  pin(block, arena->slot());
  const auto no_descriptor = [&](auto&& body) {
    const FailingCall fault(system::Call::kOpen, 0, EMFILE);
    return std::make_unique<ChildProcess>(body);
  };
  Gate released;
  const auto child = no_descriptor([&] {
    if (!released.pass() || !holds(block, 7)) return 1;
    unpin(block, arena->slot());
    if (!in_use(block)) return 2;
    unpin(block, arena->slot());
    return in_use(block) ? 3 : 0;
  });
  CHECK(pin_model(part).at(block).pins == std::map<std::uint32_t, std::uint64_t>{{arena->slot(), 4}});
  free(block);
  unpin(block, arena->slot());
  unpin(block, arena->slot());
  arena->reap_dead_slots();
  CHECK(in_use(block));
  released.open();
  CHECK(child->wait() == 0);
  CHECK_FALSE(in_use(block));
}

TEST_CASE_FIXTURE(PinsFixture, "pins: a fork into a full store counts each pin twice, too") {
  std::vector<Ref> blocks;
  for (int i = 0; i < 32; ++i) {
    blocks.push_back(make_block(7));
    pin(blocks.back(), arena->slot());
  }
  REQUIRE(part.control().pins.capacity == 64);  // half full: a copy of the pins needs a larger table
  fill_store();
  ChildProcess child([&] {
    for (const Ref block : blocks) unpin(block, arena->slot());
    return 0;
  });
  CHECK(child.wait() == 0);
  arena->reap_dead_slots();
  for (const Ref block : blocks) {
    CHECK(pin_model(part).at(block).pins == std::map<std::uint32_t, std::uint64_t>{{arena->slot(), 1}});
  }
}

}  // namespace kv::test
