// A store with a data directory: what was acknowledged is there again, whatever ended the processes, and what is
// damaged is refused by name.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "collections/log_records.hpp"
#include "kv_storage/store.hpp"
#include "memory/transaction.hpp"
#include "persist/format.hpp"
#include "persist/recovery.hpp"
#include "store/store_impl.hpp"
#include "support/child_process.hpp"
#include "support/contents.hpp"
#include "support/memory_check.hpp"
#include "support/temporary_directory.hpp"
#include "support/temporary_file.hpp"

namespace kv::test {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<Store> open(const std::string& path, std::uint32_t parts = 2, SyncMode sync = SyncMode::kInterval) {
  return Store::open(path, {.max_memory = 64 * kMiB, .parts = parts, .sync = sync});
}

Value text(const std::string& bytes) { return {ValueType::kBytes, bytes}; }

std::vector<std::string> files_of(const std::string& path, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& file : fs::directory_iterator(path)) {
    const std::string name = file.path().filename().string();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Runs `body` with the store in a child that is killed afterwards.
void in_killed_process(const std::string& path, const std::function<void(Store&)>& body, std::uint32_t parts = 2,
                       SyncMode sync = SyncMode::kInterval) {
  Gate done;
  ChildProcess child([&] {
    const auto store = open(path, parts, sync);
    body(*store);
    done.open();
    wait_to_be_killed();
    return 0;
  });
  REQUIRE(done.pass());
  child.kill();
}

std::string error_of(const std::string& path, ErrorCode code) {
  try {
    open(path);
  } catch (const Error& error) {
    CHECK_MESSAGE(error.code() == code, error.what());
    return error.what();
  }
  return "no error";
}
bool contains(const std::string& whole, const std::string& piece) { return whole.find(piece) != std::string::npos; }

Schema flights() {
  Column number = Schema::parse_type("number", "i8");
  Column carrier = Schema::parse_type("carrier", "category");
  return Schema({number, carrier});
}

void put_row(RecordHash& rows, const std::string& key, std::int64_t number, const std::string& carrier) {
  std::string record(rows.schema().record_bytes(), '\0');
  std::memcpy(record.data(), &number, sizeof number);
  const std::uint32_t code = rows.category_code(1, carrier);
  std::memcpy(record.data() + rows.schema().columns()[1].offset, &code, rows.schema().columns()[1].bytes);
  rows.put(key, record.data());
}

// Something of every kind, with every way to change it.
void fill_with_everything(Store& store) {
  Hash root = store.root();
  for (int i = 0; i < 1000; ++i) root.put("key" + std::to_string(i), text("value" + std::to_string(i)));
  for (int i = 0; i < 1000; i += 3) root.erase("key" + std::to_string(i));
  root.put("array", {ValueType::kArray, std::string(100'000, 'a'), "trailer"});
  root.put("large", text(std::string(3'000'000, 'b')));
  root.put("later", text("x"), 1'000'000);
  root.put("not later", text("x"), 1'000'000);
  root.persist("not later");
  root.put("later after all", text("y"));
  root.expire("later after all", 2'000'000);
  for (int i = 0; i < 10; ++i) root.increment("count", i);
  root.compare_and_set("cas", std::nullopt, text("set"));
  root.compare_and_set("key1", text("value1"), std::nullopt);
  ValueBuffer out;
  root.take("key2", out);
  root.put_if_absent("key4", text("no"), out);
  root.put_if_absent("new", text("yes"), out);
  root.replace("key4", text("replaced"));
  root.put("", text("the empty key"));
  root.put(std::string(kMaxKeyBytes, 'k'), text("the longest key"));
  root.erase_range(KeyRange::prefix("key99"));
  root.put_many(std::vector<ByteView>{"m1", "m2"}, std::vector<Value>{text("1"), text("2")});

  Hash named = store.hash("named");
  for (int i = 0; i < 100; ++i) named.put(std::to_string(i), text("n"));
  Hash cleared = store.hash("cleared");
  for (int i = 0; i < 100; ++i) cleared.put(std::to_string(i), text("before"));
  cleared.clear();
  cleared.put("after", text("after"));
  store.hash("dropped").put("x", text("x"));
  store.drop("dropped");
  store.hash("dropped").put("again", text("again"));
  store.hash("old name").put("x", text("moved"));
  store.hash("new name").put("x", text("replaced by a rename"));
  store.rename("old name", "new name", true);

  Ordered map = store.ordered("map", CollectionKind::kMap, KeyType::kInt);
  for (int i = -100; i < 100; ++i) map.put(ordered_key::of_integer(KeyType::kInt, i), text(std::to_string(i)));
  std::string key;
  map.take_first(key, out);
  map.take_last(key, out);
  Ordered set = store.ordered("set", CollectionKind::kSet);
  for (const char* member : {"a", "b", "c"}) set.put(ordered_key::of_bytes(KeyType::kText, member), {});
  set.erase(ordered_key::of_bytes(KeyType::kText, "b"));
  (void)store.ordered("empty set", CollectionKind::kSet, KeyType::kDate);
  List list = store.list("list");
  for (int i = 0; i < 100; ++i) list.append(text("item" + std::to_string(i % 13)));
  list.erase(5);
  (void)store.list("empty list");

  RecordHash rows = store.records("rows", flights());
  for (int i = 0; i < 300; ++i) put_row(rows, "row" + std::to_string(i), i, "carrier" + std::to_string(i % 7));
  put_row(rows, "row5", -5, "another");
  rows.erase("row6");
  rows.expire("row7", 1'000'000);
  const std::int64_t changed = 4711;
  const RecordHash::Field field{0, sizeof changed, &changed};
  rows.set_fields("row8", std::span(&field, 1));
  store.cache("cache", 100'000).put("cached", text("gone afterwards"));
}

void check_reopened(const std::string& path, const Contents& expected, std::uint32_t parts = 2) {
  const auto store = open(path, parts);
  CHECK(store->built());
  const Contents found = contents_of(*store);
  REQUIRE(found.size() == expected.size());
  for (const auto& [name, entries] : expected) {
    CAPTURE(name);
    CHECK(found.at(name) == entries);
  }
  CHECK(store->verify().empty());
}

}  // namespace

TEST_CASE("durability: every kind is there again after all processes were killed, or closed it") {
  for (const SyncMode sync : {SyncMode::kOff, SyncMode::kInterval, SyncMode::kAlways}) {
    const TemporaryDirectory root;
    const auto model = Store::create({.max_memory = 64 * kMiB, .parts = 2});
    fill_with_everything(*model);
    const Contents expected = contents_of(*model);
    in_killed_process(root.path(), fill_with_everything, 2, sync);
    check_reopened(root.path(), expected);
    check_reopened(root.path(), expected);  // it was closed by the one before
    open(root.path())->root().put("more", text("more"));
    Contents more = expected;
    more[""]["more"] = "6:more";
    check_reopened(root.path(), more);
  }
}

TEST_CASE("durability: the number of parts may change from one opening to the next") {
  const TemporaryDirectory root;
  const auto model = Store::create({.max_memory = 64 * kMiB, .parts = 1});
  fill_with_everything(*model);
  Contents expected = contents_of(*model);
  in_killed_process(root.path(), fill_with_everything, 3);
  int round = 0;
  for (const std::uint32_t parts : {1U, 4U, 2U}) {
    check_reopened(root.path(), expected, parts);
    const auto store = open(root.path(), parts);
    store->hash("named").clear();
    store->hash("named").put("round", text(std::to_string(++round)));
    expected["named"] = {{"round", "6:" + std::to_string(round)}};
  }
  check_reopened(root.path(), expected, 8);
}

TEST_CASE("durability: a checkpoint takes the place of the log before it") {
  const TemporaryDirectory root;
  const auto model = Store::create({.max_memory = 64 * kMiB, .parts = 2});
  fill_with_everything(*model);
  Contents expected = contents_of(*model);
  in_killed_process(root.path(), [](Store& store) {
    fill_with_everything(store);
    store.checkpoint();
    store.root().put("behind", text("the checkpoint"));
    store.hash("behind").put("x", text("y"));
    store.hash("cleared").clear();
  });
  expected[""]["behind"] = "6:the checkpoint";
  expected["behind"]["x"] = "6:y";
  expected["cleared"].clear();
  CHECK(files_of(root.path(), "checkpoint-").size() == 2);
  for (const std::uint32_t parts : {2U, 3U}) check_reopened(root.path(), expected, parts);
  {
    const auto store = open(root.path());
    store->checkpoint();
    CHECK(store->stats().durability->log_bytes == 0);
  }
  check_reopened(root.path(), expected, 1);
  CHECK(files_of(root.path(), "checkpoint-").size() == 2);
}

TEST_CASE("durability: nothing is written beside the directory's owner's eyes") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open(path);
    fill_with_everything(*store);
    store->checkpoint();
  }
  struct stat status {};
  for (const auto& file : fs::directory_iterator(path)) {
    REQUIRE(::stat(file.path().c_str(), &status) == 0);
    CHECK_MESSAGE((status.st_mode & 07777) == 0600, file.path().string());
  }
}

TEST_CASE("durability: with sync = off, closing writes a checkpoint") {
  const TemporaryDirectory root;
  const auto store = open(root.path(), 2, SyncMode::kOff);
  fill_with_everything(*store);
  const Contents expected = contents_of(*store);
  CHECK(files_of(root.path(), "checkpoint-").empty());
  store->close();
  CHECK(files_of(root.path(), "checkpoint-").size() == 2);
  check_reopened(root.path(), expected);
}

TEST_CASE("durability: what was loaded from a CSV file is there, and is known to come from it") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  write_file(root.path() + "/rows.csv", "id,carrier,n\na,UA,1\nb,AA,2\nc,UA,3\na,AA,4\n");
  CsvOptions options;
  options.path = root.path() + "/rows.csv";
  options.into = "rows";
  options.key = "{id}";
  options.types = {{"carrier", "category"}};
  options.on_duplicate = OnDuplicate::kLast;
  options.threads = 1;
  Contents expected;
  in_killed_process(path, [&](Store& store) {
    store.load_csv(options);
    store.load_csv(options);  // which replaces the first
  });
  for (const bool checkpointed : {false, true}) {
    const auto store = open(path);
    CHECK(store->holds_csv(options));
    const auto rows = store->find_records("rows");
    REQUIRE(rows);
    CHECK(rows->size() == 3);
    CHECK(row_of(*rows, "a").starts_with("AA|"));
    CHECK(row_of(*rows, "c").starts_with("UA|"));
    CHECK(files_of(path, "load-").size() == (checkpointed ? 0 : 2));
    CsvOptions other = options;
    other.where = "n > 1";
    CHECK_FALSE(store->holds_csv(other));
    store->checkpoint();
    CHECK(files_of(path, "load-").empty());
  }
  const auto store = open(path);
  const fs::file_time_type before = fs::last_write_time(options.path);
  fs::last_write_time(options.path, before + std::chrono::seconds(5));
  CHECK(store->holds_csv(options));  // the contents are the same
  write_file(options.path, "id,carrier,n\na,UA,1\nb,AA,2\nc,UA,3\na,AA,5\n");
  fs::last_write_time(options.path, before + std::chrono::seconds(9));
  CHECK_FALSE(store->holds_csv(options));
  CHECK(store->verify().empty());
}

// ---- Ends and damage ----

TEST_CASE("durability: a log may end anywhere inside its last record") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open(path, 1);
    store->root().put("first", text("1"));
    store->root().put("second", text("2"));
  }
  const std::string log = path + "/" + files_of(path, "log-").front();
  const std::string whole = read_file(log);
  const std::uint64_t record = persist::record_bytes(8 + 6 + 1);
  REQUIRE(whole.size() == 64 + persist::record_bytes(8 + 5 + 1) + record);
  const std::string manifest = read_file(path + "/MANIFEST");
  for (std::uint64_t lost = 0; lost <= record; ++lost) {
    for (const bool zeros : {false, true}) {
      std::string torn = whole.substr(0, whole.size() - lost);
      if (zeros) torn.resize(whole.size(), '\0');
      write_file(log, torn);
      write_file(path + "/MANIFEST", manifest);
      const auto store = open(path, 1);
      CAPTURE(lost);
      CHECK(value_of(store->root(), "first") == "6:1");
      // The last bytes of the last record are padding: it is whole without them if zeros stand there.
      const bool there = lost == 0 || (zeros && torn == whole);
      CHECK(value_of(store->root(), "second") == (there ? "6:2" : "absent"));
    }
  }
}

TEST_CASE("durability: a damaged byte that something intact follows is refused by file and offset") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open(path, 1);
    for (int i = 0; i < 10; ++i) store->root().put("key" + std::to_string(i), text("value"));
  }
  const std::string log = path + "/" + files_of(path, "log-").front();
  const std::string whole = read_file(log);
  const std::uint64_t record = persist::record_bytes(8 + 4 + 5);
  for (std::uint64_t at = 0; at < whole.size() - record; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    write_file(log, damaged);
    const std::string error = error_of(path, ErrorCode::kCorrupt);
    const std::uint64_t begin = at < 64 ? 0 : 64 + (at - 64) / record * record;
    CHECK_MESSAGE(contains(error, log + "' is damaged at offset " + std::to_string(begin)), error);
  }
  write_file(log, whole);
  CHECK(contents_of(*open(path, 1))[""].size() == 10);
}

TEST_CASE("durability: any damaged byte of a checkpoint or a manifest is refused, and so is a missing file") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open(path, 1);
    for (int i = 0; i < 5; ++i) store->root().put("key" + std::to_string(i), text("value"));
    (void)store->hash("named");
    store->checkpoint();
    store->root().put("behind", text("value"));
  }
  for (const std::string& name : {files_of(path, "checkpoint-").front(), std::string("MANIFEST")}) {
    const std::string whole = read_file(path + "/" + name);
    for (std::uint64_t at = 0; at < whole.size(); ++at) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 1);
      write_file(path + "/" + name, damaged);
      const std::string error = error_of(path, ErrorCode::kCorrupt);
      CHECK_MESSAGE(contains(error, name), error);
    }
    for (std::uint64_t bytes = 0; bytes < whole.size(); ++bytes) {
      write_file(path + "/" + name, whole.substr(0, bytes));
      CHECK(contains(error_of(path, ErrorCode::kCorrupt), name));
    }
    write_file(path + "/" + name, whole);
  }
  for (const std::string& prefix : {"checkpoint-", "MANIFEST", "log-"}) {
    const std::string name = files_of(path, prefix).front();
    fs::rename(path + "/" + name, root.path() + "/aside");
    const std::string error = error_of(path, ErrorCode::kCorrupt);
    CHECK_MESSAGE(contains(error, name), error);
    CHECK(contains(error, "is missing"));
    fs::rename(root.path() + "/aside", path + "/" + name);
  }
  CHECK(contents_of(*open(path, 1))[""].size() == 6);
}

TEST_CASE("durability: a segment that is missing between others is told, also if nothing proves that it was on disk") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open(path, 1);
    for (char c = 'a'; c < 'h'; ++c) store->root().put({&c, 1}, text(std::string(900'000, c)));
  }
  const std::vector<std::string> segments = files_of(path, "log-");
  REQUIRE(segments.size() >= 3);
  for (std::size_t i = 2; i < segments.size(); ++i) {  // as if written in another start of the machine
    std::string bytes = read_file(path + "/" + segments[i]);
    persist::FileHeader header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    ++header.boot;
    header.seal();
    std::memcpy(bytes.data(), &header, sizeof header);
    write_file(path + "/" + segments[i], bytes);
  }
  const auto before = files_of(path, "");
  fs::rename(path + "/" + segments[1], root.path() + "/aside");
  const std::string error = error_of(path, ErrorCode::kCorrupt);
  CHECK_MESSAGE(contains(error, segments[1] + "' is missing, and '" + segments[2] + "' follows it"), error);
  fs::rename(root.path() + "/aside", path + "/" + segments[1]);
  CHECK(files_of(path, "") == before);
  CHECK(contents_of(*open(path, 1))[""].size() == 7);
}

TEST_CASE("durability: files of a newer version are refused") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  open(path)->root().put("x", text("y"));
  const std::string manifest = read_file(path + "/MANIFEST");
  const std::string newer = "kv_storage manifest 2\nwhatever it says\n";
  write_file(path + "/MANIFEST", newer + persist::end_of(newer));
  CHECK(contains(error_of(path, ErrorCode::kIo), "a newer version wrote it"));
  write_file(path + "/MANIFEST", manifest);
  CHECK(value_of(open(path)->root(), "x") == "6:y");
}

// ---- Others at the same time ----

TEST_CASE("durability: a checkpoint is right whatever is written while it is") {
  const TemporaryDirectory root;
  Contents expected;
  {
    const auto store = open(root.path());
    std::atomic<bool> stop{false};
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 2; ++writer) {
      writers.emplace_back([&, writer] {
        std::mt19937 random(static_cast<unsigned>(writer));
        Hash hash = store->hash("shared");
        RecordHash rows = store->records("rows", flights());
        for (int i = 0; !stop.load(); ++i) {
          const std::string key = std::to_string(writer) + "-" + std::to_string(random() % 2000);
          if (random() % 3 == 0) {
            hash.erase(key);
          } else {
            hash.put(key, text(std::to_string(i)));
          }
          put_row(rows, key, i, "c" + std::to_string(random() % 50));
          if (random() % 5 == 0) rows.erase(key);
          if (random() % 1000 == 0) store->hash("named" + std::to_string(writer)).clear();
          if (random() % 1000 == 0) store->drop("named" + std::to_string(writer));
          store->hash("named" + std::to_string(writer)).put(std::to_string(i % 100), text("n"));
        }
      });
    }
    for (int i = 0; i < 20; ++i) store->checkpoint();
    stop.store(true);
    for (std::thread& writer : writers) writer.join();
    expected = contents_of(*store);
  }
  check_reopened(root.path(), expected);
}

TEST_CASE("durability: a log that has grown is replaced by a checkpoint, without being asked") {
  const TemporaryDirectory root;
  const std::string value(1'000'000, 'v');
  {
    const auto store = open(root.path());
    for (int i = 0; store->stats().durability->checkpoint == 0; ++i) {
      REQUIRE(i < 10'000);
      store->root().put("key" + std::to_string(i % 10), text(value));
    }
    CHECK(store->stats().durability->checkpoint_error == 0);
  }
  const auto store = open(root.path());
  CHECK(store->root().size() == 10);
  CHECK(value_of(store->root(), "key7") == "6:" + value);
}

TEST_CASE("durability: what several processes wrote is there, in the order in which they did") {
  const TemporaryDirectory root;
  constexpr int kProcesses = 4;
  constexpr int kWrites = 500;
  {
    const auto store = open(root.path());
    std::vector<std::unique_ptr<ChildProcess>> children;
    for (int process = 0; process < kProcesses; ++process) {
      children.push_back(std::make_unique<ChildProcess>([&] {
        Hash hash = store->root();
        for (int i = 0; i < kWrites; ++i) {
          hash.increment("all", 1);
          hash.put("own" + std::to_string(process), text(std::to_string(i)));
        }
        return 0;
      }));
    }
    for (auto& child : children) CHECK(child->wait() == 0);
  }
  const auto store = open(root.path());
  CHECK(store->root().increment("all", 0) == kProcesses * kWrites);
  for (int process = 0; process < kProcesses; ++process) {
    CHECK(value_of(store->root(), "own" + std::to_string(process)) == "6:" + std::to_string(kWrites - 1));
  }
}

TEST_CASE("durability: with sync = always, nothing is left to sync when a write returns") {
  const TemporaryDirectory root;
  const auto store = open(root.path(), 2, SyncMode::kAlways);
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 20; ++i) store->root().put(std::to_string(writer) + std::to_string(i), text("x"));
    });
  }
  for (std::thread& writer : writers) writer.join();
  CHECK(store->stats().durability->unsynced_bytes == 0);
  store->hash("new").put("x", text("y"));
  CHECK(store->stats().durability->unsynced_bytes == 0);
  store->drop("new");
  CHECK(store->stats().durability->unsynced_bytes == 0);
}

TEST_CASE("durability: flush leaves nothing to sync, and stats say what there is") {
  const TemporaryDirectory root;
  const auto store = open(root.path(), 2, SyncMode::kOff);
  CHECK(store->stats().durability->sync == SyncMode::kOff);
  CHECK(store->stats().durability->log_bytes == 0);
  store->root().put("x", text("y"));
  CHECK(store->stats().durability->unsynced_bytes == persist::record_bytes(8 + 1 + 1));
  store->flush();
  CHECK(store->stats().durability->unsynced_bytes == 0);
  CHECK(store->stats().durability->log_bytes == persist::record_bytes(8 + 1 + 1));
  CHECK_FALSE(Store::create({.max_memory = 8 * kMiB})->stats().durability.has_value());
}

TEST_CASE("durability: a writer that dies inside a transaction leaves no trace in the log") {
  // Undone transactions leave records behind the tail; the next one is shorter, and its log ends inside of them.
  const TemporaryDirectory root;
  const TemporaryDirectory elsewhere;
  const std::string copy = elsewhere.path() + "/data";
  Contents expected;
  {
    const auto store = open(root.path(), 1);
    store->root().put("before", text("x"));
    Arena& arena = *store->impl().arena;
    {
      Transaction txn(arena.part(0));
      const std::string long_one(500, 'u');
      const KeyFront front{0, 6, static_cast<std::uint8_t>(ValueType::kBytes), 0};
      arena.log()->append(txn, static_cast<std::uint8_t>(LogKind::kPut),
                          std::array<ByteView, 3>{bytes_of(front), "undone", long_one});
    }
    store->root().put("after", text("y"));
    expected = contents_of(*store);
    Gate appended;
    ChildProcess child([&] {
      Transaction txn(arena.part(0));
      const KeyFront front{0, 6, static_cast<std::uint8_t>(ValueType::kBytes), 0};
      arena.log()->append(txn, static_cast<std::uint8_t>(LogKind::kPut),
                          std::array<ByteView, 3>{bytes_of(front), "killed", "z"});
      appended.open();
      wait_to_be_killed();
      return 0;
    });
    REQUIRE(appended.pass());
    child.kill();
    CHECK(contents_of(*store) == expected);  // whose locks undo it
    // As killing this process would leave it: closing the store cuts the log off where it ends.
    fs::copy(root.path(), copy);
  }
  check_reopened(root.path(), expected, 1);
  check_reopened(copy, expected, 1);
}

}  // namespace kv::test
