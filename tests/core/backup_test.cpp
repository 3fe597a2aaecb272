// Store::backup: a directory that opens as the store was, made while others write, and there whole or not at all.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "kv_storage/error.hpp"
#include "persist/files.hpp"
#include "support/data_directories.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_directory.hpp"

namespace kv::test {
namespace {

ErrorCode code_of_backup(Store& store, const std::string& path) {
  try {
    store.backup(path);
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("a backup to '" << path << "' was made");
  return ErrorCode::kCorrupt;
}

}  // namespace

TEST_CASE("backup: the copy holds what the store does, and the store goes on") {
  for (const std::uint32_t parts : {1U, 3U}) {
    const TemporaryDirectory root;
    const std::string copy = root.path() + "/copy";
    const auto store = open_store(root.path() + "/data", parts);
    fill_a_little(*store);
    const Contents expected = contents_of(*store);
    store->backup(copy);
    store->root().put("later than the backup", bytes_value("x"));
    store->checkpoint();
    CHECK(names_with(copy, "log-").empty());  // nothing was written meanwhile
    CHECK((std::filesystem::status(copy).permissions() & std::filesystem::perms::all) ==
          std::filesystem::perms::owner_all);
    for (const std::uint32_t opened_with : {parts, 2U}) check_contents(*open_store(copy, opened_with), expected);
    // A backup of the backup, which has been opened.
    open_store(copy)->backup(root.path() + "/second/");
    check_contents(*open_store(root.path() + "/second"), expected);
  }
}

TEST_CASE("backup: what was acknowledged before is in it, and of what comes meanwhile a beginning") {
  for (const std::uint32_t parts : {1U, 2U}) {
    const TemporaryDirectory root;
    const auto store = open_store(root.path() + "/data", parts);
    std::atomic<int> written{0};
    std::atomic<bool> stop{false};
    std::thread writer([&] {
      for (int i = 0; !stop.load() && i < 50'000; ++i) {  // as many as fit
        store->root().put("key" + std::to_string(i), bytes_value(std::string(50, 'v')));
        // Names come and go, so that the copy has collections that were made meanwhile.
        Hash hash = store->hash("hash" + std::to_string(i / 50));
        hash.put(std::to_string(i), bytes_value("x"));
        if (i % 50 == 49 && i > 500) store->drop("hash" + std::to_string(i / 50 - 5));
        written.store(i + 1);
      }
    });
    for (int round = 0; round < 10; ++round) {
      while (written.load() < 200 * (round + 1)) std::this_thread::yield();
      const std::string copy = root.path() + "/copy" + std::to_string(round);
      const int before = written.load();
      store->backup(copy);
      const int after = written.load();
      const auto opened = open_store(copy, parts);
      const Hash found = opened->root();
      const auto count = static_cast<int>(found.size());
      CHECK(count >= before);
      CHECK(count <= after + 1);
      ValueBuffer out;
      // With two parts, a part may be ahead of the other by what one loop of the writer wrote.
      for (int i = 0; i < (parts == 1 ? count : before); ++i) CHECK(found.get("key" + std::to_string(i), out));
      CHECK(opened->verify().empty());
      // And it can be written to, and read once more.
      opened->hash("new in the copy").put("x", bytes_value("y"));
      const Contents with_more = contents_of(*opened);
      opened->close();
      check_contents(*open_store(copy, parts), with_more);
    }
    stop.store(true);
    writer.join();
  }
}

TEST_CASE("backup: it refuses what is not empty, and leaves nothing behind when it fails") {
  const TemporaryDirectory root;
  const auto store = open_store(root.path() + "/data");
  fill_a_little(*store);
  CHECK(code_of_backup(*store, "") == ErrorCode::kInvalidArgument);
  CHECK(code_of_backup(*store, root.path()) == ErrorCode::kInvalidArgument);
  CHECK(code_of_backup(*store, root.path() + "/data") == ErrorCode::kInvalidArgument);
  set_file_bytes(root.path() + "/file", "x");
  CHECK(code_of_backup(*store, root.path() + "/file") == ErrorCode::kInvalidArgument);
  CHECK(code_of_backup(*store, root.path() + "/no/parent") == ErrorCode::kIo);
  std::filesystem::create_directory(root.path() + "/empty");
  store->backup(root.path() + "/empty");
  CHECK(code_of_backup(*store, root.path() + "/empty") == ErrorCode::kInvalidArgument);
  check_contents(*open_store(root.path() + "/empty"), contents_of(*store));
  const auto in_memory = Store::create({.max_memory = 8 * kMiB});
  CHECK(code_of_backup(*in_memory, root.path() + "/memory") == ErrorCode::kInvalidArgument);

  const std::vector<std::string> before = names_with(root.path(), "");
  FaultyFiles faulty;
  const InPlaceOfFiles in_place(faulty);
  int calls = 0;
  for (bool failed = true; failed; ++calls) {
    faulty.fail_after(calls, ENOSPC);
    try {
      store->backup(root.path() + "/copy");
      failed = false;
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
      CHECK(error.os_error() == ENOSPC);
      // Once it has its name, it is whole; only that it has is not known to be on disk.
      const bool named = std::filesystem::exists(root.path() + "/copy");
      if (named) std::filesystem::remove_all(root.path() + "/copy");
      CHECK(names_with(root.path(), "") == before);
    }
    faulty.fail_after(FaultyFiles::kNever, 0);
  }
  CHECK(calls > 6);
  CHECK(store->stats().durability->failure.empty());
}

TEST_CASE("backup: a store whose disk has failed can still be copied, as memory has it") {
  const TemporaryDirectory root;
  Contents expected;
  {
    FaultyFiles faulty;
    const InPlaceOfFiles in_place(faulty);
    const auto store = open_store(root.path() + "/data", 1, SyncMode::kAlways);
    fill_a_little(*store);
    faulty.fail(persist::FileCall::kSyncData, EIO);
    CHECK_THROWS_AS(store->root().put("not known to be on disk", bytes_value("x")), Error);
    faulty.fail_nothing();
    expected = contents_of(*store);
    CHECK(expected[""].contains("not known to be on disk"));
    store->backup(root.path() + "/copy");
  }
  check_contents(*open_store(root.path() + "/copy"), expected);
}

}  // namespace kv::test
