// Treaps straight over memory/, one in each part; a key belongs to part (key % parts).
#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>

#include "kv_storage/error.hpp"
#include "memory/allocator.hpp"
#include "memory/arena.hpp"
#include "memory/pins.hpp"
#include "treap.hpp"
#include "workload.hpp"

namespace kv::crash {
namespace {

constexpr std::uint32_t kParts = 2;

std::shared_ptr<Arena> join(const std::string& address) {
  int pid = 0;
  int fd = 0;
  unsigned long long id = 0;
  if (std::sscanf(address.c_str(), "%d:%d:%llu", &pid, &fd, &id) != 3) throw Violation("bad address " + address);
  return Arena::attach(pid, fd, id);
}

class TreapWorkload final : public Workload {
 public:
  TreapWorkload(const WorkloadOptions& options, Scoreboard& scoreboard)
      : scoreboard_(scoreboard),
        writers_(options.writers),
        arena_(options.address.empty() ? Arena::create({.max_memory = options.max_memory, .parts = kParts})
                                       : join(options.address)) {
    for (std::uint32_t i = 0; i < kParts; ++i) {
      if (options.address.empty()) Treap::make(arena_->part(i));
      treaps_.emplace_back(arena_->part(i));
    }
  }

  void write(std::uint32_t writer, Random& random) override {
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    const std::uint64_t key = key_of(writer, number);
    VersionStep step(scoreboard_.oracle[writer][number]);
    try {
      Transaction txn(part_of(key));
      change(txn, key, step.version());
      if (random.one_in(16)) return;  // undone by the destructor
      txn.commit();
      step.finish();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOverCapacity) throw;
      ++scoreboard_.refused;
    }
  }

  void read(Random& random) override {
    const auto writer = static_cast<std::uint32_t>(random.below(writers_));
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    switch (random.below(8)) {
      case 0:
        return treaps_[random.below(kParts)].audit();
      case 1:
        return hold(writer, number);
      case 2:
        return release(random);
      default:
        return look_up(writer, number);
    }
  }

  void settle(std::uint32_t writer) override {
    for (std::uint32_t number = 0; number < kKeysPerWriter; ++number) {
      const std::uint64_t key = key_of(writer, number);
      const auto found = treap_of(key).read(key, nullptr, 0);
      crash::settle(scoreboard_.oracle[writer][number], found.has_value(), found ? found->version : 0);
    }
  }

  std::vector<std::string> verify() override {
    std::vector<std::string> violations;
    for (std::uint32_t i = 0; i < kParts; ++i) verify_part(i, violations);
    return violations;
  }

  std::vector<std::string> verify_at_rest() override {
    arena_->reap_dead_slots();
    std::vector<std::string> violations = verify();
    for (std::uint32_t i = 0; i < kParts; ++i) {
      const PinState& pins = arena_->part(i).control().pins;
      if (pins.records != 0) violations.emplace_back("pins of dead processes are left");
      if (pins.pinned_bytes != 0) violations.emplace_back("bytes pinned by nobody");
    }
    return violations;
  }

  std::string address() const override {
    return std::to_string(::getpid()) + ":" + std::to_string(arena_->fd()) + ":" + std::to_string(arena_->header().id);
  }

  std::uint64_t recoveries() const override {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < kParts; ++i) sum += arena_->part(i).control().recoveries;
    return sum;
  }

 private:
  struct Held {
    std::uint64_t key;
    std::uint64_t version;
    Ref payload;
    std::size_t bytes;
  };

  static std::uint64_t key_of(std::uint32_t writer, std::uint32_t number) noexcept {
    return std::uint64_t{number} * kMaxWriters + writer;
  }
  std::uint32_t index_of(std::uint64_t key) const noexcept { return static_cast<std::uint32_t>(mix(key) % kParts); }
  Part& part_of(std::uint64_t key) noexcept { return arena_->part(index_of(key)); }
  Treap& treap_of(std::uint64_t key) noexcept { return treaps_[index_of(key)]; }

  void change(Transaction& txn, std::uint64_t key, std::uint64_t version) {
    if (!present(version)) return treap_of(key).erase(txn, key);
    const std::size_t bytes = Payload::size(key, version);
    std::vector<char> content(bytes);
    Payload::fill(content.data(), bytes, key, version);
    const Ref payload = txn.allocate(bytes);
    copy_in(txn.fresh(payload), content.data(), bytes);
    treap_of(key).put(txn, key, version, payload, bytes);
  }

  void look_up(std::uint32_t writer, std::uint32_t number) {
    const std::uint64_t key = key_of(writer, number);
    std::array<char, 8192> payload;
    const VersionRange range(scoreboard_.oracle[writer][number]);
    const auto found = treap_of(key).read(key, payload.data(), payload.size());
    range.check(found.has_value(), found ? found->version : 0);
    if (!found || found->payload_bytes > payload.size()) return;
    if (Payload::version_in(payload.data(), found->payload_bytes, key) != found->version) {
      throw Violation("a node with the payload of another version");
    }
  }

  // Pins a payload, to be looked at again later.
  void hold(std::uint32_t writer, std::uint32_t number) {
    constexpr std::size_t kMostHeld = 20;
    if (held_.size() == kMostHeld) return;
    const std::uint64_t key = key_of(writer, number);
    Transaction txn(part_of(key));
    const auto found = treap_of(key).find(txn, key);
    if (!found) return;
    try {
      pins::pin(txn, found->payload, arena_->slot());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOverCapacity) throw;
      return;
    }
    txn.commit();
    held_.push_back({key, found->version, found->payload, found->payload_bytes});
  }

  void release(Random& random) {
    if (held_.empty()) return;
    std::swap(held_[random.below(held_.size())], held_.back());
    const Held held = held_.back();
    held_.pop_back();
    Part& part = part_of(held.key);
    std::vector<char> content(held.bytes);
    copy_out(content.data(), part.slice() + std::uint64_t{held.payload} * kGranule, held.bytes);
    if (Payload::version_in(content.data(), held.bytes, held.key) != held.version) {
      throw Violation("a pinned payload changed");
    }
    Transaction txn(part);
    pins::unpin(txn, held.payload, arena_->slot());
    txn.commit();
  }

  // Blocks in use are those of the treap, those kept by pins alone, and the table of pins.
  void verify_part(std::uint32_t index, std::vector<std::string>& violations) {
    const Part& part = arena_->part(index);
    std::vector<Ref> expected;
    std::vector<Ref> in_use;
    std::uint64_t orphan_bytes = 0;
    const Part::Lock lock(part);
    treaps_[index].verify(expected, violations);
    const PinState& state = part.control().pins;
    if (state.table != kNullRef) expected.push_back(state.table);
    const auto records = pins::records(part);
    if (records.size() != state.records) violations.emplace_back("pins were miscounted");
    std::vector<Ref> orphans;
    for (const pins::Record& record : records) {
      if (record.orphan) orphans.push_back(record.block);
    }
    std::sort(orphans.begin(), orphans.end());
    orphans.erase(std::unique(orphans.begin(), orphans.end()), orphans.end());
    for (const Ref orphan : orphans) orphan_bytes += allocated_bytes(part, orphan);
    if (orphan_bytes != state.pinned_bytes) violations.emplace_back("pinned bytes were miscounted");
    expected.insert(expected.end(), orphans.begin(), orphans.end());
    verify_allocator(
        part, [&](Ref block, std::size_t) { in_use.push_back(block); }, violations);
    std::sort(expected.begin(), expected.end());
    std::sort(in_use.begin(), in_use.end());
    if (expected != in_use) {
      violations.push_back(std::to_string(in_use.size()) + " blocks are in use, " + std::to_string(expected.size()) +
                           " are referred to");
    }
  }

  Scoreboard& scoreboard_;
  std::uint32_t writers_;
  std::shared_ptr<Arena> arena_;
  std::deque<Treap> treaps_;
  std::vector<Held> held_;  // of this process
};

}  // namespace

std::unique_ptr<Workload> make_treap_workload(const WorkloadOptions& options, Scoreboard& scoreboard) {
  return std::make_unique<TreapWorkload>(options, scoreboard);
}

}  // namespace kv::crash
