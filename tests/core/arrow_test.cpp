#include "kv_storage/arrow.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/utf8.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/store.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

// What a consumer does with a struct it was given: it releases it once.
template <class Struct>
class Owned {
 public:
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (held_.release != nullptr) held_.release(&held_);
  }
  Struct* get() noexcept { return &held_; }
  Struct* operator->() noexcept { return &held_; }

 private:
  Struct held_{};
};
using OwnedSchema = Owned<ArrowSchema>;
using Array = Owned<ArrowArray>;
using Stream = Owned<ArrowArrayStream>;

bool released(const ArrowArray& array) { return array.release == nullptr; }

bool valid(const ArrowArray& array, std::int64_t row) {
  const auto* bits = static_cast<const unsigned char*>(array.buffers[0]);
  return bits == nullptr || (bits[row / 8] >> row % 8 & 1) != 0;
}

template <class T>
std::optional<T> number(const ArrowArray& array, std::int64_t row) {
  if (!valid(array, row)) return std::nullopt;
  return static_cast<const T*>(array.buffers[1])[row];
}

template <class Offset = std::int32_t>
std::string text(const ArrowArray& array, std::int64_t row) {
  const auto* offsets = static_cast<const Offset*>(array.buffers[1]);
  const auto* bytes = static_cast<const char*>(array.buffers[2]);
  return {bytes + offsets[row], static_cast<std::size_t>(offsets[row + 1] - offsets[row])};
}

std::optional<std::string> category(const ArrowArray& array, std::int64_t row) {
  const auto code = number<std::int16_t>(array, row);
  return code ? std::optional(text(*array.dictionary, *code)) : std::nullopt;
}

struct Point {
  double x;
  std::int64_t day;
  std::uint8_t tag;
};

Schema point_schema() {
  return Schema({Schema::parse_type("x", "f8"),
                 Schema::parse_type("day", "date"),
                 Schema::parse_type("on", "bool"),
                 {.name = "tag", .type = ColumnType::kCategory, .bytes = 1}});
}

void put(RecordHash& records, const std::string& key, const Point& point, std::optional<std::string> tag,
         bool on = true) {
  const Schema& schema = records.schema();
  std::vector<char> record(schema.record_bytes());
  const std::uint32_t code = tag ? records.category_code(3, *tag) : ~0U;
  std::memcpy(record.data() + schema.columns()[0].offset, &point.x, 8);
  std::memcpy(record.data() + schema.columns()[1].offset, &point.day, 8);
  std::memcpy(record.data() + schema.columns()[2].offset, &on, 1);
  std::memcpy(record.data() + schema.columns()[3].offset, &code, schema.columns()[3].bytes);
  records.put(key, record.data());
}

void export_all(const arrow::Collection& collection, Stream& stream, const ArrowSchema* requested = nullptr) {
  arrow::export_stream(collection, {}, requested, stream.get());
}

}  // namespace

TEST_CASE("utf8: what Python decodes strictly, and nothing else") {
  for (const char* good : {"", "plain ascii, longer than a word", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "12345678\xc3\xa9", "\xf4\x8f\xbf\xbf", "\xee\x80\x80", "\xed\x9f\xbf"}) {
    CHECK(is_utf8(good));
  }
  for (const char* bad : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xff",
                          "\xf4\x90\x80\x80", "1234567\xe2\x82", "\xf0\x8f\xbf\xbf", "\xe2\x28\xa1"}) {
    CHECK_FALSE(is_utf8(bad));
  }
}

TEST_CASE("arrow: a batch has what was put, with nulls where values are missing") {
  auto store = Store::create({.max_memory = 64 * kMiB, .parts = 2});
  RecordHash records = store->records("points", point_schema());
  put(records, "b", {2.5, 17'000, 0}, "red");
  put(records, "a", {NAN, std::numeric_limits<std::int64_t>::min(), 0}, std::nullopt, false);
  put(records, "c", {-1, -1, 0}, "blue");
  Stream stream;
  export_all(records, stream);
  OwnedSchema schema;
  REQUIRE(stream->get_schema(stream.get(), schema.get()) == 0);
  REQUIRE(schema->n_children == 5);
  const char* const formats[] = {"u", "g", "tdD", "b", "s"};
  const char* const names[] = {"key", "x", "day", "on", "tag"};
  for (int i = 0; i < 5; ++i) {
    CHECK(std::string(schema->children[i]->format) == formats[i]);
    CHECK(std::string(schema->children[i]->name) == names[i]);
  }
  CHECK(std::string(schema->children[4]->dictionary->format) == "u");
  Array batch;
  REQUIRE(stream->get_next(stream.get(), batch.get()) == 0);
  REQUIRE(batch->length == 3);
  CHECK(text(*batch->children[0], 0) == "a");
  CHECK(text(*batch->children[0], 2) == "c");
  CHECK(batch->children[1]->null_count == 1);
  CHECK_FALSE(number<double>(*batch->children[1], 0));
  CHECK(number<double>(*batch->children[1], 1) == 2.5);
  CHECK_FALSE(number<std::int32_t>(*batch->children[2], 0));
  CHECK(number<std::int32_t>(*batch->children[2], 2) == -1);
  CHECK(*static_cast<const unsigned char*>(batch->children[3]->buffers[1]) == 0b110);
  CHECK_FALSE(category(*batch->children[4], 0));
  CHECK(category(*batch->children[4], 1) == "red");
  CHECK(category(*batch->children[4], 2) == "blue");
  Array end;
  CHECK(stream->get_next(stream.get(), end.get()) == 0);
  CHECK(released(*end.get()));
}

TEST_CASE("arrow: batches cover all rows in order, also backwards and of a slice") {
  auto store = Store::create({.max_memory = 512 * kMiB});
  Ordered map = store->ordered("map", CollectionKind::kMap, KeyType::kInt);
  constexpr std::int64_t kRows = 150'000;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const std::int64_t value = i * i;
    map.put(ordered_key::of_integer(KeyType::kInt, i), {ValueType::kInt, {reinterpret_cast<const char*>(&value), 8}});
  }
  for (const bool reverse : {false, true}) {
    for (const auto& [offset, limit] : {std::pair{0, kRows}, std::pair{100, std::int64_t{99'999}}, {149'990, 50}}) {
      Stream stream;
      arrow::export_stream(map, {{}, reverse, static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(limit)},
                           nullptr, stream.get());
      std::int64_t expected = offset;
      int batches = 0;
      for (;; ++batches) {
        Array batch;
        REQUIRE(stream->get_next(stream.get(), batch.get()) == 0);
        if (batch->release == nullptr) break;
        CHECK(batch->length <= static_cast<std::int64_t>(arrow::kBatchRows) + 63);
        for (std::int64_t row = 0; row < batch->length; ++row, ++expected) {
          const std::int64_t key = reverse ? kRows - 1 - expected : expected;
          if (number<std::int64_t>(*batch->children[0], row) != key) FAIL_CHECK("row " << row);
          if (number<std::int64_t>(*batch->children[1], row) != key * key) FAIL_CHECK("row " << row);
        }
      }
      CHECK(expected == std::min(kRows, offset + limit));
      CHECK(batches == (expected - offset + arrow::kBatchRows - 1) / arrow::kBatchRows);
    }
  }
}

TEST_CASE("arrow: arrays outlive stream, collection and store") {
  Array batch;
  ArrowArray child{};
  {
    auto store = Store::create({.max_memory = 64 * kMiB});
    RecordHash records = store->records("points", point_schema());
    for (int i = 0; i < 70'000; ++i) put(records, std::to_string(100'000 + i), {1.0 * i, i, 0}, std::to_string(i % 7));
    Stream stream;
    export_all(records, stream);
    REQUIRE(stream->get_next(stream.get(), batch.get()) == 0);
    child = *batch->children[4];  // moved out, as consumers may
    batch->children[4]->release = nullptr;
    store->drop("points");
    store->close();
    Array next;
    CHECK(stream->get_next(stream.get(), next.get()) == EINVAL);
    CHECK(std::string(stream->get_last_error(stream.get())).find("closed") != std::string::npos);
  }
  CHECK(text(*batch->children[0], 99) == "100099");
  batch->release(batch.get());
  CHECK(category(child, 0) == "0");
  child.release(&child);
  CHECK(released(child));
}

TEST_CASE("arrow: a stream that is abandoned gives everything back") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  RecordHash records = store->records("points", point_schema());
  for (int i = 0; i < 1000; ++i) put(records, std::to_string(i), {1.0 * i, i, 0}, "t");
  {
    Stream never_pulled, pulled_once;
    export_all(records, never_pulled);
    export_all(records, pulled_once);
    Array batch;
    CHECK(pulled_once->get_next(pulled_once.get(), batch.get()) == 0);
  }
  CHECK(store->stats().parts[0].pins == 0);
  CHECK(store->verify().empty());
}

TEST_CASE("arrow: an empty table is a batch of no rows, and a stream of no batches") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  const RecordHash records = store->records("points", point_schema());
  const Ordered map = store->ordered("map", CollectionKind::kMap);
  const Ordered set = store->ordered("set", CollectionKind::kSet, KeyType::kText);
  for (const arrow::Collection& collection : {arrow::Collection(records), arrow::Collection(map), {set}}) {
    OwnedSchema schema;
    Array array, none;
    arrow::export_array(collection, {}, nullptr, schema.get(), array.get());
    CHECK(array->length == 0);
    CHECK(array->n_children == schema->n_children);
    Stream stream;
    export_all(collection, stream);
    CHECK(stream->get_next(stream.get(), none.get()) == 0);
    CHECK(released(*none.get()));
  }
}

TEST_CASE("arrow: other types on request, and nothing but types") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  RecordHash records = store->records("points", point_schema());
  put(records, std::string("\xff\x00k", 3), {1, 1, 0}, "red");
  put(records, "z", {1, 1, 0}, std::nullopt);
  {
    Stream stream;
    export_all(records, stream);
    Array batch;
    CHECK(stream->get_next(stream.get(), batch.get()) == EINVAL);
    CHECK(std::string(stream->get_last_error(stream.get())).find("b'\\xff\\x00k' is no UTF-8") != std::string::npos);
  }
  OwnedSchema schema;
  arrow::export_schema(records, {}, schema.get());
  const char* const own_key = schema->children[0]->format;
  const char* const own_tag = schema->children[4]->format;
  ArrowSchema* const dictionary = schema->children[4]->dictionary;
  schema->children[0]->format = "Z";
  schema->children[4]->format = "u";
  schema->children[4]->dictionary = nullptr;
  schema->children[1]->format = "e";  // cannot be had: it comes as it is
  {
    Stream stream;
    export_all(records, stream, schema.get());
    OwnedSchema given;
    REQUIRE(stream->get_schema(stream.get(), given.get()) == 0);
    CHECK(std::string(given->children[0]->format) == "Z");
    CHECK(std::string(given->children[1]->format) == "g");
    CHECK(given->children[4]->dictionary == nullptr);
    Array batch;
    REQUIRE(stream->get_next(stream.get(), batch.get()) == 0);
    CHECK(text<std::int64_t>(*batch->children[0], 1) == std::string("\xff\x00k", 3));
    CHECK_FALSE(valid(*batch->children[4], 0));
    CHECK(text(*batch->children[4], 1) == "red");
  }
  const char* const name = schema->children[1]->name;
  schema->children[1]->name = "y";
  Stream stream;
  CHECK_THROWS_AS(export_all(records, stream, schema.get()), Error);
  schema->children[1]->name = name;
  schema->children[0]->format = own_key;
  schema->children[4]->format = own_tag;
  schema->children[4]->dictionary = dictionary;
}

TEST_CASE("arrow: values of a map are of the type of the first that is one") {
  auto store = Store::create({.max_memory = 64 * kMiB});
  Ordered map = store->ordered("map", CollectionKind::kMap, KeyType::kText);
  const auto key = [](const char* name) { return ordered_key::of_bytes(KeyType::kText, name); };
  const std::string long_text(100'000, 'x');
  map.put(key("a"), {ValueType::kNone, {}});
  map.put(key("b"), {ValueType::kText, "text"});
  map.put(key("c"), {ValueType::kText, long_text});
  {
    Stream stream;
    export_all(map, stream);
    Array batch;
    REQUIRE(stream->get_next(stream.get(), batch.get()) == 0);
    CHECK_FALSE(valid(*batch->children[1], 0));
    CHECK(text(*batch->children[1], 1) == "text");
    CHECK(text(*batch->children[1], 2) == long_text);
  }
  map.put(key("d"), {ValueType::kBool, std::string_view("\1", 1)});
  Stream stream;
  export_all(map, stream);
  Array batch;
  CHECK(stream->get_next(stream.get(), batch.get()) == EINVAL);
  CHECK(std::string(stream->get_last_error(stream.get())).find("the value of key 'd' is bool") != std::string::npos);
  map.put(key("A"), {ValueType::kPacked, "\xc0"});
  Stream refused;
  CHECK_THROWS_AS(export_all(map, refused), Error);
}

// The writer goes over all keys in order and gives each the next number: at every instant a beginning of the keys has
// one more than the rest.
TEST_CASE("read: every arrow batch is one state, however much is written") {
  auto store = Store::create({.max_memory = 256 * kMiB});
  RecordHash records = store->records("points", point_schema());
  constexpr int kRows = 20'000;
  const auto key = [](int i) { return std::to_string(100'000 + i); };
  for (int i = 0; i < kRows; ++i) put(records, key(i), {0, 0, 0}, "round 0");
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    RecordHash own = store->records("points", point_schema());
    for (int round = 1; !stop; ++round) {
      for (int i = 0; i < kRows && !stop; ++i) {
        put(own, key(i), {1.0 * round, round, 0}, "round " + std::to_string(round % 100));
      }
    }
  });
  std::size_t batches = 0;
  for (int pass = 0; pass < 20; ++pass) {
    Stream stream;
    export_all(records, stream);
    std::int64_t rows = 0;
    for (;; ++batches) {
      Array batch;
      REQUIRE(stream->get_next(stream.get(), batch.get()) == 0);
      if (batch->release == nullptr) break;
      const ArrowArray& x = *batch->children[1];
      const double first = *number<double>(x, 0);
      double last = first;
      for (std::int64_t row = 0; row < batch->length; ++row) {
        const double round = *number<double>(x, row);
        if (round > last || round < first - 1) FAIL_CHECK("row " << row << ": " << round << " behind " << last);
        last = round;
        const std::string tag = "round " + std::to_string(static_cast<int>(round) % 100);
        if (category(*batch->children[4], row) != tag) FAIL_CHECK("row " << row << " is not of " << tag);
        if (text(*batch->children[0], row) != key(static_cast<int>(rows + row))) FAIL_CHECK("row " << row);
      }
      rows += batch->length;
    }
    CHECK(rows == kRows);
  }
  stop = true;
  writer.join();
  MESSAGE(batches << " batches");
}

// The numbers of categories begin anew after clear(), and in what a rename puts in place: the texts tell them apart.
TEST_CASE("read: categories are right while collections are cleared and replaced") {
  auto store = Store::create({.max_memory = 256 * kMiB});
  const auto fill = [&](const char* name, int round) {
    RecordHash records = store->records(name, point_schema());
    for (int i = 0; i < 200; ++i) {
      const int number = (i * 7 + round) % 50;
      put(records, std::to_string(1000 + i), {1.0 * number, 0, 0}, "n" + std::to_string(number));
    }
  };
  fill("points", 0);
  const RecordHash records = store->records("points", point_schema());
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int round = 1; !stop; ++round) {
      if (round % 2 == 0) {
        store->records("points", point_schema()).clear();
        fill("points", round);
      } else {
        fill("next", round);
        store->rename("next", "points", true);
      }
    }
  });
  for (int pass = 0; pass < 2000; ++pass) {
    Stream stream;
    export_all(records, stream);
    for (;;) {
      Array batch;
      REQUIRE(stream->get_next(stream.get(), batch.get()) == 0);
      if (batch->release == nullptr) break;
      for (std::int64_t row = 0; row < batch->length; ++row) {
        const std::string tag = "n" + std::to_string(static_cast<int>(*number<double>(*batch->children[1], row)));
        if (category(*batch->children[4], row) != tag) FAIL_CHECK("row " << row << " is not " << tag);
      }
    }
  }
  stop = true;
  writer.join();
  CHECK(store->verify().empty());
}

}  // namespace kv::test
