// A durable store on a disk that fails, or a machine that stops: the old or the new state, never a third.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kv_storage/error.hpp"
#include "persist/files.hpp"
#include "persist/format.hpp"
#include "support/child_process.hpp"
#include "support/data_directories.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_directory.hpp"

namespace kv::test {
namespace {

int error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK_MESSAGE(error.code() == ErrorCode::kIo, error.what());
    return error.os_error();
  }
  return 0;
}

bool contains(const std::string& whole, const std::string& piece) { return whole.find(piece) != std::string::npos; }

}  // namespace

TEST_CASE("faults: a full disk refuses a write before anything has changed, and writing goes on once there is room") {
  for (const bool mapped : {true, false}) {
    const TemporaryDirectory root;
    Contents expected;
    {
      FaultyFiles faulty;
      faulty.refuse_to_allocate(!mapped);
      const InPlaceOfFiles in_place(faulty);
      const auto store = open_store(root.path());
      fill_a_little(*store);
      expected = contents_of(*store);
      const std::string value(100'000, 'v');
      faulty.fail(mapped ? persist::FileCall::kAllocate : persist::FileCall::kWrite, ENOSPC);
      int refused = 0;
      for (int i = 0; i < 100 && refused == 0; ++i) {  // the segment has room left
        const std::string key = "more" + std::to_string(i);
        refused = error_of([&] { store->root().put(key, bytes_value(value)); });
        if (refused == 0) expected[""][key] = "6:" + value;
      }
      CHECK(refused == ENOSPC);
      CHECK(error_of([&] { store->root().put("too large for what is left", bytes_value(value)); }) == ENOSPC);
      check_contents(*store, expected);
      CHECK(store->stats().durability->failure.empty());
      faulty.fail_nothing();
      store->root().put("behind", bytes_value("x"));
      expected[""]["behind"] = "6:x";
    }
    check_contents(*open_store(root.path()), expected);
  }
}

TEST_CASE("faults: a segment made in vain is not written to once another process has made it anew") {
  class FullFiles final : public persist::Files {
   public:
    bool full = false;
    int allocate(int, std::uint64_t) noexcept override {
      errno = EOPNOTSUPP;
      return -1;
    }
    ssize_t write_at(int fd, const void* from, std::size_t bytes, std::uint64_t offset) noexcept override {
      if (!full || bytes < 1000) return Files::write_at(fd, from, bytes, offset);
      errno = ENOSPC;
      return -1;
    }
  } files;
  const InPlaceOfFiles in_place(files);
  const TemporaryDirectory root;
  Contents expected;
  {
    const auto store = open_store(root.path());
    store->root().put("fills the first segment", bytes_value(std::string(900'000, 'v')));
    files.full = true;  // but for the header of the second one
    CHECK(error_of([&] { store->root().put("refused", bytes_value(std::string(200'000, 'v'))); }) == ENOSPC);
    files.full = false;
    ChildProcess other([&] {
      store->root().put("of the other", bytes_value(std::string(200'000, 'v')));
      return 0;
    });
    CHECK(other.wait() == 0);
    store->root().put("behind", bytes_value("x"));
    expected = contents_of(*store);
    CHECK(expected[""].size() == 3);
  }
  check_contents(*open_store(root.path()), expected);
}

TEST_CASE("faults: after a write or sync that failed nothing is written, reading goes on, and stats say why") {
  for (const persist::FileCall call : {persist::FileCall::kWrite, persist::FileCall::kSyncData}) {
    const TemporaryDirectory root;
    Contents expected;
    Contents also_allowed;
    {
      FaultyFiles faulty;
      const InPlaceOfFiles in_place(faulty);
      const auto store = open_store(root.path(), 1, SyncMode::kAlways);
      fill_a_little(*store);
      expected = contents_of(*store);
      faulty.fail(call, EIO);
      CHECK(error_of([&] { store->root().put("failed", bytes_value("x")); }) == EIO);
      faulty.fail_nothing();  // the disk says that all is well again, and is not believed
      also_allowed = contents_of(*store);
      CHECK(error_of([&] { store->root().put("after", bytes_value("x")); }) == EIO);
      CHECK(error_of([&] { store->root().erase("key1"); }) == EIO);
      CHECK(error_of([&] { store->drop("renamed"); }) == EIO);
      CHECK(error_of([&] { (void)store->hash("new"); }) == EIO);
      CHECK(error_of([&] { store->checkpoint(); }) == EIO);
      check_contents(*store, also_allowed);
      CHECK(also_allowed[""].contains("failed") == (call == persist::FileCall::kSyncData));
      const DurabilityStats stats = *store->stats().durability;
      CHECK_MESSAGE(contains(stats.failure, persist::name_of(call)), stats.failure);
      CHECK(stats.failure_ms != 0);
    }
    const auto store = open_store(root.path());
    CHECK(store->stats().durability->failure.empty());
    const Contents found = contents_of(*store);
    CHECK((found == expected || found == also_allowed));
    store->root().put("after", bytes_value("x"));
  }
}

TEST_CASE("faults: a sync that fails in a flush or in the background is kept, too") {
  const TemporaryDirectory root;
  FaultyFiles faulty;
  const InPlaceOfFiles in_place(faulty);
  const auto store = open_store(root.path(), 2, SyncMode::kOff);
  store->root().put("x", bytes_value("y"));
  faulty.fail(persist::FileCall::kSyncData, EIO);
  CHECK(error_of([&] { store->flush(); }) == EIO);
  faulty.fail_nothing();
  CHECK(error_of([&] { store->flush(); }) == EIO);
  CHECK(error_of([&] { store->root().put("x", bytes_value("z")); }) == EIO);
  CHECK(value_of(store->root(), "x") == "6:y");
}

TEST_CASE("faults: reads and writes may be short") {
  const TemporaryDirectory root;
  FaultyFiles faulty;
  faulty.answer_short(true);
  const InPlaceOfFiles in_place(faulty);
  Contents expected;
  for (int round = 0; round < 2; ++round) {
    const auto store = open_store(root.path());
    if (round == 0) fill_a_little(*store);
    expected = contents_of(*store);
    if (round == 0) store->checkpoint();
    store->root().put("behind", bytes_value(std::to_string(round)));
    expected[""]["behind"] = "6:" + std::to_string(round);
  }
  check_contents(*open_store(root.path()), expected);
}

TEST_CASE("faults: killed at any call of an opening, a checkpoint, a write or a closing, a store is what it was") {
  const TemporaryDirectory root;
  const std::string original = root.path() + "/original";
  const std::string path = root.path() + "/data";
  {
    const auto store = open_store(original, 2);
    fill_a_little(*store);
    store->checkpoint();
    store->root().put("behind", bytes_value("the checkpoint"));
  }
  std::vector<Contents> states;  // before each write, and after the last
  {
    copy_directory(original, path);
    const auto store = open_store(path, 2);
    states.push_back(contents_of(*store));
    for (const char* key : {"first", "second", "third"}) {
      store->root().put(key, bytes_value("x"));
      states.push_back(contents_of(*store));
      store->list("list").insert(7, bytes_value(key));
      states.push_back(contents_of(*store));
    }
  }
  bool finished = false;
  int call = 0;
  for (; !finished; ++call) {
    copy_directory(original, path);
    std::size_t acknowledged = 0;
    {
      FaultyFiles faulty;
      const InPlaceOfFiles in_place(faulty);
      faulty.fail_after(call, EIO);
      try {
        const auto store = open_store(path, 2);
        const auto write = [&](const char* key) {
          store->root().put(key, bytes_value("x"));
          if (!faulty.stopped()) ++acknowledged;
          store->list("list").insert(7, bytes_value(key));
          if (!faulty.stopped()) ++acknowledged;
        };
        write("first");
        store->checkpoint();
        write("second");
        write("third");
      } catch (const Error&) {
      }
      finished = !faulty.stopped();
    }
    CAPTURE(call);
    const auto store = open_store(path, 2);
    const Contents found = contents_of(*store);
    bool is_one = false;
    for (std::size_t i = acknowledged; i < states.size(); ++i) is_one = is_one || found == states[i];
    CHECK_MESSAGE(is_one, "acknowledged: ", acknowledged);
    CHECK(store->verify().empty());
    store->root().put("goes on", bytes_value("x"));
    store->checkpoint();
    for (const std::string& name : names_with(path, "")) CHECK_FALSE(name.ends_with(".tmp"));
  }
  CHECK(call > 30);
}

TEST_CASE("faults: what a collection held whose name was lost without power does not come back in another") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open_store(path, 2);
    store->ordered("lost", CollectionKind::kMap).put(ordered_key::of_bytes(KeyType::kText, "old"), bytes_value("x"));
  }
  // The log of part 1, where the Map lay, reached the disk; that of part 0 did not.
  REQUIRE(file_bytes(path + "/log-1-1-1").size() > persist::kFileHeaderBytes);
  std::filesystem::resize_file(path + "/log-1-0-1", persist::kFileHeaderBytes);
  Contents expected;
  {
    const auto store = open_store(path, 2);
    CHECK(store->collections().empty());
    store->ordered("new", CollectionKind::kMap).put(ordered_key::of_bytes(KeyType::kText, "new"), bytes_value("x"));
    expected = contents_of(*store);
  }
  check_contents(*open_store(path, 2), expected);
}

TEST_CASE("faults: a flush reaches all segments, and a checkpoint is named on disk before what it replaces is gone") {
  for (const bool checkpoint : {false, true}) {
    CAPTURE(checkpoint);
    std::mt19937 random(1);
    const TemporaryDirectory root;
    ForgetfulFiles forgetful(root.path());
    const InPlaceOfFiles in_place(forgetful);
    Contents expected;
    {
      const auto store = open_store(root.path());
      for (char c = 'a'; c < 'l'; ++c) store->root().put({&c, 1}, bytes_value(std::string(900'000, c)));
      CHECK(names_with(root.path(), "log-").size() > 2);
      expected = contents_of(*store);
      if (checkpoint) {
        store->checkpoint();
      } else {
        store->flush();
      }
      forgetful.stop();
    }
    forgetful.lose_power(random, true);
    check_contents(*open_store(root.path()), expected);
  }
}

TEST_CASE("faults: without power, what was synced is there, and of the rest a beginning") {
  // One part, so that there is one order of writes. The oracle has the state after each of them.
  for (unsigned seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const TemporaryDirectory root;
    std::filesystem::permissions(root.path(), std::filesystem::perms::owner_all);
    ForgetfulFiles forgetful(root.path());
    const InPlaceOfFiles in_place(forgetful);
    std::vector<Contents> states(1);
    states[0][""] = {};    // the root
    std::size_t safe = 0;  // the state that must not be lost
    for (int life = 0; life < 6; ++life) {
      const SyncMode sync = random() % 3 == 0 ? SyncMode::kAlways : SyncMode::kInterval;
      {
        const auto store = open_store(root.path(), 1, sync);
        const Contents found = contents_of(*store);
        bool is_one = false;
        for (std::size_t i = safe; i < states.size(); ++i) is_one = is_one || found == states[i];
        REQUIRE_MESSAGE(is_one, "life ", life);
        CHECK(store->verify().empty());
        states.assign(1, found);
        safe = 0;
        const int writes = static_cast<int>(random() % 60);
        for (int i = 0; i < writes; ++i) {
          const std::string key = "key" + std::to_string(random() % 20);
          Hash hash = random() % 4 == 0 ? store->hash("named" + std::to_string(random() % 3)) : store->root();
          const auto what = random() % 16;
          if (what > 11) {
            states.push_back(contents_of(*store));
            (void)store->list("list");
          }
          states.push_back(contents_of(*store));
          if (sync == SyncMode::kAlways) safe = states.size() - 1;
          if (what == 0) {
            store->checkpoint();
          } else if (what == 1) {
            store->flush();
          } else if (what == 2) {
            hash.clear();
          } else if (what == 3) {
            store->drop("named" + std::to_string(random() % 3));
          } else if (what > 11) {
            List list = store->list("list");
            if (list.size() == 0 || what < 14) {
              list.insert(static_cast<int>(random() % 40), bytes_value(key));
            } else if (what == 14) {
              list.erase(static_cast<int>(random() % list.size()));
            } else {
              list.set(static_cast<int>(random() % list.size()), bytes_value(std::string(random() % 3000, 'l')));
            }
          } else if (what < 6) {
            hash.erase(key);
          } else {
            hash.put(key, bytes_value(std::string(random() % 3000, static_cast<char>('a' + i % 26))));
          }
          states.push_back(contents_of(*store));
          if (sync == SyncMode::kAlways || what < 2) safe = states.size() - 1;
        }
        if (random() % 4 == 0) {
          store->close();
          safe = states.size() - 1;
        } else {
          // Nothing more reaches the disk: the machine has stopped, and closing comes too late.
          forgetful.stop();
        }
      }
      forgetful.lose_power(random, random() % 2 == 0);
    }
  }
}

TEST_CASE("faults: a manifest is put in place when what it names is on disk, and what it replaces goes after that") {
  class OrderedFiles final : public persist::Files {
   public:
    int allocate(int, std::uint64_t) noexcept override {
      errno = EOPNOTSUPP;
      return -1;
    }
    int sync(int fd) noexcept override {
      struct stat status {};
      if (::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) unsynced.clear();
      return Files::sync(fd);
    }
    int rename(int directory, const char* from, const char* to) noexcept override {
      const std::string name = to;
      if (name == persist::kManifestName) {
        ++manifests;
        if (!unsynced.empty()) too_early = true;
      }
      unsynced.push_back(name);
      return Files::rename(directory, from, to);
    }
    int remove(int directory, const char* name) noexcept override {
      const bool known = ::faccessat(directory, name, F_OK, 0) == 0;
      if (known && std::find(unsynced.begin(), unsynced.end(), persist::kManifestName) != unsynced.end())
        too_early = true;
      removed += known ? 1 : 0;
      return Files::remove(directory, name);
    }
    std::vector<std::string> unsynced;  // names, put in place since the directory was synced
    int manifests = 0;
    int removed = 0;
    bool too_early = false;
  } files;
  const InPlaceOfFiles in_place(files);
  const TemporaryDirectory root;
  for (int round = 0; round < 2; ++round) {
    const auto store = open_store(root.path(), 2, SyncMode::kAlways);
    for (int i = 0; i < 2; ++i) {
      store->root().put("key" + std::to_string(i), bytes_value("x"));
      store->checkpoint();
      CHECK_FALSE(files.too_early);
    }
  }
  CHECK(files.manifests == 6);
  CHECK(files.removed >= 6);
}

}  // namespace kv::test
