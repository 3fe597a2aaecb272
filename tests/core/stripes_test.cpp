// Readers of a key beside writers: those of other keys do not disturb them, those of the same key never show them half.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "collections/collection.hpp"
#include "kv_storage/store.hpp"
#include "memory/transaction.hpp"
#include "support/child_process.hpp"
#include "support/memory_check.hpp"

namespace kv::test {
namespace {

constexpr std::uint32_t kStripe = 5;
constexpr std::uint32_t kOther = 6;

class StripesFixture {
 public:
  StripesFixture() {
    Transaction txn(part);
    block = txn.allocate(64);
    store_relaxed<std::uint64_t>(txn.fresh(block), 0);
    txn.commit();
  }

  void change(std::optional<std::uint32_t> stripe, bool commits = true) {
    Transaction txn(part);
    if (stripe) txn.confine(*stripe);
    txn.store64(block, 0, load64(txn.at(block)) + 1);
    if (commits) txn.commit();
  }

  // What a reader of kStripe gets if somebody else does `meanwhile` in the middle of its section.
  template <class Meanwhile>
  [[nodiscard]] std::optional<int> read_beside(Meanwhile&& meanwhile) {
    return part.read_stripe(kStripe, [&] {
      std::thread(meanwhile).join();
      return std::optional(1);
    });
  }

  [[nodiscard]] bool all_even() const {
    const PartControl& control = part.control();
    return control.sequence % 2 == 0 && control.wide_sequence % 2 == 0 &&
           std::all_of(std::begin(control.stripes), std::end(control.stripes),
                       [](std::uint64_t number) { return number % 2 == 0; });
  }

  std::shared_ptr<Arena> arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  Ref block = kNullRef;
};

}  // namespace

TEST_CASE_FIXTURE(StripesFixture, "stripes: a reader is spoilt by writers of its stripe and by wide ones only") {
  CHECK(read_beside([] {}) == 1);
  CHECK(read_beside([&] { change(kOther); }) == 1);
  CHECK_FALSE(read_beside([&] { change(kStripe); }));
  CHECK_FALSE(read_beside([&] { change(kStripe, false); }));
  CHECK_FALSE(read_beside([&] { change(std::nullopt); }));
  CHECK_FALSE(read_beside([&] { change(std::nullopt, false); }));
  CHECK_FALSE(read_beside([&] {  // freeing is a part of the step
    Transaction txn(part);
    txn.confine(kStripe);
    txn.free(txn.allocate(64));
    txn.commit();
  }));
  CHECK_FALSE(read_beside([&] {  // only the first step is confined
    Transaction txn(part);
    txn.confine(kOther);
    txn.store64(block, 0, 1);
    txn.commit();
    txn.store64(block, 0, 2);
    txn.commit();
  }));
  CHECK_FALSE(read_beside([&] {  // too late: the step has begun
    Transaction txn(part);
    txn.store64(block, 0, 3);
    txn.confine(kOther);
    txn.commit();
  }));
  CHECK_FALSE(read_beside([&] {  // the last one counts, and the first one was touched
    Transaction txn(part);
    txn.confine(kStripe);
    txn.confine(kOther);
    txn.store64(block, 0, 4);
    txn.commit();
  }));
  CHECK(read_beside([&] {
          Transaction txn(part);
          txn.confine(kOther);
        }) == 1);
  CHECK(all_even());
}

TEST_CASE_FIXTURE(StripesFixture, "stripes: nobody reads a stripe, or any, in the middle of a step") {
  const auto reads = [&](std::uint32_t stripe) {
    return part.read_stripe(stripe, [] { return std::optional(1); }).has_value();
  };
  Transaction txn(part);
  CHECK(reads(kStripe));
  txn.confine(kStripe);
  CHECK_FALSE(reads(kStripe));
  CHECK(reads(kOther));
  txn.store64(block, 0, 1);
  CHECK_FALSE(reads(kStripe));
  CHECK(reads(kOther));
  txn.rollback();
  CHECK(reads(kStripe));
  txn.store64(block, 0, 1);
  CHECK_FALSE(reads(kStripe));
  CHECK_FALSE(reads(kOther));
  txn.commit();
  CHECK(reads(kStripe));
  CHECK(all_even());
}

TEST_CASE_FIXTURE(StripesFixture, "stripes: a writer killed in a confined step leaves none odd") {
  enum class Point : std::uint8_t { kConfined, kStored, kCommitted };
  for (const Point point : {Point::kConfined, Point::kStored, Point::kCommitted}) {
    CAPTURE(static_cast<int>(point));
    const std::uint64_t before = load64(part.at(block, 8));
    Gate reached;
    ChildProcess child([&] {
      const auto stop_at = [&](Point here) {
        if (here != point) return;
        reached.open();
        wait_to_be_killed();
      };
      Transaction txn(part);
      txn.confine(kStripe);
      stop_at(Point::kConfined);
      txn.store64(block, 0, before + 1);
      stop_at(Point::kStored);
      txn.commit();
      txn.confine(kOther);
      stop_at(Point::kCommitted);
      return 0;
    });
    REQUIRE(reached.pass());
    CHECK_FALSE(all_even());
    child.kill();
    CHECK_FALSE(part.read_stripe(point == Point::kCommitted ? kOther : kStripe, [] { return std::optional(1); }));
    { const Part::Lock lock(part); }
    CHECK(all_even());
    CHECK(load64(part.at(block, 8)) == before + (point == Point::kCommitted ? 1 : 0));
  }
}

namespace {

constexpr std::size_t kKeys = 48;  // enough for a look-aside table

std::string key_of_number(std::size_t number) { return "key-" + std::to_string(number); }

// All of a value says which key it belongs to, and which version it is.
std::string make_value(std::size_t number, std::uint64_t version) {
  const std::array<std::uint64_t, 2> words{number, version};
  std::string value;
  for (std::uint64_t i = 0; i < 100 + version % 3 * 50; ++i) {
    value.append(reinterpret_cast<const char*>(words.data()), sizeof words);
  }
  return value;
}
bool is_value_of(std::size_t number, ByteView value) {
  if (value.size() < 16) return false;
  std::array<std::uint64_t, 2> words{};
  std::memcpy(words.data(), value.data(), sizeof words);
  return words[0] == number && value == make_value(number, words[1]);
}

std::string counter_key(unsigned writer) { return "counter-" + std::to_string(writer); }

// Changes keys in all ways that are confined to their stripe, and some that are not.
void write_randomly(Hash root, unsigned writer, int writes) {
  std::mt19937 random(writer);
  for (int i = 0; i < writes; ++i) {
    const std::size_t number = random() % 4 == 0 ? random() % kKeys : random() % 2;
    const std::string key = key_of_number(number);
    const auto draw = random() % 16;
    if (draw == 0) {
      root.erase(key);
    } else if (draw == 1) {
      root.expire(key, 1'000'000'000);
    } else if (draw < 5) {
      root.increment(counter_key(writer), 1);
    } else if (draw == 5 && i % 50 == 0) {  // the table grows and shrinks
      for (std::size_t more = kKeys; more < 10 * kKeys; ++more) {
        root.put(counter_key(writer) + key_of_number(more), {ValueType::kNone, {}});
      }
      root.erase_range(KeyRange::prefix(counter_key(writer) + "key-"));
    } else {
      root.put(key, {ValueType::kBytes, make_value(number, random())});
    }
  }
}

// How many of the values are not as they must be, read one by one and together.
int wrong_values(const Hash& root, const std::vector<std::size_t>& numbers) {
  int wrong = 0;
  ValueBuffer value;
  std::vector<std::string> keys;
  for (const std::size_t number : numbers) {
    keys.push_back(key_of_number(number));
    if (root.get(keys.back(), value) && !is_value_of(number, value.bytes())) ++wrong;
  }
  struct Context {
    const std::vector<std::size_t>& numbers;
    int& wrong;
  } context{numbers, wrong};
  const std::vector<ByteView> views(keys.begin(), keys.end());
  root.get_many(
      views, &context,
      [](void* at, std::size_t i, ValueType, ByteView bytes) {
        const auto& [all, count] = *static_cast<Context*>(at);
        if (!is_value_of(all[i], bytes)) ++count;
      },
      [](void*, std::size_t) {});
  return wrong;
}

// Counters only grow.
int wrong_counters(const Hash& root, std::array<std::int64_t, 2>& counts) {
  int wrong = 0;
  ValueBuffer value;
  for (unsigned writer = 0; writer < counts.size(); ++writer) {
    if (!root.get(counter_key(writer), value)) continue;
    std::int64_t count = 0;
    std::memcpy(&count, value.bytes().data(), sizeof count);
    if (value.type() != ValueType::kInt || count < counts[writer]) ++wrong;
    counts[writer] = count;
  }
  return wrong;
}

}  // namespace

TEST_CASE("stripes: a writer that stands still inside a put stops readers of its own stripe only") {
  const auto store = Store::create({.max_memory = 64 * kMiB});
  Hash root = store->root();
  for (int round = 0; round < 2; ++round) {  // the table gets no keys that were there before it
    for (std::size_t i = 0; i < kKeys; ++i) root.put(key_of_number(i), {ValueType::kBytes, make_value(i, 1)});
  }
  const HashImpl& impl = *HandleAccess::impl(root);
  const std::uint32_t stripe = stripe_of_hash(impl.hash(key_of_number(0)));
  std::vector<std::size_t> others;
  for (std::size_t i = 1; i < kKeys; ++i) {
    if (stripe_of_hash(impl.hash(key_of_number(i))) != stripe) others.push_back(i);
  }
  Gate inside;
  ChildProcess writer([&] {
    Transaction txn(impl.part(0));
    txn.confine(stripe);
    static_cast<void>(txn.allocate(64));
    inside.open();
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(inside.pass());
  Gate done;
  ChildProcess reader([&] {
    int wrong = wrong_values(root, others);
    for (const std::size_t number : others) wrong += root.contains(key_of_number(number)) ? 0 : 1;
    done.open();
    return wrong;
  });
  const bool waited = !done.pass();
  writer.kill();
  CHECK_FALSE(waited);
  CHECK(reader.wait() == 0);
  CHECK(wrong_values(root, {0}) == 0);
}

TEST_CASE("stripes: readers of keys see whole values of these keys, whatever writers do") {
  constexpr int kWrites = 20'000;
  const auto store = Store::create({.max_memory = 64 * kMiB});
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < kKeys; ++i) numbers.insert(numbers.end(), {i, i % 2});  // these are written more often
  std::atomic<int> writers{2};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      write_randomly(store->root(), writer, kWrites);
      --writers;
    });
    threads.emplace_back([&] {
      std::array<std::int64_t, 2> counts{};
      while (writers > 0) wrong += wrong_values(store->root(), numbers) + wrong_counters(store->root(), counts);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  std::array<std::int64_t, 2> counts{};
  CHECK(wrong_counters(store->root(), counts) == 0);
  CHECK(counts[0] > 0);
  CHECK(counts[1] > 0);
  CHECK(store->verify().empty());
}

TEST_CASE("stripes: readers of records see whole records, which writers overwrite in place") {
  constexpr int kWrites = 20'000;
  constexpr std::size_t kFields = 64;
  std::vector<Column> columns;
  for (std::size_t i = 0; i < kFields; ++i) columns.push_back(Schema::parse_type("f" + std::to_string(i), "i8"));
  const Schema schema(columns);
  REQUIRE(schema.record_bytes() == kFields * sizeof(std::int64_t));
  const auto store = Store::create({.max_memory = 64 * kMiB});
  const RecordHash records = store->records("records", schema);
  std::atomic<int> writers{2};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      RecordHash mine = records;
      std::mt19937 random(writer);
      for (int i = 0; i < kWrites; ++i) {
        const std::string key = key_of_number(i < 100 || random() % 4 == 0 ? random() % kKeys : random() % 2);
        const std::array<std::int64_t, kFields> record = [&] {
          std::array<std::int64_t, kFields> same{};
          same.fill(static_cast<std::int64_t>(random()));
          return same;
        }();
        if (random() % 16 == 0) {
          mine.erase(key);
        } else {
          mine.put(key, record.data());
        }
      }
      --writers;
    });
    threads.emplace_back([&] {
      std::array<std::int64_t, kFields> record{};
      while (writers > 0) {
        for (std::size_t number = 0; number < kKeys; ++number) {
          const std::string key = key_of_number(number % 3 == 0 ? number : number % 3 - 1);
          if (!records.get(key, record.data())) continue;
          wrong += std::equal(record.begin() + 1, record.end(), record.begin()) ? 0 : 1;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(store->verify().empty());
}

}  // namespace kv::test
