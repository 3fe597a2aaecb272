// kv::Cache, small enough that every put evicts something. A cache may forget, so a key holds nothing or what its
// writer put last. Besides there are keys that are computed when they are missing, by one writer at a time: whoever is
// killed while it computes is succeeded by another one.
#include <cstdio>

#include "store_workload.hpp"

namespace kv::crash {
namespace {

constexpr std::uint64_t kCapacity = 400'000;
constexpr std::size_t kMostHeld = 10;
constexpr const char* kName = "cache";
constexpr const char* kTransientName = "transient";

class CacheWorkload final : public StoreWorkload {
 public:
  CacheWorkload(const WorkloadOptions& options, Scoreboard& scoreboard)
      : StoreWorkload(options, scoreboard), cache_(store_->cache(kName, kCapacity)) {}

  void read(Random& random) override {
    try {
      switch (random.below(16)) {
        case 0:
          return hold(random);
        case 1:
          return release(random);
        case 2:
        case 3:
        case 4:
          return look_up_computed(random);
        default:
          return look_up(random);
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOverCapacity) throw;
      ++scoreboard_.refused;
    }
  }

  void settle(std::uint32_t writer) override {
    for (std::uint32_t number = 0; number < kKeysPerWriter; ++number) {
      OracleCell& cell = scoreboard_.oracle[writer][number];
      const auto version = current_version(writer, number);
      if (version) VersionRange(cell).check_cached(*version);
      cell.done = version.value_or(cell.intent);
      cell.intent = cell.done.load();
    }
  }

  std::vector<std::string> verify() override {
    std::vector<std::string> violations = StoreWorkload::verify();  // counts the bytes again
    const CacheStats stats = cache_.stats();
    if (stats.bytes > stats.capacity) violations.emplace_back("a cache holds more bytes than its capacity");
    return violations;
  }

 private:
  struct Held {
    std::uint64_t key;
    std::uint64_t version;
    ValueBuffer value;
  };

  static std::string own_key(std::uint32_t writer, std::uint32_t number) {
    return "own:" + std::to_string(writer) + ":" + std::to_string(number);
  }
  static std::string computed_key(std::uint32_t number) { return "computed:" + std::to_string(number); }
  static std::uint64_t payload_key(std::uint32_t writer, std::uint32_t number) noexcept {
    return std::uint64_t{writer} << 32 | number;
  }
  static std::uint64_t computed_payload_key(std::uint32_t number) noexcept { return payload_key(1'000, number); }

  void change(std::uint32_t writer, Random& random) override {
    switch (random.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return compute(writer, random);
      case 5:
        return change_transient(random);
      case 6:
        if (random.one_in(64)) cache_.resize(kCapacity / 2 + random.below(kCapacity / 2));
        return;
      default:
        return change_own(writer, random);
    }
  }

  void change_own(std::uint32_t writer, Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    const std::uint64_t key = payload_key(writer, number);
    VersionStep step(scoreboard_.oracle[writer][number]);
    const std::uint64_t ttl_ms = random.one_in(8) ? 1 + random.below(5) : 0;
    const bool stored = with_value(
        key, step.version(), [&](const Value& value) { return cache_.put(own_key(writer, number), value, ttl_ms); });
    step.finish();
    if (!stored && current_version(writer, number)) throw Violation("a put that stored nothing left something");
    if (!random.one_in(8)) return;
    ValueBuffer taken;
    if (random.one_in(2)) {
      cache_.erase(own_key(writer, number));
    } else if (cache_.take(own_key(writer, number), taken) && version_in(taken.bytes(), key) != step.version()) {
      throw Violation("a cache gave back what was not put last");
    }
    if (current_version(writer, number)) throw Violation("what was taken out of a cache is still there");
  }

  void compute(std::uint32_t writer, Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(kComputedKeys));
    const std::string key = computed_key(number);
    ValueBuffer found;
    CacheLease lease;
    if (random.one_in(8)) cache_.erase(key);
    if (cache_.claim(key, writer + 1, found, lease) == Claim::kFound) {
      static_cast<void>(version_in(found.bytes(), computed_payload_key(number)));
      return;
    }
    auto& computing = scoreboard_.computing[number];
    const std::uint64_t other = computing.exchange(std::uint64_t{scoreboard_.lives[writer]} << 8 | (writer + 1));
    if (other != 0) {
      if (scoreboard_.deaths[(other & 0xff) - 1] < other >> 8) throw Violation("two compute the same key");
      ++scoreboard_.takeovers;
    }
    with_value(computed_payload_key(number), random.below(1'000), [&](const Value& value) {
      computing = 0;
      if (random.one_in(8)) {
        cache_.abandon(lease);
      } else {
        cache_.fill(lease, key, value);
      }
    });
  }

  // One that is made, filled and dropped again, with its counters and its ghost.
  void change_transient(Random& random) {
    try {
      if (random.one_in(16)) {
        store_->drop(kTransientName);
        return;
      }
      Cache transient = store_->cache(kTransientName, kMinCacheCapacity * 8);
      if (random.one_in(16)) return transient.clear();
      const auto number = static_cast<std::uint32_t>(random.below(kComputedKeys * 8));
      with_value(computed_payload_key(number), 1,
                 [&](const Value& value) { return transient.put(computed_key(number), value); });
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kClosed) throw;  // another writer dropped it
    }
  }

  std::optional<std::uint64_t> current_version(std::uint32_t writer, std::uint32_t number) override {
    ValueBuffer value;
    if (!cache_.get(own_key(writer, number), value)) return std::nullopt;
    return version_in(value.bytes(), payload_key(writer, number));
  }

  void look_up(Random& random) {
    const auto writer = static_cast<std::uint32_t>(random.below(writers_));
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    const VersionRange range(scoreboard_.oracle[writer][number]);
    if (const auto version = current_version(writer, number)) range.check_cached(*version);
  }

  void look_up_computed(Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(kComputedKeys));
    ValueBuffer value;
    if (cache_.get(computed_key(number), value)) {
      static_cast<void>(version_in(value.bytes(), computed_payload_key(number)));
    }
  }

  void hold(Random& random) {
    if (held_.size() == kMostHeld) return;
    const auto writer = static_cast<std::uint32_t>(random.below(writers_));
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    ValueBuffer value;
    if (!cache_.get(own_key(writer, number), value) || !value.pinned()) return;
    const std::uint64_t key = payload_key(writer, number);
    const std::uint64_t version = version_in(value.bytes(), key);
    held_.push_back({key, version, std::move(value)});
  }

  // What a reader holds stays as it was, evicted or not.
  void release(Random& random) {
    if (held_.empty()) return;
    std::swap(held_[random.below(held_.size())], held_.back());
    const Held held = std::move(held_.back());
    held_.pop_back();
    if (version_in(held.value.bytes(), held.key) != held.version) throw Violation("a pinned value changed");
  }

  void let_go() override {
    held_.clear();
    store_->drop(kTransientName);
    if (cache_.stats().evictions == 0) throw Violation("nothing was evicted");
    std::printf("%s: %llu computations taken over\n", kName, static_cast<unsigned long long>(scoreboard_.takeovers));
  }
  void clear() override {
    cache_.clear();
    if (cache_.stats().bytes != 0) throw Violation("an empty cache counts bytes");
  }

  Cache cache_;
  std::vector<Held> held_;  // of this process
};

}  // namespace

std::unique_ptr<Workload> make_cache_workload(const WorkloadOptions& options, Scoreboard& scoreboard) {
  return std::make_unique<CacheWorkload>(options, scoreboard);
}

}  // namespace kv::crash
