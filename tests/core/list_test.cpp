// Lists beside std::vector: contents, structure and memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "collections/list_writer.hpp"
#include "kv_storage/store.hpp"
#include "memory/pins.hpp"
#include "support/child_process.hpp"
#include "support/index_model.hpp"
#include "support/key_sets.hpp"

namespace kv::test {
namespace {

using Model = std::vector<std::string>;

std::shared_ptr<Store> make_store(std::uint64_t max_memory = 512 * kMiB) {
  return Store::create({.max_memory = max_memory, .parts = 3});
}

std::uint64_t used_bytes(const Store& store) {
  std::uint64_t sum = 0;
  for (const PartStats& part : store.stats().parts) sum += part.used_bytes;
  return sum;
}

Value text(const std::string& bytes) { return {ValueType::kText, bytes}; }

std::vector<Value> texts(const Model& model) {
  std::vector<Value> values;
  for (const std::string& bytes : model) values.push_back(text(bytes));
  return values;
}

Model contents(const List& list, const ListSlice& slice = {}) {
  ListItems items;
  list.read(slice, items);
  Model all;
  for (const std::uint32_t code : items.codes) all.emplace_back(items.values.bytes_of(items.values.items.at(code)));
  return all;
}

// What read_stored() says, which takes another way.
Model stored_contents(const List& list) {
  ListItems items;
  list.read_stored(items);
  Model all;
  for (const std::uint32_t code : items.codes) {
    const auto& item = items.values.items.at(code);
    REQUIRE(item.used);
    all.emplace_back(items.values.bytes_of(item));
  }
  return all;
}

std::string draw_value(Random& random, unsigned distinct) {
  const unsigned number = below(random, distinct);
  return std::to_string(number) + std::string(number % 40, 'x');
}

Model draw_values(Random& random, unsigned count, unsigned distinct) {
  Model values;
  for (unsigned i = 0; i < count; ++i) values.push_back(draw_value(random, distinct));
  return values;
}

std::int64_t draw_index(Random& random, std::size_t length) {
  return static_cast<std::int64_t>(below(random, 2 * static_cast<unsigned>(length) + 5)) -
         static_cast<std::int64_t>(length) - 2;
}

ListSlice draw_slice(Random& random, std::size_t length, std::int64_t step) {
  ListSlice slice{.start = {}, .stop = {}, .step = step};
  if (below(random, 5) != 0) slice.start = draw_index(random, length);
  if (below(random, 5) != 0) slice.stop = draw_index(random, length);
  return slice;
}

// An oracle of its own for what a slice means: the definition in the Python reference, counted out.
std::vector<std::size_t> positions_in(const ListSlice& slice, std::size_t length) {
  const auto size = static_cast<std::int64_t>(length);
  const bool back = slice.step < 0;
  const auto bound = [&](std::optional<std::int64_t> given, std::int64_t missing) {
    std::int64_t at = given.value_or(missing);
    if (!given) return at;
    if (at < 0) at += size;
    if (at < 0) return back ? std::int64_t{-1} : std::int64_t{0};
    if (at >= size) return back ? size - 1 : size;
    return at;
  };
  std::vector<std::size_t> positions;
  const std::int64_t start = bound(slice.start, back ? size - 1 : 0), stop = bound(slice.stop, back ? -1 : size);
  for (std::int64_t at = start; back ? at > stop : at < stop; at += slice.step) {
    positions.push_back(static_cast<std::size_t>(at));
  }
  return positions;
}

bool exists(std::int64_t index, std::size_t length) {
  const auto size = static_cast<std::int64_t>(length);
  return index >= -size && index < size;
}
std::size_t place(std::int64_t index, std::size_t length) {
  return static_cast<std::size_t>(index < 0 ? index + static_cast<std::int64_t>(length) : index);
}
std::size_t clamped(std::int64_t index, std::size_t length) {
  const auto size = static_cast<std::int64_t>(length);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size));
}

auto at(Model& model, std::size_t position) { return model.begin() + static_cast<std::ptrdiff_t>(position); }

// One random change of both; `most` bounds how many values it adds.
void change(List& list, Model& model, Random& random, unsigned distinct, unsigned most) {
  const std::int64_t index = draw_index(random, model.size());
  switch (below(random, 12)) {
    case 0: {
      const std::string value = draw_value(random, distinct);
      list.append(text(value));
      model.push_back(value);
      break;
    }
    case 1: {
      const Model values = draw_values(random, below(random, most), distinct);
      list.extend(texts(values));
      model.insert(model.end(), values.begin(), values.end());
      break;
    }
    case 2: {
      const std::string value = draw_value(random, distinct);
      list.insert(index, text(value));
      model.insert(at(model, clamped(index, model.size())), value);
      break;
    }
    case 3: {
      const std::string value = draw_value(random, distinct);
      REQUIRE(list.set(index, text(value)) == exists(index, model.size()));
      if (exists(index, model.size())) model[place(index, model.size())] = value;
      break;
    }
    case 4:
      REQUIRE(list.erase(index) == exists(index, model.size()));
      if (exists(index, model.size())) model.erase(at(model, place(index, model.size())));
      break;
    case 5: {
      ValueBuffer taken;
      const std::int64_t from = below(random, 2) == 0 ? -1 : index;
      REQUIRE(list.take(from, taken) == exists(from, model.size()));
      if (!exists(from, model.size())) break;
      REQUIRE(taken.bytes() == model[place(from, model.size())]);
      model.erase(at(model, place(from, model.size())));
      break;
    }
    case 6: {
      const std::string value = draw_value(random, distinct), other = draw_value(random, distinct);
      const Value wanted[] = {text(value), text(other)};
      const auto found =
          std::find_if(model.begin(), model.end(), [&](const std::string& m) { return m == value || m == other; });
      REQUIRE(list.remove(wanted) == (found != model.end()));
      if (found != model.end()) model.erase(found);
      break;
    }
    case 7: {
      const ListSlice slice = draw_slice(random, model.size(), 1);
      const auto positions = positions_in(slice, model.size());
      const Model values = draw_values(random, below(random, most), distinct);
      list.assign(slice, texts(values));
      const std::size_t first = clamped(slice.start.value_or(0), model.size());
      model.erase(at(model, first), at(model, first + positions.size()));
      model.insert(at(model, first), values.begin(), values.end());
      break;
    }
    case 8: {
      const std::int64_t steps[] = {-3, -2, -1, 2, 5, 100};
      const ListSlice slice = draw_slice(random, model.size(), steps[below(random, 6)]);
      const auto positions = positions_in(slice, model.size());
      const Model values = draw_values(random, static_cast<unsigned>(positions.size()), distinct);
      list.assign(slice, texts(values));
      for (std::size_t i = 0; i < positions.size(); ++i) model[positions[i]] = values[i];
      break;
    }
    case 9: {
      if (below(random, 3) != 0) break;  // or lists would stay short
      const std::int64_t steps[] = {-7, -1, 1, 2, 30};
      const ListSlice slice = draw_slice(random, model.size(), steps[below(random, 5)]);
      auto positions = positions_in(slice, model.size());
      list.erase(slice);
      std::sort(positions.rbegin(), positions.rend());
      for (const std::size_t position : positions) model.erase(at(model, position));
      break;
    }
    case 10:
      list.reverse();
      std::reverse(model.begin(), model.end());
      break;
    default:
      if (below(random, 20) != 0) break;
      list.clear();
      model.clear();
  }
}

void check_same(const List& list, Model& model, Random& random, unsigned distinct) {
  REQUIRE(list.size() == model.size());
  REQUIRE(contents(list) == model);
  REQUIRE(stored_contents(list) == model);
  for (int i = 0; i < 30; ++i) {
    const std::int64_t index = draw_index(random, model.size());
    ValueBuffer value;
    REQUIRE(list.get(index, value) == exists(index, model.size()));
    if (exists(index, model.size())) REQUIRE(value.bytes() == model[place(index, model.size())]);

    const ListSlice slice = draw_slice(random, model.size(), static_cast<std::int64_t>(below(random, 3)) * 2 - 3);
    Model wanted;
    for (const std::size_t position : positions_in(slice, model.size())) wanted.push_back(model[position]);
    REQUIRE(contents(list, slice) == wanted);

    const std::string one = draw_value(random, distinct), other = draw_value(random, distinct);
    const Value values[] = {text(one), text(other)};
    const std::span<const Value> some(values, one == other ? 1 : 2);
    const auto is_wanted = [&](const std::string& m) { return m == one || m == other; };
    REQUIRE(list.count(some) == static_cast<std::uint64_t>(std::count_if(model.begin(), model.end(), is_wanted)));
    const std::int64_t start = draw_index(random, model.size()), stop = draw_index(random, model.size());
    const std::size_t first = clamped(start, model.size()), last = std::max(first, clamped(stop, model.size()));
    const auto found = std::find_if(at(model, first), at(model, last), is_wanted);
    const auto got = list.find(some, start, stop);
    REQUIRE(got.has_value() == (found != at(model, last)));
    if (got) REQUIRE(*got == static_cast<std::uint64_t>(found - model.begin()));
  }
  std::map<std::string, std::uint64_t> counts;
  for (const std::string& value : model) ++counts[value];
  ListValues values;
  list.read_values(values);
  for (const ListValues::Item& item : values.items) {
    if (!item.used) continue;
    REQUIRE(counts[std::string(values.bytes_of(item))] == item.count);
    counts.erase(std::string(values.bytes_of(item)));
  }
  REQUIRE(counts.empty());
}

}  // namespace

TEST_CASE("list: random operations agree with std::vector, and memory comes back") {
  struct Shape {
    unsigned distinct, most, changes;
  };
  // Short lists; codes that pass 8 and 16 bits; long ones of few values; all distinct ones.
  const Shape shapes[] = {{5, 10, 4000}, {600, 300, 600}, {100'000, 3000, 150}, {3, 5000, 200}, {1'000'000, 200, 400}};
  for (const Shape& shape : shapes) {
    CAPTURE(shape.distinct);
    auto store = make_store();
    store->drop("warm");
    List list = store->list("l");
    const std::uint64_t used = used_bytes(*store);
    Random random(shape.distinct);
    Model model;
    for (unsigned i = 0; i < shape.changes; ++i) {
      change(list, model, random, shape.distinct, shape.most);
      if (i % 50 != 0) continue;
      check_same(list, model, random, shape.distinct);
      REQUIRE(store->verify() == Model{});
    }
    check_same(list, model, random, shape.distinct);
    // Emptied by either end, it gives everything back but its root.
    ValueBuffer taken;
    while (!model.empty()) {
      const bool back = below(random, 2) == 0;
      REQUIRE(list.take(back ? -1 : 0, taken));
      REQUIRE(taken.bytes() == (back ? model.back() : model.front()));
      model.erase(back ? model.end() - 1 : model.begin());
      if (model.size() % 5000 == 0) REQUIRE(store->verify() == Model{});
    }
    REQUIRE_FALSE(list.take(-1, taken));
    REQUIRE(used_bytes(*store) == used);
    REQUIRE(store->verify() == Model{});
  }
}

TEST_CASE("list: values of other types or bytes are other values") {
  auto store = make_store();
  List list = store->list("l");
  const std::int64_t one = 1;
  const double float_one = 1.0;
  const char true_byte = 1;
  const Value values[] = {{ValueType::kInt, {reinterpret_cast<const char*>(&one), 8}},
                          {ValueType::kFloat, {reinterpret_cast<const char*>(&float_one), 8}},
                          {ValueType::kBool, {&true_byte, 1}},
                          {ValueType::kNone, {}},
                          text(""),
                          {ValueType::kBytes, {}}};
  for (const Value& value : values) list.append(value);
  list.extend(values);
  ListValues read;
  list.read_values(read);
  CHECK(std::count_if(read.items.begin(), read.items.end(), [](const auto& item) { return item.used; }) == 6);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(list.count({&values[i], 1}) == 2);
    CHECK(list.find({&values[i], 1}, 0, 100) == i);
  }
  CHECK_FALSE(list.has_opaque_values());
  // Cut into data and trailer or not, bytes are the same bytes.
  const std::string elements(100, 'e'), whole = elements + "trailer";
  list.append({ValueType::kArray, elements, "trailer"});
  list.append({ValueType::kArray, whole});
  const Value array{ValueType::kArray, whole};
  CHECK(list.count({&array, 1}) == 2);
  CHECK(list.has_opaque_values());
  list.erase(ListSlice{.start = -2, .stop = {}, .step = 1});
  CHECK_FALSE(list.has_opaque_values());
  CHECK(store->verify() == Model{});
}

TEST_CASE("list: codes are used again and dictionaries shrink") {
  auto store = make_store();
  List list = store->list("l");
  list.append(text("first"));
  const std::uint64_t used = used_bytes(*store);
  for (int round = 0; round < 5; ++round) {
    Model values;
    for (int i = 0; i < 20'000; ++i) values.push_back("value " + std::to_string(round) + " " + std::to_string(i));
    list.extend(texts(values));
    ListItems items;
    list.read_stored(items);
    CHECK(items.values.items.size() == 20'001);  // no code was left out
    list.erase(ListSlice{.start = 1, .stop = {}, .step = 1});
    ListValues left;
    list.read_values(left);
    CHECK(left.items.size() == 1);
    CHECK(store->verify() == Model{});
    // The tables of pages are as long as they were once, 8 bytes for 1,024 codes; and a page is a whole one.
    CHECK(used_bytes(*store) <= used + 16 * 1024);
  }
  list.take(0, *std::make_unique<ValueBuffer>());
  CHECK(list.size() == 0);
}

TEST_CASE("list: codes widen and narrow with what a chunk holds") {
  auto store = make_store();
  List list = store->list("l");
  const auto bytes_for = [&](unsigned distinct) {
    Model values;
    for (unsigned i = 0; i < distinct; ++i) values.push_back(std::to_string(i));
    list.assign({}, texts(values));
    const std::uint64_t before = used_bytes(*store);
    Model more;
    for (unsigned i = 0; i < 100'000; ++i) more.push_back(values[distinct - 1 - i % std::min(distinct, 200U)]);
    list.extend(texts(more));
    CHECK(store->verify() == Model{});
    return used_bytes(*store) - before;
  };
  CHECK(bytes_for(200) < 110'000);
  CHECK(bytes_for(60'000) < 215'000);
  CHECK(bytes_for(60'000) > 190'000);
  const std::uint64_t wide = bytes_for(70'000);
  CHECK(wide > 380'000);
  CHECK(wide < 430'000);
  // Written over with a value whose code is small, chunks become narrow again when they are built anew.
  list.assign({}, texts(Model(100'000, "0")));
  CHECK(used_bytes(*store) < 1'000'000);
  CHECK(store->verify() == Model{});
}

TEST_CASE("list: operations larger than the journal are done in steps") {
  auto store = make_store();
  List list = store->list("l");
  Random random(7);
  constexpr std::size_t kMany = 60'000;
  Model model;
  for (std::size_t i = 0; i < kMany; ++i) model.push_back(std::to_string(i));
  const auto transactions = [&] {
    std::uint64_t sum = 0;
    for (const PartStats& part : store->stats().parts) sum += part.transactions;
    return sum;
  };
  const std::uint64_t before = transactions();
  list.extend(texts(model));
  CHECK(transactions() - before > 50);
  const auto agree = [&] {
    REQUIRE(contents(list) == model);
    REQUIRE(store->verify() == Model{});
  };
  agree();
  Model others;
  for (std::size_t i = 0; i < kMany; ++i) others.push_back("other " + std::to_string(i));
  list.assign(ListSlice{.start = 100, .stop = 50'000, .step = 1}, texts(others));
  model.erase(model.begin() + 100, model.begin() + 50'000);
  model.insert(model.begin() + 100, others.begin(), others.end());
  agree();
  list.reverse();
  std::reverse(model.begin(), model.end());
  agree();
  const ListSlice every_third{.start = {}, .stop = {}, .step = -3};
  Model thirds;
  for (std::size_t i = 0; i < positions_in(every_third, model.size()).size(); ++i)
    thirds.push_back("third " + std::to_string(i));
  list.assign(every_third, texts(thirds));
  for (std::size_t i = 0; i < thirds.size(); ++i) model[positions_in(every_third, model.size())[0] - 3 * i] = thirds[i];
  agree();
  list.erase(ListSlice{.start = 1, .stop = {}, .step = 2});
  Model even;
  for (std::size_t i = 0; i < model.size(); i += 2) even.push_back(model[i]);
  model = even;
  agree();
  CHECK_THROWS_AS(list.assign(ListSlice{.start = {}, .stop = {}, .step = 2}, texts({"a"})), Error);
  agree();
  list.erase(ListSlice{});
  CHECK(list.size() == 0);
  CHECK(store->verify() == Model{});
}

TEST_CASE("list: chunks that are thinned out join their neighbours") {
  auto store = make_store();
  List list = store->list("l");
  const std::uint64_t used = used_bytes(*store);
  list.extend(texts(Model(200'000, "a")));
  const std::uint64_t full = used_bytes(*store) - used;
  list.erase(ListSlice{.start = {}, .stop = {}, .step = 2});
  list.erase(ListSlice{.start = {}, .stop = {}, .step = 2});
  list.erase(ListSlice{.start = {}, .stop = {}, .step = 2});
  list.erase(ListSlice{.start = {}, .stop = {}, .step = 2});
  CHECK(list.size() == 12'500);
  CHECK(used_bytes(*store) - used < full / 4);
  CHECK(store->verify() == Model{});
}

TEST_CASE("list: inserting at one place splits chunks and nodes") {
  auto store = make_store();
  List list = store->list("l");
  Model front, back;  // in the order of insertion
  list.append(text("left"));
  list.append(text("right"));
  for (unsigned i = 0; i < 70'000; ++i) list.insert(1, text(std::to_string(i % 1000)));
  REQUIRE(list.size() == 70'002);
  const Model all = contents(list);
  CHECK(all.front() == "left");
  CHECK(all.back() == "right");
  for (unsigned i = 0; i < 70'000; ++i) REQUIRE(all[70'000 - i] == std::to_string(i % 1000));
  CHECK(store->verify() == Model{});
}

TEST_CASE("list: what a reader holds does not change") {
  auto store = make_store();
  List list = store->list("l");
  const std::string large(100'000, 'v');
  list.append(text(large));
  list.append(text("b"));
  ValueBuffer held;
  REQUIRE(list.get(0, held));
  REQUIRE(held.pinned());
  list.clear();
  list.extend(texts(Model(3000, "c")));
  CHECK(held.bytes() == large);
  ValueBuffer taken;
  list.insert(5, text(large));
  REQUIRE(list.take(5, taken));
  CHECK(taken.bytes() == large);
  list.erase(ListSlice{});
  CHECK(store->verify() == Model{});
  CHECK(taken.bytes() == large);
  held = ValueBuffer();
  taken = ValueBuffer();
  CHECK(store->verify() == Model{});
  CHECK(store->stats().parts[0].pinned_bytes + store->stats().parts[1].pinned_bytes +
            store->stats().parts[2].pinned_bytes ==
        0);
}

TEST_CASE("list: a pinned chunk is replaced, not overwritten") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  {
    Transaction txn(part);
    make_root(txn, kRootBinding, CollectionKind::kList, 0);
    txn.commit();
  }
  const auto change = [&](auto&& body) {
    Transaction txn(part);
    ListWriter writer(txn, *find_root(txn, kRootBinding), kRootBinding);
    body(writer);
    writer.commit();
  };
  const std::string names[] = {"a", "b", "c", "d"};
  std::vector<HashedValue> values;
  for (const std::string& name : names) values.push_back({text(name), list_dictionary::hash_of(text(name), 0)});
  const auto pin_chunk = [&](std::uint64_t position) {
    Transaction txn(part);
    const CollectionRoot& root = *find_root(txn, kRootBinding);
    const auto place = list_state::locate(part, root, *list_state::of(part, root), position);
    pins::pin(txn, place.chunk, arena->slot());
    txn.commit();
    const auto* codes = reinterpret_cast<const char*>(txn.at(place.chunk)) + kChunkHeaderBytes;
    return std::pair(place.chunk, std::string_view(codes, place.length));
  };
  const auto unpin = [&](Ref chunk) {
    Transaction txn(part);
    pins::unpin(txn, chunk, arena->slot());
    txn.commit();
  };
  change([&](ListWriter& writer) { writer.insert(0, std::span(values).first(3)); });
  for (const bool in_tail : {true, false}) {
    CAPTURE(in_tail);
    if (!in_tail) {
      for (int i = 0; i < 1000; ++i) change([&](ListWriter& writer) { writer.insert(writer.size(), values); });
    }
    const std::uint64_t at = in_tail ? 2 : 1;
    const auto [chunk, seen] = pin_chunk(at);
    const std::string codes(seen);
    REQUIRE(codes.size() > at);
    change([&](ListWriter& writer) { writer.erase(at, 1); });
    change([&](ListWriter& writer) { writer.insert(at, std::span(values).subspan(3)); });
    CHECK(seen == codes);
    change([&](ListWriter& writer) { writer.set(0, values[2]); });
    change([&](ListWriter& writer) { writer.set(0, values[0]); });
    change([&](ListWriter& writer) { writer.set(at, values[2]); });
    CHECK(seen == codes);
    unpin(chunk);
    // Without a pin the same is done in place.
    const auto [same, live] = pin_chunk(0);
    unpin(same);
    change([&](ListWriter& writer) { writer.set(0, values[1]); });
    CHECK(live[0] == 1);
    change([&](ListWriter& writer) { writer.set(0, values[0]); });
  }
}

TEST_CASE("list: what is undone leaves the codes behind the last one alone") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  {
    Transaction txn(part);
    make_root(txn, kRootBinding, CollectionKind::kList, 0);
    txn.commit();
  }
  const std::string names[] = {"a", "b", "c", "d", "e", "f"};
  std::vector<HashedValue> values;
  for (const std::string& name : names) values.push_back({text(name), list_dictionary::hash_of(text(name), 0)});
  const auto codes = [&] {
    const CollectionRoot& root = *find_root(part, kRootBinding);
    std::uint32_t all[6] = {};
    list_state::copy_codes(part, list_state::of(part, root)->tail, 0, static_cast<std::uint32_t>(root.entries), all);
    return std::vector<std::uint32_t>(all, all + root.entries);
  };
  {
    Transaction txn(part);
    ListWriter writer(txn, *find_root(txn, kRootBinding), kRootBinding);
    writer.insert(0, values);
    writer.commit();
  }
  const std::vector<std::uint32_t> before = codes();
  REQUIRE(before == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5});
  {
    Transaction txn(part);
    ListWriter writer(txn, *find_root(txn, kRootBinding), kRootBinding);
    writer.erase(2, 4);
    writer.insert(2, std::span(values).first(2));
    writer.insert(4, std::span(values).first(2));
  }  // not committed
  CHECK(codes() == before);
}

TEST_CASE("list: without memory nothing changes but what whole steps did") {
  auto store = Store::create({.max_memory = 24 * kMiB, .parts = 1});
  List list = store->list("l");
  Model model = {"a", "b", "c"};
  list.extend(texts(model));
  std::uint64_t number = 0;
  Model many;
  for (int i = 0; i < 5000; ++i) many.push_back(std::string(100, 'x') + std::to_string(number++));
  CHECK_THROWS_AS(
      for (;;) {
        list.extend(texts(many));
        for (std::string& value : many) value += "y";
      },
      Error);
  CHECK(store->verify() == Model{});
  const Model all = contents(list);
  REQUIRE(all.size() > 3);
  CHECK(Model(all.begin(), all.begin() + 3) == model);
  const std::string large(2 * kMiB, 'z');
  const std::uint64_t length = list.size();
  CHECK_THROWS_AS(list.insert(1, text(large)), Error);
  CHECK_THROWS_AS(list.set(1, text(large)), Error);
  CHECK(list.size() == length);
  CHECK(contents(list) == all);
  list.clear();
  CHECK(store->verify() == Model{});
  list.insert(0, text(large));
  CHECK(list.size() == 1);
}

TEST_CASE("list: kinds, names and handles") {
  auto store = make_store();
  List list = store->list("l");
  list.append(text("a"));
  CHECK_THROWS_AS(store->hash("l"), Error);
  CHECK_THROWS_AS(store->ordered("l", CollectionKind::kSet), Error);
  static_cast<void>(store->hash("h"));
  CHECK_THROWS_AS(store->list("h"), Error);
  CHECK(store->kind("l") == CollectionKind::kList);
  List other = store->list("l");
  CHECK(contents(other) == Model{"a"});
  store->rename("l", "m", false);
  CHECK_THROWS_AS(list.append(text("b")), Error);
  CHECK(contents(store->list("m")) == Model{"a"});
  for (const CollectionInfo& info : store->collections()) {
    if (info.name == "m") CHECK(info.entries == 1);
  }
  List big = store->list("m");
  Model values;
  for (int i = 0; i < 50'000; ++i) values.push_back(std::to_string(i));
  big.extend(texts(values));
  store->drop("m");
  CHECK(store->verify() == Model{});
  CHECK_THROWS_AS(static_cast<void>(big.size()), Error);
  CHECK(store->list("m").size() == 0);
}

TEST_CASE("read: a list is seen whole while others change it") {
  auto store = make_store();
  List list = store->list("l");
  constexpr std::size_t kLength = 3000;
  list.extend(texts(Model(kLength, "0")));
  std::atomic<bool> stop{false};
  // Each change keeps the length, or the sum of both ends: put in before it is taken out.
  std::thread writer([&] {
    Random random(1);
    for (int i = 0; i < 3000; ++i) {
      const std::string value = std::to_string(below(random, 400));
      list.set(static_cast<std::int64_t>(below(random, kLength)), text(value));
      if (i % 3 == 0) list.reverse();
      if (i % 5 == 0) {
        list.insert(static_cast<std::int64_t>(below(random, kLength)), text("more"));
        ValueBuffer taken;
        list.take(static_cast<std::int64_t>(below(random, kLength)), taken);
      }
    }
    stop = true;
  });
  std::uint64_t reads = 0;
  while (!stop || reads == 0) {
    ListItems items;
    list.read({}, items);
    REQUIRE(items.codes.size() == items.length);
    REQUIRE(items.length >= kLength);
    REQUIRE(items.length <= kLength + 1);
    std::uint64_t sum = 0;
    for (const ListValues::Item& item : items.values.items) sum += item.count;
    REQUIRE(sum == items.length);
    ValueBuffer value;
    REQUIRE(list.get(static_cast<std::int64_t>(reads % kLength), value));
    REQUIRE(value.type() == ValueType::kText);
    ++reads;
  }
  writer.join();
  CHECK(store->verify() == Model{});
}

TEST_CASE("list: a forked child changes the same list") {
  auto store = make_store();
  List list = store->list("l");
  list.extend(texts({"a", "b"}));
  ChildProcess child([&] {
    for (int i = 0; i < 5000; ++i) list.append(text(std::to_string(i % 300)));
    return list.erase(0) ? 0 : 1;
  });
  for (int i = 0; i < 5000; ++i) list.append(text("p"));
  CHECK(child.wait() == 0);
  CHECK(list.size() == 10'001);
  const std::string written = "p";
  const Value value = text(written);
  CHECK(list.count({&value, 1}) == 5000);
  CHECK(store->verify() == Model{});
}

}  // namespace kv::test
