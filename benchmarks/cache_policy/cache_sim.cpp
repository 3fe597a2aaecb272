// Hit ratios of cache policies on a trace of keys, entries of equal size: LRU, FIFO, ARC, S3-FIFO, W-TinyLFU, Belady's
// bound, and the policy of kv_storage's Cache (kv_storage_module/src/cache/policy.hpp), written independently of it.
//
//     cache_sim TRACE CAPACITY [POLICY...]      TRACE: 32-bit little-endian keys; prints a line per policy
//
// run_simulation.py makes the traces and the table of docs/decisions/cache-policy.md.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <queue>
#include <string>
#include <utility>
#include <vector>

namespace {

using Key = std::uint32_t;
using Trace = std::vector<Key>;

constexpr std::uint32_t kNone = ~std::uint32_t{0};

[[nodiscard]] std::uint64_t mix(std::uint64_t x) {  // the finaliser of MurmurHash3
  x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
  return x ^ x >> 33;
}

// Doubly linked queues over a universe of keys: each key is in at most one.
class Queues {
 public:
  Queues(std::size_t keys, std::size_t queues)
      : prev_(keys, kNone),
        next_(keys, kNone),
        where_(keys, 0),
        head_(queues + 1, kNone),
        tail_(queues + 1, kNone),
        size_(queues + 1, 0) {}

  [[nodiscard]] unsigned where(Key key) const { return where_[key]; }  // 0 = in none
  [[nodiscard]] std::size_t size(unsigned queue) const { return size_[queue]; }
  [[nodiscard]] Key oldest(unsigned queue) const { return head_[queue]; }

  void push(unsigned queue, Key key) {
    where_[key] = static_cast<std::uint8_t>(queue);
    prev_[key] = tail_[queue], next_[key] = kNone;
    (tail_[queue] == kNone ? head_[queue] : next_[tail_[queue]]) = key;
    tail_[queue] = key;
    ++size_[queue];
  }
  void remove(Key key) {
    const unsigned queue = where_[key];
    (prev_[key] == kNone ? head_[queue] : next_[prev_[key]]) = next_[key];
    (next_[key] == kNone ? tail_[queue] : prev_[next_[key]]) = prev_[key];
    where_[key] = 0;
    --size_[queue];
  }
  void move(unsigned queue, Key key) { remove(key), push(queue, key); }
  Key pop(unsigned queue) {
    const Key key = head_[queue];
    remove(key);
    return key;
  }

 private:
  std::vector<Key> prev_, next_;
  std::vector<std::uint8_t> where_;
  std::vector<Key> head_, tail_;
  std::vector<std::size_t> size_;
};

[[nodiscard]] std::size_t universe(const Trace& trace) { return *std::max_element(trace.begin(), trace.end()) + 1UL; }

std::uint64_t lru(const Trace& trace, std::size_t capacity) {
  Queues q(universe(trace), 1);
  std::uint64_t hits = 0;
  for (const Key key : trace) {
    if (q.where(key) != 0) {
      ++hits, q.move(1, key);
    } else {
      q.push(1, key);
      if (q.size(1) > capacity) q.pop(1);
    }
  }
  return hits;
}

std::uint64_t fifo(const Trace& trace, std::size_t capacity) {
  Queues q(universe(trace), 1);
  std::uint64_t hits = 0;
  for (const Key key : trace) {
    if (q.where(key) != 0) {
      ++hits;
    } else {
      q.push(1, key);
      if (q.size(1) > capacity) q.pop(1);
    }
  }
  return hits;
}

// N. Megiddo, D. Modha: "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003.
std::uint64_t arc(const Trace& trace, std::size_t c) {
  enum : unsigned { kT1 = 1, kT2, kB1, kB2 };
  Queues q(universe(trace), 4);
  double p = 0;
  std::uint64_t hits = 0;
  const auto replace = [&](bool in_b2) {
    const auto t1 = static_cast<double>(q.size(kT1));
    const bool from_t1 = q.size(kT1) != 0 && (t1 > p || (in_b2 && t1 == p));
    q.push(from_t1 ? kB1 : kB2, q.pop(from_t1 ? kT1 : kT2));
  };
  for (const Key key : trace) {
    const auto b1 = static_cast<double>(q.size(kB1)), b2 = static_cast<double>(q.size(kB2));
    switch (q.where(key)) {
      case kT1:
      case kT2:
        ++hits, q.move(kT2, key);
        break;
      case kB1:
        p = std::min(static_cast<double>(c), p + std::max(b2 / b1, 1.0));
        replace(false), q.move(kT2, key);
        break;
      case kB2:
        p = std::max(0.0, p - std::max(b1 / b2, 1.0));
        replace(true), q.move(kT2, key);
        break;
      default:
        if (q.size(kT1) + q.size(kB1) == c) {
          if (q.size(kT1) < c) {
            q.pop(kB1), replace(false);
          } else {
            q.pop(kT1);
          }
        } else if (q.size(kT1) + q.size(kT2) + q.size(kB1) + q.size(kB2) >= c) {
          if (q.size(kT1) + q.size(kT2) + q.size(kB1) + q.size(kB2) >= 2 * c) q.pop(kB2);
          replace(false);
        }
        q.push(kT1, key);
    }
  }
  return hits;
}

// J. Yang et al.: "FIFO Queues are All You Need for Cache Eviction", SOSP 2023: exact counters, exact ghost queue.
std::uint64_t s3_fifo(const Trace& trace, std::size_t capacity) {
  enum : unsigned { kSmall = 1, kMain, kGhost };
  Queues q(universe(trace), 3);
  std::vector<std::uint8_t> count(universe(trace), 0);
  const std::size_t small = capacity / 10, ghost = capacity - small;
  std::uint64_t hits = 0;
  const auto evict_main = [&] {
    for (;;) {
      const Key key = q.pop(kMain);
      if (count[key] == 0) return;
      --count[key], q.push(kMain, key);
    }
  };
  for (const Key key : trace) {
    if (q.where(key) == kSmall || q.where(key) == kMain) {
      ++hits, count[key] = static_cast<std::uint8_t>(std::min(3, count[key] + 1));
      continue;
    }
    while (q.size(kSmall) + q.size(kMain) >= capacity) {
      if (q.size(kSmall) < small || q.size(kSmall) == 0) {
        evict_main();
        continue;
      }
      const Key old = q.pop(kSmall);
      if (count[old] > 1) {
        count[old] = 0, q.push(kMain, old);
        if (q.size(kMain) > capacity - small) evict_main();
      } else {
        q.push(kGhost, old);
        if (q.size(kGhost) > ghost) q.pop(kGhost);
      }
    }
    count[key] = 0;
    if (q.where(key) == kGhost) {
      q.move(kMain, key);
    } else {
      q.push(kSmall, key);
    }
  }
  return hits;
}

// Four rows of 4-bit counters, halved after 10 x capacity increments.
class Sketch {
 public:
  explicit Sketch(std::size_t capacity) : limit_(10 * capacity) {
    std::size_t width = 1;
    while (width < capacity) width *= 2;
    mask_ = width - 1;
    for (auto& row : rows_) row.resize(width);
  }
  void add(Key key) {
    bool changed = false;
    for (unsigned i = 0; i < 4; ++i) {
      std::uint8_t& cell = rows_[i][place(key, i)];
      if (cell < 15) ++cell, changed = true;
    }
    if (!changed || ++adds_ < limit_) return;
    for (auto& row : rows_) {
      for (auto& cell : row) cell /= 2;
    }
    adds_ /= 2;
  }
  [[nodiscard]] unsigned estimate(Key key) const {
    unsigned least = 15;
    for (unsigned i = 0; i < 4; ++i) least = std::min<unsigned>(least, rows_[i][place(key, i)]);
    return least;
  }

 private:
  [[nodiscard]] std::size_t place(Key key, unsigned row) const {
    return mix(key + (static_cast<std::uint64_t>(row + 1) << 32)) & mask_;
  }
  std::vector<std::uint8_t> rows_[4];
  std::size_t mask_ = 0, adds_ = 0, limit_;
};

// G. Einziger, R. Friedman, B. Manes: "TinyLFU: A Highly Efficient Cache Admission Policy", ACM TOS 2017; the window
// climbs towards the better hit ratio as in Caffeine.
std::uint64_t w_tinylfu(const Trace& trace, std::size_t capacity) {
  enum : unsigned { kWindow = 1, kProbation, kProtected };
  Queues q(universe(trace), 3);
  Sketch sketch(capacity);
  double window = std::max(1.0, static_cast<double>(capacity) * 0.01), step = static_cast<double>(capacity) * 0.0625;
  double previous = -1;
  std::uint64_t hits = 0, asked = 0, base = 0;
  const auto protected_size = [&] { return (static_cast<double>(capacity) - window) * 0.8; };
  const auto demote = [&] {
    while (static_cast<double>(q.size(kProtected)) > protected_size()) q.push(kProbation, q.pop(kProtected));
  };
  for (const Key key : trace) {
    sketch.add(key), ++asked;
    if (q.where(key) != 0) {
      ++hits, q.move(q.where(key) == kWindow ? kWindow : kProtected, key), demote();
    } else {
      q.push(kWindow, key);
      while (static_cast<double>(q.size(kWindow)) > window) {
        const Key candidate = q.pop(kWindow);
        if (q.size(kWindow) + q.size(kProbation) + q.size(kProtected) >= capacity) {
          const unsigned from = q.size(kProbation) != 0 ? kProbation : kProtected;
          if (sketch.estimate(candidate) <= sketch.estimate(q.oldest(from))) continue;
          q.pop(from);
        }
        q.push(kProbation, candidate);
      }
    }
    if (asked < 10 * capacity) continue;
    const double ratio = static_cast<double>(hits - base) / static_cast<double>(asked);
    if (previous >= 0 && ratio < previous) step = -step;
    step *= 0.98, previous = ratio, base = hits, asked = 0;
    window = std::clamp(window + step, static_cast<double>(capacity) * 0.001, static_cast<double>(capacity) * 0.8);
    demote();
  }
  return hits;
}

// L. Belady, 1966: keeps what is used soonest, and need not keep a key at all.
std::uint64_t belady(const Trace& trace, std::size_t capacity) {
  const auto n = static_cast<std::uint32_t>(trace.size());
  std::vector<std::uint32_t> next(n, n), last(universe(trace), n);
  for (std::uint32_t i = n; i-- > 0;) next[i] = std::exchange(last[trace[i]], i);
  std::vector<std::uint32_t> due(universe(trace), 0);  // next use of a resident key; 0 = absent
  std::priority_queue<std::pair<std::uint32_t, Key>> farthest;
  std::size_t resident = 0;
  std::uint64_t hits = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    const Key key = trace[i];
    if (due[key] != 0) {
      ++hits;
    } else {
      if (next[i] == n) continue;
      if (resident == capacity) {
        while (due[farthest.top().second] != farthest.top().first) farthest.pop();
        if (farthest.top().first < next[i]) continue;
        due[farthest.top().second] = 0, farthest.pop();
      } else {
        ++resident;
      }
    }
    due[key] = next[i] == n ? n + 1 : next[i];
    farthest.emplace(due[key], key);
  }
  return hits;
}

// Ours: a small FIFO and a main CLOCK; counters of 2 bits by hash in a table of their own, so that keys share some; the
// ghost is a table of 16-bit fingerprints, eight to a bucket, of the keys that left either queue.
struct OursShape {
  std::size_t counters_per_entry = 16;
  std::size_t ghost_percent = 112;  // it grows from 100 to 125
  std::size_t small_percent = 10;
  int max_moves = 64;
};

std::uint64_t ours(const Trace& trace, std::size_t capacity, const OursShape& shape) {
  enum : unsigned { kSmall = 1, kMain };
  constexpr std::size_t kFingerprints = 8;
  Queues q(universe(trace), 2);
  const std::size_t counters = shape.counters_per_entry * capacity;
  std::vector<std::uint8_t> counts(counters, 0);
  const auto count = [&](Key key) -> std::uint8_t& { return counts[(mix(key) >> 32) * counters >> 32]; };
  const std::size_t buckets = capacity * shape.ghost_percent / 100 / kFingerprints;
  std::vector<std::uint16_t> ghost(buckets * kFingerprints, 0);
  const auto bucket = [&](Key key) { return ghost.data() + (mix(~key) >> 32) * buckets / (1UL << 32) * kFingerprints; };
  const auto fingerprint = [](Key key) { return static_cast<std::uint16_t>(mix(~key) | 1); };
  const auto remember = [&](Key key) {
    std::uint16_t* const at = bucket(key);
    std::copy_backward(at, at + kFingerprints - 1, at + kFingerprints);
    *at = fingerprint(key);
  };
  const auto recall = [&](Key key) {
    std::uint16_t* const at = bucket(key);
    std::uint16_t* const found = std::find(at, at + kFingerprints, fingerprint(key));
    if (found == at + kFingerprints) return false;
    std::copy(found + 1, at + kFingerprints, found);
    at[kFingerprints - 1] = 0;
    return true;
  };
  const std::size_t small = capacity * shape.small_percent / 100;
  std::uint64_t hits = 0;
  for (const Key key : trace) {
    if (q.where(key) != 0) {
      ++hits, count(key) = static_cast<std::uint8_t>(std::min(3, count(key) + 1));
      continue;
    }
    for (int moves = 0; q.size(kSmall) + q.size(kMain) >= capacity; ++moves) {
      const unsigned from = q.size(kMain) == 0 || (q.size(kSmall) != 0 && q.size(kSmall) >= small) ? kSmall : kMain;
      const Key oldest = q.pop(from);
      if (count(oldest) == 0 || moves == shape.max_moves) {
        remember(oldest);
        moves = -1;
      } else {
        count(oldest) = from == kSmall ? 0 : static_cast<std::uint8_t>(count(oldest) - 1);
        q.push(kMain, oldest);
      }
    }
    count(key) = 0;
    q.push(recall(key) ? kMain : kSmall, key);
  }
  return hits;
}

[[nodiscard]] auto ours_with(OursShape shape) {
  return [shape](const Trace& trace, std::size_t capacity) { return ours(trace, capacity, shape); };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: cache_sim TRACE CAPACITY [POLICY...]\n"), 2;
  std::ifstream file(argv[1], std::ios::binary | std::ios::ate);
  if (!file) return std::fprintf(stderr, "cannot read %s\n", argv[1]), 1;
  Trace trace(static_cast<std::size_t>(file.tellg()) / sizeof(Key));
  file.seekg(0).read(reinterpret_cast<char*>(trace.data()), static_cast<std::streamsize>(trace.size() * sizeof(Key)));
  const auto capacity = std::strtoull(argv[2], nullptr, 10);
  const std::vector<std::pair<std::string, std::function<std::uint64_t(const Trace&, std::size_t)>>> policies = {
      {"belady", belady},
      {"lru", lru},
      {"fifo", fifo},
      {"arc", arc},
      {"s3-fifo", s3_fifo},
      {"w-tinylfu", w_tinylfu},
      {"ours", ours_with({})},
      {"ours-4-counters", ours_with({.counters_per_entry = 4})},
      {"ours-8-counters", ours_with({.counters_per_entry = 8})},
      {"ours-ghost-150", ours_with({.ghost_percent = 150})},
      {"ours-ghost-200", ours_with({.ghost_percent = 200})},
      {"ours-small-5", ours_with({.small_percent = 5})},
      {"ours-small-20", ours_with({.small_percent = 20})},
      {"ours-16-moves", ours_with({.max_moves = 16})}};
  for (const auto& [name, simulate] : policies) {
    if (argc > 3 && std::find(argv + 3, argv + argc, name) == argv + argc) continue;
    std::printf("%s %.5f\n", name.c_str(),
                static_cast<double>(simulate(trace, capacity)) / static_cast<double>(trace.size()));
    std::fflush(stdout);
  }
  return 0;
}
