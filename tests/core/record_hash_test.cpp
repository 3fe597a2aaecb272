#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>

#include "kv_storage/store.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

Schema point_schema() {
  return Schema({Schema::parse_type("x", "f8"), Schema::parse_type("n", "i4"), Schema::parse_type("tag", "category")});
}

struct Point {
  double x;
  std::int32_t n;
  std::uint32_t tag;
  friend bool operator==(const Point&, const Point&) = default;
};

std::vector<char> to_record(const Schema& schema, const Point& point) {
  std::vector<char> record(schema.record_bytes());
  std::memcpy(record.data() + schema.columns()[0].offset, &point.x, 8);
  std::memcpy(record.data() + schema.columns()[1].offset, &point.n, 4);
  std::memcpy(record.data() + schema.columns()[2].offset, &point.tag, schema.columns()[2].bytes);
  return record;
}

Point to_point(const Schema& schema, const char* record) {
  Point point{};
  std::memcpy(&point.x, record + schema.columns()[0].offset, 8);
  std::memcpy(&point.n, record + schema.columns()[1].offset, 4);
  std::memcpy(&point.tag, record + schema.columns()[2].offset, schema.columns()[2].bytes);
  return point;
}

std::map<std::string, Point> contents(const RecordHash& hash) {
  std::map<std::string, Point> found;
  Scan scan = hash.scan({}, true);
  for (ScanPage page; scan.next(page);) {
    for (const ScanPage::Item& item : page.items) {
      found.emplace(page.key(item), to_point(hash.schema(), page.value(item).data()));
    }
  }
  return found;
}

std::size_t used_slots(const RecordHash& hash) {
  std::size_t used = 0;
  for (const RecordHash::Slab& slab : hash.slabs()) {
    for (std::uint64_t i = 0; i < slab.count; ++i) used += slab.used[i / 8] >> i % 8 & 1;
  }
  return used;
}

void check_sound(const Store& store) {
  for (const std::string& violation : store.verify()) FAIL_CHECK(violation);
}

}  // namespace

TEST_CASE("records: random operations agree with std::map") {
  auto store = Store::create({.max_memory = 256 * kMiB, .parts = 3});
  const Schema schema = point_schema();
  RecordHash hash = store->records("points", schema);
  std::map<std::string, Point> oracle;
  std::mt19937 random(7);
  for (int step = 0; step < 20'000; ++step) {
    const std::string key = "key" + std::to_string(random() % 5000);
    const Point point{static_cast<double>(random()), static_cast<std::int32_t>(random()),
                      static_cast<std::uint32_t>(random() % 200)};
    switch (random() % 5) {
      case 0:
      case 1:
        CHECK(hash.put(key, to_record(schema, point).data()) == !oracle.contains(key));
        oracle[key] = point;
        break;
      case 2:
        CHECK(hash.erase(key) == (oracle.erase(key) == 1));
        break;
      case 3: {
        const RecordHash::Field field{schema.columns()[1].offset, 4, &point.n};
        CHECK(hash.set_fields(key, {&field, 1}) == oracle.contains(key));
        if (oracle.contains(key)) oracle[key].n = point.n;
        break;
      }
      default: {
        std::vector<char> record(schema.record_bytes());
        REQUIRE(hash.get(key, record.data()) == oracle.contains(key));
        if (oracle.contains(key)) CHECK(to_point(schema, record.data()) == oracle[key]);
      }
    }
    if (step % 5000 == 0) check_sound(*store);
  }
  CHECK(hash.size() == oracle.size());
  CHECK(contents(hash) == oracle);
  CHECK(used_slots(hash) == oracle.size());
  check_sound(*store);
  CHECK(hash.erase_range(KeyRange::prefix("key1")) > 0);
  check_sound(*store);
  hash.clear();
  CHECK(hash.size() == 0);
  check_sound(*store);
  CHECK(store->drop("points"));
  check_sound(*store);
}

TEST_CASE("records: slots freed under a live slab are not used again before it is released") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  const Schema schema = point_schema();
  RecordHash hash = store->records("points", schema);
  for (int i = 0; i < 100; ++i) hash.put("k" + std::to_string(i), to_record(schema, {double(i), i, 0}).data());
  {
    const auto slabs = hash.slabs();
    const std::string before(slabs[0].records.substr(0, 100 * schema.record_bytes()));
    for (int i = 0; i < 100; ++i) hash.erase("k" + std::to_string(i));
    for (int i = 0; i < 5000; ++i) hash.put("n" + std::to_string(i), to_record(schema, {-1, -1, 0}).data());
    CHECK(slabs[0].records.substr(0, before.size()) == before);
    CHECK((slabs[0].used[0] & 1) == 0);
    check_sound(*store);
  }
  CHECK(used_slots(hash) == 5000);
  for (int i = 0; i < 5000; ++i) hash.put("m" + std::to_string(i), to_record(schema, {-2, -2, 0}).data());
  CHECK(used_slots(hash) == 10'000);
  check_sound(*store);
}

TEST_CASE("records: categories are numbered as they come and stay") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  RecordHash hash = store->records("points", point_schema());
  CHECK(hash.categories(2).empty());
  for (std::uint32_t i = 0; i < 1000; ++i) REQUIRE(hash.category_code(2, "tag" + std::to_string(i)) == i);
  CHECK(hash.category_code(2, "tag7") == 7);
  CHECK(hash.find_category(2, "tag999") == 999);
  CHECK(hash.find_category(2, "absent") == std::nullopt);
  CHECK(hash.categories(2)[42] == "tag42");
  check_sound(*store);
  store->drop("points");
  check_sound(*store);
}

TEST_CASE("records: another schema under the same name is refused") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  static_cast<void>(store->records("points", point_schema()));
  CHECK_THROWS_AS(static_cast<void>(store->records("points", Schema({Schema::parse_type("x", "f4")}))), Error);
  CHECK_THROWS_AS(static_cast<void>(store->hash("points")), Error);
  CHECK(store->find_records("points").has_value());
  CHECK_FALSE(store->find_records("absent").has_value());
}

}  // namespace kv::test
