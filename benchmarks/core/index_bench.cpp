// Times the key index and the look-aside beside std::map and std::unordered_map, without Python.
//
//   index_bench [ENTRIES [SEED]]      a million keys hash-DD-MM-YYYY-NNNNNNN in random order by default
//
// insert     new keys, one transaction each (ours: crash-safe, in shared memory)
// sorted     the same keys in order, in batches
// find       present keys in random order; for ours by tree and by look-aside
// date       all keys of one date, as references in order
// glob       hash-*-06-2018-*
// scan       all keys in order
// erase      all keys in random order
//
// Nanoseconds an entry, CPU time of the thread, the best of twenty slices: what the machine can do, not what it did
// while others used it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "index/append_sorted.hpp"
#include "index/cursor.hpp"
#include "index/key_index.hpp"
#include "index/lookaside.hpp"
#include "memory/arena.hpp"

namespace {

using kv::ByteView;
using kv::Ref;
using Keys = std::vector<std::string>;

constexpr unsigned kDates = 1000;
constexpr std::size_t kValueBytes = 100;
constexpr std::uint64_t kHashSeed = 1;
constexpr std::size_t kSlices = 20;
constexpr std::size_t kSortedBatch = 1000;

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::string date(unsigned number) {
  char text[40];
  std::snprintf(text, sizeof text, "%02u-%02u-%04u", number % 28 + 1, number / 28 % 12 + 1, 2017 + number / 336);
  return text;
}

std::string key(unsigned number) {
  char text[48];
  std::snprintf(text, sizeof text, "hash-%s-%07u", date(number % kDates).c_str(), number);
  return text;
}

void report(const char* peer, const char* work, double seconds, std::size_t entries) {
  std::printf("%-20s %-8s %8.1f ns\n", peer, work, seconds / static_cast<double>(entries) * 1e9);
}

// Runs `one(i)` for all i below `count`, in slices, and reports the best of them.
void measure(const char* peer, const char* work, std::size_t count, const std::function<void(std::size_t)>& one) {
  const std::size_t slice = std::max<std::size_t>(count / kSlices, 1);
  double best = 1e9;
  for (std::size_t from = 0; from + slice <= count; from += slice) {
    const double start = thread_seconds();
    for (std::size_t i = from; i < from + slice; ++i) one(i);
    best = std::min(best, thread_seconds() - start);
  }
  report(peer, work, best, slice);
}

class Index {
 public:
  Index() : arena_(kv::Arena::create({.max_memory = std::uint64_t{16} << 30, .parts = 1})), part_(arena_->part(0)) {}

  void insert(ByteView key) {
    kv::Transaction txn(part_);
    const Ref replaced = kv::insert(txn, root_word(), make_entry(txn, txn, key));
    if (replaced != kv::kNullRef) txn.free(replaced);
    txn.commit();
  }
  // As many in a step as its journal has room for.
  void append_sorted(const Keys& keys, std::size_t from, std::size_t to) {
    while (from < to) {
      kv::Transaction txn(part_);
      kv::BlockSupply blocks(txn);
      kv::SortedAppender appender(blocks, root_word());
      for (; from < to && txn.journal_room() >= appender.journal_needed(); ++from) {
        appender.add(make_entry(txn, blocks, keys[from]));
      }
      appender.finish();
      blocks.settle();
      txn.commit();
    }
  }
  void erase(ByteView key) {
    kv::Transaction txn(part_);
    txn.free(kv::erase(txn, root_word(), key));
    txn.commit();
  }
  void fill_lookaside(const Keys& keys) {
    kv::Transaction txn(part_);
    kv::resize_lookaside(txn, table_word(), keys.size());
    for (const std::string& each : keys) lookaside().insert(kv::hash_key(each, kHashSeed), find(each));
  }

  [[nodiscard]] Ref find(ByteView key) const {
    return part_.read([&] { return kv::find(part_, kv::load32(root_word()), key); });
  }
  [[nodiscard]] Ref find_aside(ByteView key) const {
    const std::uint64_t hash = kv::hash_key(key, kHashSeed);
    return part_.read([&] { return lookaside().find(hash, key); });
  }
  std::size_t count(const char* pattern) const {
    const kv::GlobPattern glob{ByteView(pattern)};
    kv::Cursor cursor(std::nullopt, std::nullopt, &glob, false);
    std::size_t count = 0;
    std::string last;
    for (bool more = true; more;) {
      const std::size_t found = part_.read([&] {
        const auto page = cursor.collect(part_, kv::load32(root_word()));
        if (!page.empty()) last = kv::key_of(part_, page.back());
        return page.size();
      });
      count += found;
      more = cursor.advance(found, last);
    }
    return count;
  }
  [[nodiscard]] std::uint64_t used_bytes() const { return part_.control().allocator.used_bytes; }

 private:
  [[nodiscard]] void* root_word() const { return &part_.control().directory; }
  [[nodiscard]] void* table_word() const { return &part_.control().catalog; }
  [[nodiscard]] kv::Lookaside lookaside() const { return {part_, kv::load32(table_word())}; }

  template <class Blocks>
  static Ref make_entry(kv::Transaction& txn, Blocks& blocks, ByteView key) {
    const kv::EntryHeader header{kv::kEntryKind, kv::ValueType::kBytes, static_cast<std::uint16_t>(key.size()),
                                 kValueBytes};
    const Ref entry = blocks.allocate(header.total_bytes());
    static const std::string value(kValueBytes, 'v');
    kv::store_relaxed<std::uint64_t>(txn.fresh(entry), header.encode());
    kv::copy_in(txn.fresh(entry) + kv::kEntryHeaderBytes, key.data(), key.size());
    kv::copy_in(txn.fresh(entry) + header.value_offset(), value.data(), value.size());
    return entry;
  }

  std::shared_ptr<kv::Arena> arena_;
  kv::Part& part_;
};

// Keeps a result from being optimised away.
std::size_t sink = 0;

void measure_index(const Keys& inserted, const Keys& asked, const Keys& sorted) {
  Index index;
  const std::uint64_t before = index.used_bytes();
  measure("index", "insert", inserted.size(), [&](std::size_t i) { index.insert(inserted[i]); });
  const std::size_t entry_bytes = (kv::kEntryHeaderBytes + inserted[0].size() + kValueBytes + 7) / 8 * 8;
  const double bytes = static_cast<double>(index.used_bytes() - before) / static_cast<double>(inserted.size());
  measure("index", "find", asked.size(), [&](std::size_t i) { sink += index.find(asked[i]); });
  index.fill_lookaside(sorted);
  measure("look-aside", "find", asked.size(), [&](std::size_t i) { sink += index.find_aside(asked[i]); });

  double best = 1e9;
  std::size_t found = 1;
  for (unsigned query = 0; query < 200; ++query) {
    const std::string pattern = "hash-" + date((query * 37) % kDates) + "-*";
    const double start = thread_seconds();
    const std::size_t count = index.count(pattern.c_str());
    const double seconds = thread_seconds() - start;
    if (count != 0 && seconds / static_cast<double>(count) < best / static_cast<double>(found)) {
      best = seconds, found = count;
    }
  }
  report("index", "date", best, found);
  for (const auto& [work, pattern] : {std::pair{"glob", "hash-*-06-2018-*"}, std::pair{"scan", "*"}}) {
    best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
      const double start = thread_seconds();
      found = index.count(pattern);
      best = std::min(best, thread_seconds() - start);
    }
    report("index", work, best, std::max<std::size_t>(found, 1));
  }
  measure("index", "erase", asked.size(), [&](std::size_t i) { index.erase(asked[i]); });

  Index appended;
  measure("index", "sorted", sorted.size() / kSortedBatch * kSortedBatch, [&](std::size_t i) {
    if (i % kSortedBatch == 0) appended.append_sorted(sorted, i, i + kSortedBatch);
  });
  std::printf("%-20s %-8s %8.1f bytes an entry above header, key and value\n", "index", "memory",
              bytes - static_cast<double>(entry_bytes));
}

template <class Map>
void measure_map(const char* name, const Keys& inserted, const Keys& asked) {
  Map map;
  const std::string value(kValueBytes, 'v');
  measure(name, "insert", inserted.size(), [&](std::size_t i) { map.emplace(inserted[i], value); });
  measure(name, "find", asked.size(), [&](std::size_t i) { sink += map.find(asked[i])->second.size(); });
  auto at = map.begin();
  measure(name, "scan", map.size(), [&](std::size_t) { sink += (at++)->first.size(); });
  measure(name, "erase", asked.size(), [&](std::size_t i) { map.erase(asked[i]); });
}

}  // namespace

int main(int argc, char** argv) {
  const auto entries = static_cast<unsigned>(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000);
  std::mt19937 random(static_cast<unsigned>(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1));
  if (entries < kSlices * kSortedBatch) {
    std::fprintf(stderr, "index_bench: needs at least %zu entries\n", kSlices * kSortedBatch);
    return 2;
  }
  Keys inserted;
  for (unsigned i = 0; i < entries; ++i) inserted.push_back(key(i));
  Keys sorted = inserted;
  std::sort(sorted.begin(), sorted.end());
  std::shuffle(inserted.begin(), inserted.end(), random);
  Keys asked = inserted;
  std::shuffle(asked.begin(), asked.end(), random);

  measure_index(inserted, asked, sorted);
  measure_map<std::map<std::string, std::string>>("std::map", inserted, asked);
  measure_map<std::unordered_map<std::string, std::string>>("std::unordered_map", inserted, asked);
  return sink == 0 ? 1 : 0;
}
