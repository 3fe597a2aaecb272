#include "durable_process.hpp"

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "persist/files.hpp"
#include "workload.hpp"

namespace kv::crash {
namespace {

constexpr std::uint64_t kMemory = 32 << 20;
constexpr std::uint32_t kScratch = kKeysPerWriter - 1;  // the cell of the collection that comes and goes
constexpr const char* kShared = "shared counter";

class UnmappedFiles final : public persist::Files {
 public:
  int allocate(int, std::uint64_t) noexcept override {
    errno = EOPNOTSUPP;
    return -1;
  }
};

[[nodiscard]] SyncMode sync_mode(const std::string& name, Random& random) {
  if (name == "off") return SyncMode::kOff;
  if (name == "interval") return SyncMode::kInterval;
  if (name == "always") return SyncMode::kAlways;
  return static_cast<SyncMode>(1 + random.below(3));
}

[[nodiscard]] std::shared_ptr<Store> open(const DurableOptions& options, Random& random) {
  static UnmappedFiles unmapped;
  if (options.unmapped && random.one_in(2)) persist::set_files(&unmapped);
  StoreOptions chosen;
  chosen.max_memory = kMemory;
  chosen.parts = options.parts != 0 ? options.parts : random.one_in(2) ? 1 : 3;
  chosen.sync = sync_mode(options.sync, random);
  chosen.sync_interval_ms = static_cast<std::uint32_t>(1 + random.below(5));
  return Store::open(options.path, chosen);
}

[[nodiscard]] std::uint64_t payload_key(std::uint32_t writer, std::uint32_t number) noexcept {
  return std::uint64_t{writer} << 32 | number;
}
// Some cells of a writer are positions of a list, counted from its end: what comes and goes at the front moves them.
constexpr std::uint32_t kListedOneIn = 4;
constexpr std::uint32_t kListed = kKeysPerWriter / kListedOneIn;
[[nodiscard]] bool is_listed(std::uint32_t number) noexcept {
  return number != kScratch && number % kListedOneIn == kListedOneIn - 1;
}
[[nodiscard]] std::int64_t index_of(std::uint32_t number) noexcept { return -1 - std::int64_t{number / kListedOneIn}; }
[[nodiscard]] std::string list_name(std::uint32_t writer) { return "list-" + std::to_string(writer); }

[[nodiscard]] std::string scratch(std::uint32_t writer) { return "scratch-" + std::to_string(writer); }
[[nodiscard]] std::string counter(std::uint32_t writer) { return "counter-" + std::to_string(writer); }

}  // namespace

DurableProcess::DurableProcess(const DurableOptions& options, DurableBoard& board, Random& random)
    : board_(board), writers_(options.writers), store_(open(options, random)) {
  map_.emplace(store_->ordered("map", CollectionKind::kMap));
  ++board_.ready;
  if (built()) ++board_.built;
}

DurableProcess::Place DurableProcess::place(std::uint32_t writer, std::uint32_t number) {
  const std::string name = std::to_string(writer) + ":" + std::to_string(number);
  if (number == kScratch) return {store_->hash(scratch(writer)), name};
  switch (number % 3) {
    case 0:
      return {store_->root(), "own:" + name};
    case 1:
      return {store_->hash("hash-" + std::to_string(writer)), name};
    default:
      return {*map_, ordered_key::of_bytes(KeyType::kText, name)};
  }
}

std::optional<std::uint64_t> DurableProcess::version(std::uint32_t writer, std::uint32_t number) {
  if (number == kScratch && !store_->kind(scratch(writer))) return std::nullopt;
  ValueBuffer value;
  if (is_listed(number)) {
    const bool there = store_->list(list_name(writer)).get(index_of(number), value);
    if (!there || value.type() == ValueType::kNone) return std::nullopt;
  } else {
    const Place at = place(writer, number);
    if (!at.hash.get(at.key, value)) return std::nullopt;
  }
  return Payload::version_in(value.bytes().data(), value.bytes().size(), payload_key(writer, number));
}

std::uint64_t DurableProcess::count(const std::string& key) {
  ValueBuffer value;
  if (!store_->root().get(key, value)) return 0;
  std::uint64_t count = 0;
  if (value.type() != ValueType::kInt || value.bytes().size() != sizeof count) throw Violation("a counter is no int");
  std::memcpy(&count, value.bytes().data(), sizeof count);
  return count;
}

void DurableProcess::settle(std::uint32_t writer) {
  for (std::uint32_t number = 0; number < kKeysPerWriter; ++number) {
    const auto found = version(writer, number);
    crash::settle(board_.scoreboard.oracle[writer][number], found.has_value(), found.value_or(0));
  }
  settle_count(board_.scoreboard.counters[writer], count(counter(writer)));
}

void DurableProcess::write(std::uint32_t writer, Random& random) {
  switch (random.below(16)) {
    case 0:
      if (random.one_in(16)) return store_->checkpoint();
      if (random.one_in(16)) return store_->flush();
      return change_scratch(writer);
    case 1:
    case 2:
      return count_own(writer);
    case 3:
    case 4:
    case 5:
    case 6:
      return count_shared();
    default:
      return change_own(writer, random);
  }
}

void DurableProcess::change_own(std::uint32_t writer, Random& random) {
  const auto number = static_cast<std::uint32_t>(random.below(kScratch));
  if (is_listed(number)) return change_list(writer, number, random);
  const Place at = place(writer, number);
  OracleCell& cell = board_.scoreboard.oracle[writer][number];
  Hash hash = at.hash;
  if (random.one_in(8)) {  // a time to live that changes nothing to be seen
    const bool there = random.one_in(2) ? hash.expire(at.key, 3'600'000) : hash.persist(at.key);
    if (there && !present(cell.done)) throw Violation("an absent key has a time to live");
    return;
  }
  VersionStep step(cell);
  if (present(step.version())) {
    const std::uint64_t key = payload_key(writer, number);
    std::vector<char> content(Payload::size(key, step.version()));
    Payload::fill(content.data(), content.size(), key, step.version());
    hash.put(at.key, Value{ValueType::kBytes, {content.data(), content.size()}}, random.one_in(8) ? 3'600'000 : kNoTtl);
  } else if (!hash.erase(at.key) && present(cell.done)) {
    throw Violation("a key was gone before its writer erased it");
  }
  step.finish();
}

void DurableProcess::change_list(std::uint32_t writer, std::uint32_t number, Random& random) {
  const Value none{ValueType::kNone, {}};
  List list = store_->list(list_name(writer));
  if (list.size() == 0) list.extend(std::vector<Value>(kListed, none));  // one step
  if (random.one_in(2)) list.insert(0, none);
  if (random.one_in(2) && list.size() > kListed) list.erase(0);
  if (random.one_in(64)) list.erase(ListSlice{0, -std::int64_t{kListed}, 1});
  VersionStep step(board_.scoreboard.oracle[writer][number]);
  if (present(step.version())) {
    const std::uint64_t key = payload_key(writer, number);
    std::vector<char> content(Payload::size(key, step.version()));
    Payload::fill(content.data(), content.size(), key, step.version());
    list.set(index_of(number), Value{ValueType::kBytes, {content.data(), content.size()}});
  } else {
    list.set(index_of(number), none);
  }
  step.finish();
}

void DurableProcess::change_scratch(std::uint32_t writer) {
  VersionStep step(board_.scoreboard.oracle[writer][kScratch]);
  if (present(step.version())) {
    const std::uint64_t key = payload_key(writer, kScratch);
    std::vector<char> content(Payload::size(key, step.version()));
    Payload::fill(content.data(), content.size(), key, step.version());
    Place at = place(writer, kScratch);
    at.hash.put(at.key, Value{ValueType::kBytes, {content.data(), content.size()}});
  } else {
    store_->drop(scratch(writer));
  }
  step.finish();
}

void DurableProcess::count_own(std::uint32_t writer) {
  VersionStep step(board_.scoreboard.counters[writer]);
  const auto answer = static_cast<std::uint64_t>(store_->root().increment(counter(writer), 1));
  if (answer != step.version()) {
    throw Violation("a counter of one writer went from " + std::to_string(step.cell().done) + " to " +
                    std::to_string(answer));
  }
  step.finish();
}

void DurableProcess::count_shared() {
  SharedCounter& shared = board_.shared;
  const std::uint64_t least = shared.acknowledged;
  ++shared.begun;
  const auto answer = static_cast<std::uint64_t>(store_->root().increment(kShared, 1));
  const std::uint64_t before = shared.answers[answer % SharedCounter::kAnswers].exchange(answer);
  if (before >= answer) throw Violation("the shared counter answered " + std::to_string(answer) + " twice");
  if (answer <= least || answer > shared.begun) {
    throw Violation("the shared counter answered " + std::to_string(answer) + " after " + std::to_string(least) +
                    " were acknowledged, and " + std::to_string(shared.begun) + " begun");
  }
  ++shared.acknowledged;
}

void DurableProcess::check() {
  SharedCounter& shared = board_.shared;
  const std::uint64_t least = shared.acknowledged;
  const std::uint64_t found = count(kShared);
  if (found < least || found > shared.begun) {
    throw Violation("the shared counter is " + std::to_string(found) + ", and " + std::to_string(least) +
                    " increments were acknowledged of " + std::to_string(shared.begun) + " that were begun");
  }
  for (std::uint32_t writer = 0; writer < writers_; ++writer) {
    for (std::uint32_t number = 0; number < kKeysPerWriter; ++number) {
      const VersionRange range(board_.scoreboard.oracle[writer][number]);
      const auto seen = version(writer, number);
      range.check(seen.has_value(), seen.value_or(0));
    }
    const VersionRange range(board_.scoreboard.counters[writer]);
    range.check_count(count(counter(writer)));
  }
  for (const std::string& what : store_->verify()) throw Violation(what);
  for (const PartStats& part : store_->stats().parts) board_.recoveries += part.recoveries;
}

void DurableProcess::settle_shared() {
  const std::uint64_t found = count(kShared);
  board_.shared.begun = found;
  board_.shared.acknowledged = found;
}

void DurableProcess::close() {
  map_.reset();
  store_->close();
  store_.reset();
}

}  // namespace kv::crash
