// Collections that a process was loading when it died.
#include "collections/catalog.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "kv_storage/store.hpp"
#include "store/store_impl.hpp"
#include "support/child_process.hpp"

namespace kv::test {
namespace {

std::string encoded_schema() { return Schema({Schema::parse_type("x", "i8")}).encode(); }

std::string begin_load(Store& store) { return store.impl().catalog.open_hidden(encoded_schema()).first; }

std::ptrdiff_t loads_in(const Store& store) {
  const auto all = store.impl().catalog.all();
  return std::count_if(all.begin(), all.end(),
                       [](const auto& named) { return named.second.state == CollectionState::kLoading; });
}

}  // namespace

TEST_CASE("catalog: the load of a killed process is dropped though another has its slot") {
  const auto store = Store::create({.max_memory = 64 << 20, .parts = 2});
  Gate loading;
  ChildProcess loader([&] {
    begin_load(*store);
    loading.open();
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(loading.pass());
  const auto beside = Store::attach(store->address());
  CHECK(loads_in(*store) == 1);
  const std::uint32_t own = store->impl().arena->slot();
  loader.kill();
  const auto successor = Store::attach(store->address());  // takes the lowest slot that is free: the dead one's
  CHECK(successor->impl().arena->slot() > own);
  CHECK(successor->impl().arena->slot() < beside->impl().arena->slot());
  CHECK(loads_in(*successor) == 0);
  CHECK(store->verify() == std::vector<std::string>{});
}

TEST_CASE("catalog: the load of a killed process is dropped though its child lives") {
  const auto store = Store::create({.max_memory = 64 << 20, .parts = 2});
  Gate forked;
  Gate done;
  ChildProcess loader([&] {
    begin_load(*store);
    if (::fork() == 0) {
      forked.open();
      ::_exit(done.pass() ? 0 : 1);
    }
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(forked.pass());
  CHECK(loads_in(*store) == 1);
  loader.kill();
  static_cast<void>(store->hash("other"));  // who makes a collection drops what was left behind
  CHECK(loads_in(*store) == 0);
  CHECK(store->verify() == std::vector<std::string>{});
  done.open();
}

TEST_CASE("catalog: a load in progress is left alone, by its own process and by others") {
  const auto store = Store::create({.max_memory = 64 << 20, .parts = 2});
  const std::string hidden = begin_load(*store);
  static_cast<void>(store->hash("other"));
  const auto beside = Store::attach(store->address());
  ChildProcess child([&] {
    static_cast<void>(store->hash("a third"));
    return static_cast<int>(loads_in(*store));
  });
  CHECK(child.wait() == 1);
  CHECK(loads_in(*beside) == 1);

  store->impl().catalog.rename(hidden, "loaded", false);
  beside->impl().catalog.drop_leftovers();
  CHECK(beside->kind("loaded") == CollectionKind::kRecordHash);
  CHECK(store->verify() == std::vector<std::string>{});
}

}  // namespace kv::test
