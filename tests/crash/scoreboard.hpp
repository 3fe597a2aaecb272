// What survives the workers: counts of what they did, the first violation one saw, and the oracle.
//
// The oracle knows for each key its one writer, the version that writer last saw stored (`done`) and the one it is
// about to store (`intent`, at most one ahead). Writers die between the two; whatever a reader finds must lie between a
// `done` that it loaded before and an `intent` that it loads after.
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace kv::crash {

// A reader or a check saw what cannot be.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline constexpr std::uint32_t kMaxWriters = 8;
inline constexpr std::uint32_t kKeysPerWriter = 64;
inline constexpr std::uint32_t kComputedKeys = 32;

// Every fourth version of a key means that the key is absent, and so does the first.
[[nodiscard]] constexpr bool present(std::uint64_t version) noexcept { return version % 4 != 0; }

struct OracleCell {
  std::atomic<std::uint64_t> done;
  std::atomic<std::uint64_t> intent;
};

struct Scoreboard {
  std::atomic<std::uint64_t> writes;
  std::atomic<std::uint64_t> reads;
  std::atomic<std::uint64_t> refused;  // the store was full
  std::atomic<std::uint64_t> violations;
  char first_violation[512];
  OracleCell oracle[kMaxWriters][kKeysPerWriter];
  OracleCell counters[kMaxWriters];  // versions are the counts; never absent
  // Of the keys of a cache that are computed: by which writer, in which of its lives; 0 = by none.
  std::atomic<std::uint64_t> computing[kComputedKeys];
  std::atomic<std::uint32_t> lives[kMaxWriters];   // counts whenever a writer is started
  std::atomic<std::uint32_t> deaths[kMaxWriters];  // the life that is over or about to be
  std::atomic<std::uint64_t> takeovers;            // of what a death had left half computed

  void report(const std::string& what) noexcept {
    if (violations.fetch_add(1) == 0) what.copy(first_violation, sizeof first_violation - 1);
  }
};

// A writer's step from one version of its key to the next. Unless `finish` is called the key stays as it was.
class VersionStep {
 public:
  explicit VersionStep(OracleCell& cell) noexcept : cell_(cell), version_(cell.done + 1) { cell.intent = version_; }
  VersionStep(const VersionStep&) = delete;
  VersionStep& operator=(const VersionStep&) = delete;
  ~VersionStep() { cell_.intent = cell_.done.load(); }

  [[nodiscard]] const OracleCell& cell() const noexcept { return cell_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  void finish() noexcept { cell_.done = version_; }

 private:
  OracleCell& cell_;
  std::uint64_t version_;
};

// What a reader may find: made before it looks, asked after.
class VersionRange {
 public:
  explicit VersionRange(const OracleCell& cell) noexcept : cell_(cell), first_(cell.done) {}

  void check(bool found, std::uint64_t version) const {
    const std::uint64_t last = cell_.intent;
    if (found ? present(version) && version >= first_ && version <= last : absent_possible(last)) return;
    fail(found ? "version " + std::to_string(version) : "no value", last);
  }
  // Where what is found does not say which version it is of.
  void check_presence(bool found) const {
    const std::uint64_t last = cell_.intent;
    for (std::uint64_t version = first_; version <= last; ++version) {
      if (present(version) == found) return;
    }
    fail(found ? "a member" : "no member", last);
  }
  // Of a cache, which may forget everything at any time.
  void check_cached(std::uint64_t version) const {
    const std::uint64_t last = cell_.intent;
    if (version < first_ || version > last) fail("version " + std::to_string(version), last);
  }
  void check_count(std::uint64_t count) const {
    const std::uint64_t last = cell_.intent;
    if (count < first_ || count > last) fail("a count of " + std::to_string(count), last);
  }

 private:
  void fail(const std::string& found, std::uint64_t last) const {
    throw Violation(found + " where " + std::to_string(first_) + " to " + std::to_string(last) + " is possible");
  }
  [[nodiscard]] bool absent_possible(std::uint64_t last) const noexcept {
    for (std::uint64_t version = first_; version <= last; ++version) {
      if (!present(version)) return true;
    }
    return false;
  }

  const OracleCell& cell_;
  std::uint64_t first_;
};

// After a writer's death, with what its key holds now: old or new. From here on that is the version done.
inline void settle(OracleCell& cell, bool found, std::uint64_t version) {
  VersionRange(cell).check(found, version);
  if (!found) version = present(cell.done) ? cell.intent.load() : cell.done.load();
  cell.done = version;
  cell.intent = version;
}

inline void settle_presence(OracleCell& cell, bool found) {
  VersionRange(cell).check_presence(found);
  if (present(cell.done) != found) cell.done = cell.intent.load();
  cell.intent = cell.done.load();
}

inline void settle_count(OracleCell& cell, std::uint64_t count) {
  VersionRange(cell).check_count(count);
  cell.done = count;
  cell.intent = count;
}

}  // namespace kv::crash
