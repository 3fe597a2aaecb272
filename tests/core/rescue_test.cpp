// Looking into the files of a data directory, and saving what is intact in a damaged one.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>
#include <string>

#include "kv_storage/data_directory.hpp"
#include "kv_storage/error.hpp"
#include "persist/format.hpp"
#include "support/data_directories.hpp"
#include "support/temporary_directory.hpp"

namespace kv::test {
namespace {

namespace fs = std::filesystem;

const InspectedFile& file_of(const Inspection& found, const std::string& prefix) {
  const auto file = std::find_if(found.files.begin(), found.files.end(),
                                 [&](const InspectedFile& f) { return f.name.starts_with(prefix); });
  REQUIRE(file != found.files.end());
  return *file;
}

void flip(const std::string& path, std::uint64_t at) {
  std::string bytes = file_bytes(path);
  bytes.at(at) = static_cast<char>(bytes.at(at) ^ 0x20);
  set_file_bytes(path, bytes);
}

std::string text_of(const RepairReport& report) {
  std::string text;
  for (const FileDamage& damage : report.lost) text += damage.file + ": " + damage.what + "\n";
  for (const std::string& note : report.notes) text += note + "\n";
  return text;
}

ErrorCode code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("no error");
  return ErrorCode::kIo;
}

// Repairs `path` and checks that it was not touched, and that what comes out is sound.
struct Repaired {
  explicit Repaired(const std::string& path) {
    const auto before = all_bytes(path);
    report = repair_directory(path, directory.path() + "/new", {.max_memory = 64 * kMiB});
    CHECK(all_bytes(path) == before);
    const auto store = open_store(directory.path() + "/new", 2);
    contents = contents_of(*store);
    CHECK(store->verify().empty());
  }
  TemporaryDirectory directory;
  RepairReport report;
  Contents contents;
};

// One checkpoint and a log behind it.
Contents make_store(const std::string& path, std::uint32_t parts = 1) {
  const auto store = open_store(path, parts);
  fill_a_little(*store);
  store->checkpoint();
  for (int i = 0; i < 20; ++i) store->root().put("behind" + std::to_string(i), bytes_value("the checkpoint"));
  store->root().erase("key1");
  RecordHash rows = store->records("rows", carrier_schema());
  put_carrier(rows, "row of the log", 1, "a new carrier");
  return contents_of(*store);
}

}  // namespace

TEST_CASE("inspect: it tells what the files hold") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open_store(path);
    for (int i = 0; i < 10; ++i) store->root().put("key" + std::to_string(i), bytes_value("value"));
    store->root().erase("key3");
    const Inspection live = inspect_directory(path);
    CHECK(live.in_use);
    CHECK(live.damage.empty());
    CHECK(file_of(live, "log-").records == std::map<std::string, std::uint64_t>{{"put", 10}, {"erase", 1}});
    store->checkpoint();
    store->root().put("behind", bytes_value("value"));
  }
  set_file_bytes(path + "/log-999-0-1", "");
  set_file_bytes(path + "/notes.txt", "x");
  const auto before = all_bytes(path);
  const Inspection found = inspect_directory(path);
  CHECK(all_bytes(path) == before);
  CHECK_FALSE(found.in_use);
  CHECK(found.damage.empty());
  CHECK(found.torn_logs == 0);
  REQUIRE(found.manifest);
  CHECK(found.manifest->bytes == file_bytes(path + "/MANIFEST").size());
  CHECK(found.manifest->checkpoint_parts == 1);
  REQUIRE(found.manifest->logs.size() == 1);
  const InspectedFile& checkpoint = file_of(found, "checkpoint-");
  CHECK(checkpoint.in_force);
  CHECK(checkpoint.number == found.manifest->checkpoint);
  CHECK(checkpoint.entries == 9);
  CHECK(checkpoint.records == std::map<std::string, std::uint64_t>{{"begin", 1}, {"page", 1}, {"end", 1}});
  CHECK(checkpoint.end == checkpoint.bytes);
  const InspectedFile& log = file_of(found, "log-");
  CHECK(log.in_force);
  CHECK(log.sound_header);
  CHECK(log.format == persist::kFormatVersion);
  CHECK(log.end == log.bytes);
  const InspectedFile& blank = file_of(found, "log-999-");
  CHECK(blank.blank);
  CHECK_FALSE(blank.in_force);
  CHECK(file_of(found, "notes.txt").kind == InspectedFile::Kind::kOther);
  CHECK(code_of([&] { (void)inspect_directory(root.path() + "/none"); }) == ErrorCode::kNotFound);
}

TEST_CASE("inspect: any damage that keeps a directory from opening is told, with file and offset") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open_store(path);
    for (int i = 0; i < 4; ++i) store->root().put("key" + std::to_string(i), bytes_value("value"));
    store->checkpoint();
    for (int i = 0; i < 4; ++i) store->root().put("key" + std::to_string(i), bytes_value("value"));
  }
  const std::string copy = root.path() + "/copy";
  for (const auto& [name, bytes] : all_bytes(path)) {
    for (std::uint64_t at = 0; at < bytes.size(); at += 3) {
      copy_directory(path, copy);
      flip(copy + "/" + name, at);
      CAPTURE(name);
      CAPTURE(at);
      const Inspection found = inspect_directory(copy);
      bool opens = true;
      try {
        (void)open_store(copy);
      } catch (const Error&) {
        opens = false;
      }
      CHECK(found.damage.empty() == opens);
      for (const FileDamage& damage : found.damage) CHECK(damage.file == name);
      // With the seed in a header, everything behind it is lost.
      if (!found.damage.empty()) CHECK(found.damage[0].offset <= at);
    }
    copy_directory(path, copy);
    fs::remove(copy + "/" + name);
    CAPTURE(name);
    const Inspection found = inspect_directory(copy);
    REQUIRE(found.damage.size() == 1);
    CHECK(found.damage[0].file == name);
    CHECK(found.damage[0].what == "the file is missing");
  }
}

TEST_CASE("repair: a sound directory comes out as it opens") {
  for (const std::uint32_t parts : {1U, 3U}) {
    const TemporaryDirectory root;
    const Contents expected = make_store(root.path() + "/data", parts);
    const Repaired repaired(root.path() + "/data");
    CHECK_MESSAGE(repaired.report.lost.empty(), text_of(repaired.report));
    CHECK(repaired.report.notes.empty());
    CHECK(repaired.contents == expected);
    CHECK(repaired.report.entries > 200);
  }
}

TEST_CASE("repair: what lies around a damaged record of a log is saved, and what was lost is told") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open_store(path);
    for (int i = 0; i < 10; ++i) store->root().put("key" + std::to_string(i), bytes_value("value"));
  }
  const std::string log = path + "/" + names_with(path, "log-").front();
  const std::string whole = file_bytes(log);
  const std::uint64_t record = persist::record_bytes(8 + 4 + 5);
  for (std::uint64_t at = persist::kFileHeaderBytes; at < whole.size() - record; at += 5) {
    flip(log, at);
    const std::uint64_t which = (at - persist::kFileHeaderBytes) / record;
    const Repaired repaired(path);
    CAPTURE(at);
    REQUIRE(repaired.report.lost.size() == 1);
    const FileDamage& lost = repaired.report.lost[0];
    CHECK(path + "/" + lost.file == log);
    CHECK(lost.offset == persist::kFileHeaderBytes + which * record);
    CHECK(lost.bytes == record);
    const bool is_length = (at - persist::kFileHeaderBytes) % record / 8 == 1;
    CHECK((lost.records == 1 || is_length));
    CHECK(repaired.contents.at("").size() == 9);
    CHECK_FALSE(repaired.contents.at("").contains("key" + std::to_string(which)));
    set_file_bytes(log, whole);
  }
  // A header whose checksum alone is damaged costs nothing; one without the seed, all.
  flip(log, 56);
  CHECK(Repaired(path).contents.at("").size() == 10);
  set_file_bytes(log, whole);
  flip(log, 40);
  const Repaired repaired(path);
  CHECK(repaired.contents.at("").empty());
  REQUIRE(repaired.report.lost.size() == 1);
  CHECK(repaired.report.lost[0].bytes == whole.size());
}

TEST_CASE("repair: every entry outside the damage is saved, wherever it is") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  const Contents expected = make_store(path, 2);
  const std::string copy = root.path() + "/copy";
  std::mt19937 random(4711);
  for (const auto& [name, bytes] : all_bytes(path)) {
    for (int i = 0; i < 25; ++i) {
      copy_directory(path, copy);
      const std::uint64_t at = random() % bytes.size();
      flip(copy + "/" + name, at);
      CAPTURE(name);
      CAPTURE(at);
      const Repaired repaired(copy);
      CAPTURE(text_of(repaired.report));
      try {
        const Contents opened = contents_of(*open_store(copy, 2));
        CHECK(repaired.report.lost.empty());
        CHECK(repaired.contents == opened);
      } catch (const Error&) {
        CHECK_FALSE(repaired.report.lost.empty());
      }
      if (name == "MANIFEST") CHECK(repaired.contents.at("").size() == expected.at("").size());
      for (const auto& [key, value] : repaired.contents.at("")) {
        if (expected.at("").contains(key)) CHECK(value == expected.at("").at(key));
      }
    }
    copy_directory(path, copy);
    fs::remove(copy + "/" + name);
    const Repaired repaired(copy);
    CHECK_FALSE(repaired.report.lost.empty());
  }
}

TEST_CASE("repair: without the manifest, the newest checkpoint and the logs are everything") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  const Contents expected = make_store(path, 1);
  for (int i = 0; i < 2; ++i) (void)open_store(path);
  fs::remove(path + "/MANIFEST");
  const Repaired repaired(path);
  REQUIRE(repaired.report.lost.size() == 1);
  CHECK(repaired.report.lost[0].file == "MANIFEST");
  CHECK(repaired.contents == expected);
}

TEST_CASE("repair: records keep their meaning when the text of a category or a name is lost") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open_store(path);
    RecordHash rows = store->records("rows", carrier_schema());
    for (const char* carrier : {"AA", "BB", "CC", "DD"}) put_carrier(rows, carrier, 1, carrier);
    store->hash("a Hash").put("x", bytes_value("y"));
    store->ordered("a Map", CollectionKind::kMap, KeyType::kInt)
        .put(ordered_key::of_integer(KeyType::kInt, 5), bytes_value("five"));
  }
  const std::string log = path + "/" + names_with(path, "log-").front();
  const std::string whole = file_bytes(log);
  flip(log, whole.find("BB"));  // in its category record
  {
    const Repaired repaired(path);
    CAPTURE(text_of(repaired.report));
    CHECK(repaired.report.lost.size() == 1);
    const auto& rows = repaired.contents.at("rows");
    CHECK(rows.size() == 4);
    CHECK(rows.at("AA").ends_with("|AA|"));
    CHECK(rows.at("BB").ends_with("|(lost category 1)|"));
    CHECK(rows.at("CC").ends_with("|CC|"));
  }
  set_file_bytes(log, whole);
  flip(log, whole.find("DD"));  // the last one: no text shows that there was another
  {
    const Repaired repaired(path);
    CHECK(repaired.contents.at("rows").at("DD").ends_with("|(lost category 3)|"));
  }
  set_file_bytes(log, whole);
  flip(log, whole.find("a Hash"));
  flip(log, whole.find("a Map"));
  {
    const Repaired repaired(path);
    CAPTURE(text_of(repaired.report));
    CHECK(repaired.report.lost.size() == 2);
    CHECK(repaired.report.notes.size() == 2);
    CHECK(repaired.contents.at("lost-2").at("x") == "6:y");
    CHECK(repaired.contents.at("lost-3").at(ordered_key::of_integer(KeyType::kInt, 5)) == "6:five");
  }
  set_file_bytes(log, whole);
}

TEST_CASE("repair: it refuses a store in use, a target that is not empty, and what is no data directory") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  const auto refused = [&](const std::string& from, const std::string& into) {
    return code_of([&] { (void)repair_directory(from, into, {.max_memory = 64 * kMiB}); });
  };
  {
    const auto store = open_store(path);
    store->root().put("x", bytes_value("y"));
    CHECK(refused(path, root.path() + "/new") == ErrorCode::kBusy);
  }
  CHECK(refused(path, path) == ErrorCode::kInvalidArgument);
  CHECK(refused(root.path() + "/none", root.path() + "/new") == ErrorCode::kNotFound);
  fs::create_directory(root.path() + "/empty");
  CHECK(refused(root.path() + "/empty", root.path() + "/new") == ErrorCode::kNotFound);
  CHECK(names_with(root.path(), "new").empty());
}

}  // namespace kv::test
