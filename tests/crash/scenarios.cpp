#include "scenarios.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "memory/clock.hpp"

namespace kv::crash {
namespace {

constexpr std::uint32_t kKeys = 320;  // two parts' look-asides are then at their fullest
constexpr std::uint32_t kCachedKeys = 40;
constexpr std::size_t kLargeBytes = 4'500;  // a value that reading pins

std::string key_text(std::uint32_t number) { return "key-" + std::to_string(number * 7919 % 1000); }

Value bytes_value(const std::string& bytes) { return {ValueType::kBytes, bytes}; }

Schema make_schema() {
  return Schema({Schema::parse_type("a", "i8"), Schema::parse_type("b", "i8"), Schema::parse_type("c", "category")});
}

// As the schema lays it out.
struct Record {
  std::int64_t a;
  std::int64_t b;
  std::uint32_t c;
  std::uint32_t padding;
};

constexpr std::uint64_t kTtlMs = 3'600'000;  // no test takes so long

// Runs `operate` when all due times of the scenario store are past.
template <class Operate>
void later(Operate&& operate) {
  set_clock_hook([] { return ~std::uint64_t{0} - 1; });
  operate();
  set_clock_hook(nullptr);
}

RecordHash records_of(Store& store) { return store.records("records", make_schema()); }

void put_record(Store& store, const std::string& key, std::int64_t number, std::uint64_t ttl_ms = kNoTtl) {
  RecordHash records = records_of(store);
  const Record record{number, -number, records.category_code(2, "text " + std::to_string(number)), 0};
  records.put(key, &record, ttl_ms);
}

// ---- A Map, two Sets that overlap, and a Cache that is full ----

std::string map_key(std::int64_t number) { return ordered_key::of_integer(KeyType::kInt, number); }
std::string member(std::uint32_t number) {
  return ordered_key::of_bytes(KeyType::kText, std::string(number % 3 * 20, 'x') + std::to_string(number));
}
Ordered map_of(Store& store) { return store.ordered("map", CollectionKind::kMap); }
Ordered set_of(Store& store, const char* name) { return store.ordered(name, CollectionKind::kSet); }
Cache cache_of(Store& store) { return store.cache("cache"); }

void fill_others(Store& store) {
  Ordered map = map_of(store);
  for (std::int64_t i = 0; i < 40; ++i) map.put(map_key(i), bytes_value("m"), i % 10 == 0 ? kTtlMs : kNoTtl);
  for (std::uint32_t i = 0; i < 20; ++i) {
    set_of(store, "set").add(member(i), i % 9 == 0 ? kTtlMs : kNoTtl);
    set_of(store, "other set").add(member(i + 10));
  }
  Cache cache = store.cache("cache", kMinCacheCapacity * 4);
  for (std::uint32_t i = 0; i < kCachedKeys; ++i) {
    cache.put(key_text(i), bytes_value(std::string(i * 30, 'c')), i % 10 == 0 ? kTtlMs : kNoTtl);
  }
}

// A cache has no order to be walked in: all keys that it may have are asked for.
void add_cached(const Cache& cache, Contents& contents) {
  ValueBuffer value;
  std::vector<std::string> keys{"new", "absent"};
  for (std::uint32_t i = 0; i < kCachedKeys; ++i) keys.push_back(key_text(i));
  for (const std::string& key : keys) {
    if (cache.get(key, value)) contents["cache/" + key] = value.bytes();
  }
}

// A chunk that is full, a tail, a value that reading pins, and one that a single position holds.
void fill_list(Store& store) {
  std::vector<std::string> texts;
  for (int i = 0; i < 1'040; ++i) texts.push_back("text " + std::to_string(i % 40));
  texts[3] = std::string(kLargeBytes, 'L');
  std::vector<Value> values;
  for (const std::string& text : texts) values.push_back(bytes_value(text));
  store.list("list").extend(values);
  store.list("single").append(bytes_value("alone"));
}

void add_contents(const List& list, Contents& contents) {
  ListItems items;
  list.read({}, items);
  std::string& all = contents[list.name() + "/items"];
  for (const std::uint32_t code : items.codes) {
    (all += items.values.bytes_of(items.values.items.at(code))) += '\n';
  }
}

template <class Collection>
void add_contents(const Collection& collection, const std::string& name, Contents& contents) {
  Scan scan = collection.scan({}, true);
  ScanPage page;
  while (scan.next(page)) {
    for (const ScanPage::Item& item : page.items) {
      std::string& value = contents[name + "/" + std::string(page.key(item))];
      const auto left = collection.time_to_live(page.key(item));
      if (left && left->expires) contents[name + "/" + std::string(page.key(item)) + " expires"] = "";
      if (item.has_value()) {
        value = page.value(item);
      } else if constexpr (std::is_base_of_v<Hash, Collection>) {
        ValueBuffer whole;
        collection.get(page.key(item), whole);
        value = whole.bytes();
      }
    }
  }
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all{
      {"put_new", [](Store& store) { store.root().put("key-5555", bytes_value("new")); }},
      {"put_fork", [](Store& store) { store.root().put("kez", bytes_value("new")); }},
      {"put_over", [](Store& store) { store.root().put(key_text(17), bytes_value(std::string(300, 'n'))); }},
      {"put_large", [](Store& store) { store.root().put("large", bytes_value(std::string(kLargeBytes + 1, 'M'))); }},
      {"erase", [](Store& store) { store.root().erase(key_text(100)); }},
      {"erase_other", [](Store& store) { store.root().erase(key_text(7)); }},
      {"take_large",
       [](Store& store) {
         ValueBuffer taken;
         store.root().take("large", taken);
       }},
      {"pin",
       [](Store& store) {
         ValueType type{};
         store.root().pin("large", type).release();
       }},
      {"increment", [](Store& store) { store.root().increment("counter", 41); }},
      {"compare_and_set",
       [](Store& store) { store.root().compare_and_set(key_text(0), bytes_value(""), bytes_value("swapped")); }},
      {"put_ttl", [](Store& store) { store.root().put("key-5555", bytes_value("new"), kTtlMs); }},
      {"put_over_ttl", [](Store& store) { store.root().put("due-3", bytes_value("new"), kTtlMs); }},
      {"put_clears_ttl", [](Store& store) { store.root().put("due-3", bytes_value("new")); }},
      {"erase_ttl", [](Store& store) { store.root().erase("due-3"); }},
      {"expire", [](Store& store) { store.root().expire("due-3", 2 * kTtlMs); }},
      {"expire_in_place", [](Store& store) { store.root().expire(key_text(1), kTtlMs); }},
      {"expire_copied", [](Store& store) { store.root().expire("large", kTtlMs); }},
      {"persist", [](Store& store) { store.root().persist("due-3"); }},
      {"reclaim", [](Store& store) { later([&] { store.root().erase("absent"); }); }, true},
      {"record_put_ttl", [](Store& store) { put_record(store, "r7", 3, kTtlMs); }},
      {"record_reclaim", [](Store& store) { later([&] { static_cast<void>(records_of(store).size()); }); }, true},
      {"make", [](Store& store) { static_cast<void>(store.hash("third")); }},
      {"rename", [](Store& store) { store.rename("first", "renamed", false); }},
      {"rename_over", [](Store& store) { store.rename("first", "second", true); }},
      {"drop", [](Store& store) { store.drop("first"); }},
      {"clear", [](Store& store) { store.hash("first").clear(); }, true},  // part by part
      {"record_clear", [](Store& store) { records_of(store).clear(); }},
      {"record_put", [](Store& store) { put_record(store, "r-new", 7); }},
      {"record_over", [](Store& store) { put_record(store, "r7", 3); }},
      {"record_erase", [](Store& store) { records_of(store).erase("r7"); }},
      {"record_drop", [](Store& store) { store.drop("records"); }},
      {"map_put", [](Store& store) { map_of(store).put(map_key(1'000), bytes_value("new")); }},
      {"map_put_over", [](Store& store) { map_of(store).put(map_key(7), bytes_value(std::string(300, 'n'))); }},
      {"map_put_ttl", [](Store& store) { map_of(store).put(map_key(7), bytes_value("new"), kTtlMs); }},
      {"map_erase", [](Store& store) { map_of(store).erase(map_key(20)); }},
      {"map_take_first",
       [](Store& store) {
         std::string key;
         ValueBuffer taken;
         map_of(store).take_first(key, taken);
       }},
      {"map_expire", [](Store& store) { map_of(store).expire(map_key(7), kTtlMs); }},
      {"map_reclaim", [](Store& store) { later([&] { static_cast<void>(map_of(store).rank(map_key(20))); }); }, true},
      {"map_clear", [](Store& store) { map_of(store).clear(); }},
      {"map_drop", [](Store& store) { store.drop("map"); }},
      {"set_add", [](Store& store) { set_of(store, "set").add(member(3), kTtlMs); }},
      {"set_add_for_good", [](Store& store) { set_of(store, "set").add(member(18)); }},
      {"set_unite", [](Store& store) { set_of(store, "set").unite(set_of(store, "other set")); }, true},
      {"set_intersect", [](Store& store) { set_of(store, "set").intersect(set_of(store, "other set")); }, true},
      {"set_subtract", [](Store& store) { set_of(store, "set").subtract(set_of(store, "other set")); }, true},
      {"set_symmetric", [](Store& store) { set_of(store, "set").symmetric_difference(set_of(store, "other set")); },
       true},
      // The cache holds some 16 of its 40 keys, the seed decides which: a put of one that it lacks evicts first, a
      // step.
      {"cache_put", [](Store& store) { cache_of(store).put(key_text(5), bytes_value("new")); }, true},
      {"cache_put_ttl", [](Store& store) { cache_of(store).put(key_text(19), bytes_value("new"), kTtlMs); }, true},
      // Evicts first, an entry a step.
      {"cache_evict", [](Store& store) { cache_of(store).put("new", bytes_value(std::string(2'000, 'n'))); }, true},
      {"cache_refuse", [](Store& store) { cache_of(store).put(key_text(19), bytes_value(std::string(9'000, 'n'))); }},
      {"cache_erase", [](Store& store) { cache_of(store).erase(key_text(19)); }},
      {"cache_claim",
       [](Store& store) {
         ValueBuffer found;
         CacheLease lease;
         static_cast<void>(cache_of(store).claim("absent", 1, found, lease));
       }},
      {"cache_fill",
       [](Store& store) {
         ValueBuffer found;
         CacheLease lease;
         static_cast<void>(cache_of(store).claim("absent", 1, found, lease));
         cache_of(store).fill(lease, "absent", bytes_value("new"));
       },
       true},
      {"cache_reclaim", [](Store& store) { later([&] { static_cast<void>(cache_of(store).size()); }); }, true},
      {"cache_resize", [](Store& store) { cache_of(store).resize(kMinCacheCapacity * 2); }, true},
      {"cache_clear", [](Store& store) { cache_of(store).clear(); }, true},
      {"cache_drop", [](Store& store) { store.drop("cache"); }, true},
      {"list_append", [](Store& store) { store.list("list").append(bytes_value("new")); }},
      {"list_append_known", [](Store& store) { store.list("list").append(bytes_value("text 7")); }},
      {"list_insert", [](Store& store) { store.list("list").insert(500, bytes_value("new")); }},  // splits the chunk
      {"list_set", [](Store& store) { store.list("list").set(-5, bytes_value("new")); }},
      {"list_erase", [](Store& store) { store.list("list").erase(3); }},
      {"list_erase_in_place", [](Store& store) { store.list("list").erase(1'010); }},
      {"list_take_large",
       [](Store& store) {
         ValueBuffer taken;
         store.list("list").take(3, taken);
       }},
      {"list_take_last",
       [](Store& store) {
         ValueBuffer taken;
         store.list("single").take(0, taken);
       }},
      {"list_assign",
       [](Store& store) {
         const std::string one = "one", two = "two";
         const Value values[] = {bytes_value(one), bytes_value(two), bytes_value(one)};
         store.list("list").assign(ListSlice{.start = 990, .stop = 1'030, .step = 1}, values);
       }},
      {"list_assign_end",
       [](Store& store) {
         const std::string one = "one", two = "two";
         const Value values[] = {bytes_value(one), bytes_value(two), bytes_value(one)};
         store.list("list").assign(ListSlice{.start = 1'035, .stop = {}, .step = 1}, values);
       }},
      {"list_erase_slice",
       [](Store& store) { store.list("list").erase(ListSlice{.start = 1'005, .stop = 1'014, .step = 4}); }},
      {"list_clear", [](Store& store) { store.list("list").clear(); }},
      {"record_slabs", [](Store& store) { static_cast<void>(records_of(store).slabs()); }},
  };
  return all;
}

std::shared_ptr<Store> make_scenario_store() {
  auto store = Store::create({.max_memory = 32 << 20, .parts = 2});
  Hash root = store->root();
  for (std::uint32_t i = 0; i < kKeys; ++i) root.put(key_text(i), bytes_value(std::string(i % 50, 'v')));
  root.increment("counter", 1);
  root.put("large", bytes_value(std::string(kLargeBytes, 'L')));
  for (const char* name : {"first", "second"}) {
    Hash hash = store->hash(name);
    for (std::uint32_t i = 0; i < 5; ++i) hash.put(key_text(i), bytes_value(name));
  }
  fill_list(*store);
  for (std::int64_t i = 0; i < 20; ++i) put_record(*store, "r" + std::to_string(i), i);
  for (int i = 0; i < 6; ++i) {
    root.put("due-" + std::to_string(i), bytes_value("d"), kTtlMs);
    put_record(*store, "r-due-" + std::to_string(i), i, kTtlMs);
  }
  fill_others(*store);
  return store;
}

Contents contents_of(Store& store) {
  Contents contents;
  add_contents(store.root(), "", contents);
  for (const CollectionInfo& info : store.collections()) {
    contents[info.name] = std::to_string(info.entries);
    if (info.kind == CollectionKind::kList) {
      add_contents(store.list(info.name), contents);
    } else if (info.kind == CollectionKind::kHash) {
      add_contents(store.hash(info.name), info.name, contents);
    } else if (const auto records = store.find_records(info.name)) {
      add_contents(*records, info.name, contents);
    } else if (info.kind == CollectionKind::kMap || info.kind == CollectionKind::kSet) {
      add_contents(store.ordered(info.name, info.kind), info.name, contents);
    } else if (info.kind == CollectionKind::kCache) {
      add_cached(store.cache(info.name), contents);
    }
  }
  return contents;
}

namespace {

std::optional<std::string> value_in(const Contents& contents, const std::string& key) {
  const auto at = contents.find(key);
  return at == contents.end() ? std::optional<std::string>() : at->second;
}

bool same_value(const Contents& found, const Contents& wanted, const std::string& key) {
  const auto value = value_in(found, key);
  const bool may_forget = key.rfind("cache/", 0) == 0;
  return value == value_in(wanted, key) || (may_forget && !value);
}

}  // namespace

bool possible(const Scenario& scenario, const Contents& found, const Contents& before, const Contents& after) {
  std::set<std::string> keys;
  for (const Contents* contents : {&found, &before, &after}) {
    for (const auto& [key, value] : *contents) {
      if (!scenario.in_steps || key.find('/') != std::string::npos) keys.insert(key);
    }
  }
  const auto is = [&](const Contents& wanted) {
    return std::all_of(keys.begin(), keys.end(), [&](const auto& key) { return same_value(found, wanted, key); });
  };
  if (!scenario.in_steps) return is(before) || is(after);
  return std::all_of(keys.begin(), keys.end(),
                     [&](const auto& key) { return same_value(found, before, key) || same_value(found, after, key); });
}

void require_sound(const Store& store, const std::string& when) {
  for (const std::string& what : store.verify()) throw std::runtime_error(when + ": " + what);
}

namespace {

void take_apart(Store& store, Hash collection, Random& random) {
  std::vector<std::string> keys;
  Scan scan = collection.scan({}, false);
  for (ScanPage page; scan.next(page);) {
    for (const ScanPage::Item& item : page.items) keys.emplace_back(page.key(item));
  }
  while (!keys.empty()) {
    std::swap(keys[random.below(keys.size())], keys.back());
    if (!collection.erase(keys.back())) throw std::runtime_error("a key could not be erased: " + keys.back());
    if (collection.contains(keys.back())) throw std::runtime_error("an erased key is still found: " + keys.back());
    keys.pop_back();
    if (keys.size() % 64 == 63) require_sound(store, "while taking apart");
  }
}

}  // namespace

void dismantle(Store& store, Random& random) {
  take_apart(store, store.root(), random);
  for (const CollectionInfo& info : store.collections()) {
    if (info.kind != CollectionKind::kMap && info.kind != CollectionKind::kSet) continue;
    take_apart(store, store.ordered(info.name, info.kind), random);
  }
  for (const CollectionInfo& info : store.collections()) store.drop(info.name);
  const StoreStats stats = store.stats();  // reaps the dead child's pins
  require_sound(store, "taken apart");
  for (const PartStats& part : stats.parts) {
    if (part.pins != 0 || part.pinned_bytes != 0) throw std::runtime_error("pins of the dead are left");
  }
}

}  // namespace kv::crash
