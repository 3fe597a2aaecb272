#include "store/key_partitions.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "support/key_sets.hpp"

namespace kv::test {
namespace {

using Rows = std::vector<std::pair<std::string, std::uint32_t>>;  // keys with their rows

[[nodiscard]] Rows sorted_by_std(const std::vector<std::string>& keys) {
  Rows rows;
  for (const std::string& key : keys) rows.emplace_back(key, static_cast<std::uint32_t>(rows.size()));
  std::sort(rows.begin(), rows.end());
  return rows;
}

// Equal keys come in any order.
[[nodiscard]] Rows with_ties_settled(Rows rows) {
  for (auto begin = rows.begin(); begin != rows.end();) {
    const auto end = std::find_if(begin, rows.end(), [&](const auto& row) { return row.first != begin->first; });
    std::sort(begin, end);
    begin = end;
  }
  return rows;
}

[[nodiscard]] Rows sorted_by_us(const std::vector<std::string>& keys, KeySorter& sorter) {
  std::vector<RowKey> rows;
  for (const std::string& key : keys) {
    rows.push_back({key.data(), static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(rows.size())});
  }
  sorter.sort(rows);
  Rows sorted;
  for (const RowKey& row : rows) sorted.emplace_back(row.view(), row.row);
  return with_ties_settled(std::move(sorted));
}

// Keys whose first differing bits say little: nearly all agree in them.
[[nodiscard]] std::vector<std::string> keys_with_outliers(Random& random) {
  std::vector<std::string> keys;
  for (int i = 0; i < 2000; ++i) {
    keys.push_back(std::string(100, 'x') + random_string(random, 20, "0123456789"));
    if (i % 100 == 0) keys.push_back(random_bytes(random, 130));
  }
  return keys;
}

[[nodiscard]] std::vector<std::string> draw_keys(const KeySet& set, Random& random, std::size_t count) {
  if (set.draw(random).size() > 60'000) count = std::min<std::size_t>(count, 100);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back(set.draw(random));
  return keys;
}

[[nodiscard]] std::string joined(const std::vector<std::string>& keys, std::size_t from, std::size_t to,
                                 std::vector<std::uint32_t>& ends) {
  std::string bytes;
  ends.clear();
  for (std::size_t i = from; i < to; ++i) {
    bytes += keys[i];
    ends.push_back(static_cast<std::uint32_t>(bytes.size()));
  }
  return bytes;
}

[[nodiscard]] Rows take_all(KeyPartitions& partitions) {
  KeySorter sorter;
  Rows rows;
  for (std::size_t i = 0; i < partitions.count(); ++i) {
    const SortedKeys sorted = partitions.take(i, sorter);
    const char* bytes = sorted.bytes.get();
    for (const SortedKeys::Key& key : sorted.keys) {
      rows.emplace_back(std::string(bytes, key.size), key.row);
      bytes += key.size;
    }
  }
  return with_ties_settled(std::move(rows));
}

}  // namespace

TEST_CASE("key sort: the order of std::sort for every kind and number of keys") {
  Random random(21);
  KeySorter sorter;
  for (const KeySet& set : key_sets()) {
    CAPTURE(set.name);
    for (const std::size_t count : {0U, 1U, 2U, 31U, 32U, 33U, 299U, 300U, 5000U}) {
      CAPTURE(count);
      const std::vector<std::string> keys = draw_keys(set, random, count);
      CHECK(sorted_by_us(keys, sorter) == sorted_by_std(keys));
    }
  }
  const std::vector<std::string> outliers = keys_with_outliers(random);
  CHECK(sorted_by_us(outliers, sorter) == sorted_by_std(outliers));
  const std::vector<std::string> equal(2000, "the same");
  CHECK(sorted_by_us(equal, sorter) == sorted_by_std(equal));
  std::vector<std::string> hexadecimal;
  for (int i = 0; i < 3000; ++i) hexadecimal.push_back(random_string(random, 40, "0123456789abcdef"));
  CHECK(sorted_by_us(hexadecimal, sorter) == sorted_by_std(hexadecimal));
}

TEST_CASE("key window: the order of eight bytes, zeros past the end") {
  const std::string key("\x01\x02\x03\x04\x05\x06\x07\x08\xff", 9);
  CHECK(key_window(key, 0) == 0x0102030405060708);
  CHECK(key_window(key, 1) == 0x02030405060708ff);
  CHECK(key_window(key, 2) == 0x030405060708ff00);
  CHECK(key_window(key, 8) == 0xff00000000000000);
  CHECK(key_window(key, 9) == 0);
  CHECK(key_window(key, 1000) == 0);
  CHECK(key_window(ByteView(key).substr(0, 3), 1) == 0x0203000000000000);
  CHECK(key_window({}, 0) == 0);
}

TEST_CASE("key partitions: all keys in order, whatever the sample") {
  for (const KeySet& set : key_sets()) {
    CAPTURE(set.name);
    Random random(22);
    const std::vector<std::string> keys = draw_keys(set, random, 5000);
    const std::vector<std::vector<std::string>> samples = {
        {},
        {keys.begin(), keys.begin() + 1},
        {keys.begin(), keys.begin() + 50},
        keys,
        {"", "hash-01", "hash-02", "m", std::string(70'000, 'x'), "\xff\xff"},
        std::vector<std::string>(100, keys[0]),
    };
    for (const auto& sample : samples) {
      CAPTURE(sample.size());
      constexpr unsigned kThreads = 3;
      KeyPartitions partitions(sample, 20 * KeyPartitions::kPartitionKeys, kThreads);
      CHECK(partitions.count() >= 1);
      CHECK(partitions.count() <= 20);
      std::vector<std::uint32_t> ends;
      for (std::size_t from = 0; from < keys.size();) {
        const std::size_t to = std::min<std::size_t>(keys.size(), from + below(random, 300));
        const std::string bytes = joined(keys, from, to, ends);
        partitions.add(below(random, kThreads), bytes, ends, static_cast<std::uint32_t>(from));
        from = to;
      }
      CHECK(take_all(partitions) == sorted_by_std(keys));
    }
  }
}

TEST_CASE("key partitions: a fair sample makes partitions of like length") {
  Random random(23);
  std::vector<std::string> keys;
  for (unsigned i = 0; i < 60'000; ++i) {
    keys.push_back(dated_key(below(random, 28) + 1, below(random, 12) + 1, 2016 + below(random, 3), i));
  }
  constexpr std::uint64_t kRows = 20 * KeyPartitions::kPartitionKeys;  // as if there were more
  const std::size_t wanted = KeyPartitions::sample_for(kRows);
  KeyPartitions partitions({keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(wanted)}, kRows, 1);
  REQUIRE(partitions.count() == 20);
  std::vector<std::uint32_t> ends;
  const std::string bytes = joined(keys, 0, keys.size(), ends);
  partitions.add(0, bytes, ends, 0);
  KeySorter sorter;
  for (std::size_t i = 0; i < partitions.count(); ++i) {
    const std::size_t length = partitions.take(i, sorter).keys.size();
    CHECK(length > keys.size() / 20 / 3);
    CHECK(length < keys.size() / 20 * 3);
  }
  CHECK(KeyPartitions::sample_for(KeyPartitions::kPartitionKeys) == 0);
}

}  // namespace kv::test
