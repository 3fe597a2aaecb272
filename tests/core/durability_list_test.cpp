// Lists in a data directory. Their log says what was changed and not what is there, so what has to be right is the
// order, and that each change counts once: against std::vector, whatever a checkpoint meets on its way.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "collections/list_writer.hpp"
#include "kv_storage/data_directory.hpp"
#include "kv_storage/error.hpp"
#include "persist/checkpoint.hpp"
#include "persist/log_reader.hpp"
#include "persist/recovery.hpp"
#include "store/store_impl.hpp"
#include "support/child_process.hpp"
#include "support/data_directories.hpp"
#include "support/temporary_directory.hpp"

namespace kv::test {
namespace {

using Model = std::vector<std::string>;

constexpr const char* kName = "list";

Model contents(const List& list) {
  ListItems items;
  list.read({}, items);
  Model all;
  for (const std::uint32_t code : items.codes) {
    const ListValues::Item& item = items.values.items.at(code);
    all.emplace_back(item.type == ValueType::kNone ? "None" : std::string(items.values.bytes_of(item)));
  }
  return all;
}

void extend(List& list, Model& model, const Model& values) {
  std::vector<Value> added;
  for (const std::string& value : values) added.push_back(bytes_value(value));
  list.extend(added);
  model.insert(model.end(), values.begin(), values.end());
}

// A list and its oracle, changed alike.
class Pair {
 public:
  explicit Pair(unsigned seed) : random_(seed) {}

  Model model;

  // Whatever a List can do, of one step each if `small`.
  void change(List& list, bool small = false) {
    const std::string value = new_value();
    const std::size_t size = model.size();
    const auto position = size == 0 ? 0 : random_() % size;
    const auto signed_position = static_cast<std::int64_t>(position);
    const auto at = model.begin() + static_cast<std::ptrdiff_t>(position);
    ValueBuffer taken;
    switch (random_() % (small ? 7 : 13)) {
      case 0:
      case 1:
        list.append(bytes_value(value));
        model.push_back(value);
        break;
      case 2:
      case 3:
        list.insert(signed_position, bytes_value(value));
        model.insert(at, value);
        break;
      case 4:
        list.set(signed_position, bytes_value(value));
        if (size != 0) *at = value;
        break;
      case 5:
        list.erase(signed_position);
        if (size != 0) model.erase(at);
        break;
      case 6:
        list.take(-1, taken);
        if (size != 0) model.pop_back();
        break;
      case 7:
        replace_slice(list, position, random_() % 300, random_() % 300);
        break;
      case 8:
        if (random_() % 3 == 0) {
          list.reverse();
          std::reverse(model.begin(), model.end());
        }
        break;
      case 9:
        if (random_() % 10 == 0) {
          list.clear();
          model.clear();
        }
        break;
      case 10:
        erase_every_other(list, position);
        break;
      case 11:
        if (size != 0) {
          const std::string wanted = *at;
          const std::vector<Value> values{bytes_value(wanted)};
          list.remove(values);
          model.erase(std::find(model.begin(), model.end(), wanted));
        }
        break;
      default:
        extend(list, model, Model(random_() % 400, value));
    }
  }
  void fill(List& list, std::size_t positions) {
    Model values;
    for (std::size_t i = 0; i < positions; ++i) values.push_back(new_value());
    extend(list, model, values);
  }

 private:
  // Some that are there already and some that are not; a few are gone again when others get their codes.
  std::string new_value() {
    if (random_() % 4 == 0) return "new" + std::to_string(++last_);
    return "value" + std::to_string(random_() % 300);
  }
  void replace_slice(List& list, std::size_t position, std::size_t erased, std::size_t inserted) {
    const std::size_t stop = std::min(position + erased, model.size());
    Model values;
    std::vector<Value> given;
    for (std::size_t i = 0; i < inserted; ++i) values.push_back(new_value());
    for (const std::string& value : values) given.push_back(bytes_value(value));
    list.assign({static_cast<std::int64_t>(position), static_cast<std::int64_t>(stop), 1}, given);
    const auto begin = model.begin();
    model.erase(begin + static_cast<std::ptrdiff_t>(position), begin + static_cast<std::ptrdiff_t>(stop));
    model.insert(model.begin() + static_cast<std::ptrdiff_t>(position), values.begin(), values.end());
  }
  void erase_every_other(List& list, std::size_t position) {
    const std::size_t stop = std::min(position + 100, model.size());
    list.erase(ListSlice{static_cast<std::int64_t>(position), static_cast<std::int64_t>(stop), 2});
    Model left;
    for (std::size_t i = 0; i < model.size(); ++i) {
      if (i < position || i >= stop || (i - position) % 2 == 1) left.push_back(model[i]);
    }
    model = left;
  }

  std::mt19937 random_;
  int last_ = 0;
};

// Of a child and its parent.
class SharedCount {
 public:
  SharedCount() : page_(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    REQUIRE(page_ != MAP_FAILED);
  }
  SharedCount(const SharedCount&) = delete;
  SharedCount& operator=(const SharedCount&) = delete;
  ~SharedCount() { ::munmap(page_, kBytes); }
  [[nodiscard]] std::atomic<int>* count() const noexcept { return static_cast<std::atomic<int>*>(page_); }

 private:
  static constexpr std::size_t kBytes = 4096;
  void* page_;
};

void check_list(const std::string& path, const Model& model, std::uint32_t parts = 2) {
  const auto store = open_store(path, parts);
  CHECK(contents(store->list(kName)) == model);
  CHECK(store->verify().empty());
}

// A checkpoint of a store in this process, with `between` called between its pages.
void checkpoint(Store& store, const std::function<bool()>& between) {
  persist::DurableLog& log = *persist::log_of(*store.impl().arena);
  const persist::DurableLog::FilesLock lock(log);
  persist::write_checkpoint(log, lock.next_number(), between);
}

std::string path_of(const std::string& directory, const std::string& prefix) {
  return directory + "/" + names_with(directory, prefix).back();
}

// Where the records of a file begin.
struct Found {
  LogKind kind;
  std::uint64_t offset;
  std::uint64_t bytes;
};
std::vector<Found> records_of(const std::string& directory, const std::string& prefix, std::uint64_t magic) {
  const OwnedFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const persist::InputFile file(fd.get(), directory, names_with(directory, prefix).back(), magic);
  persist::RecordReader reader(file);
  std::vector<Found> found;
  persist::Record record{};
  for (std::uint64_t at = reader.offset(); reader.next(record) == persist::RecordReader::Step::kRecord;
       at = reader.offset()) {
    found.push_back({record.kind, at, reader.offset() - at});
  }
  return found;
}
std::vector<Found> of_kind(std::vector<Found> records, LogKind kind) {
  std::erase_if(records, [&](const Found& record) { return record.kind != kind; });
  return records;
}

void flip(const std::string& path, std::uint64_t at) {
  std::string bytes = file_bytes(path);
  bytes.at(at) = static_cast<char>(bytes.at(at) ^ 0x20);
  set_file_bytes(path, bytes);
}

}  // namespace

TEST_CASE("durable lists: any history with closing, killing and checkpoints is that of a vector") {
  for (unsigned seed = 0; seed < 12; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const TemporaryDirectory root;
    Pair pair(seed);
    for (int life = 0; life < 5; ++life) {
      const std::uint32_t parts = 1 + random() % 3;
      const auto run = [&] {
        const auto store = open_store(root.path(), parts);
        List list = store->list(kName);
        if (contents(list) != pair.model) return false;
        for (int i = 0; i < 60; ++i) {
          pair.change(list);
          if (random() % 20 == 0) store->checkpoint();
        }
        return contents(list) == pair.model && store->verify().empty();
      };
      if (seed % 2 == 0) {
        REQUIRE(run());
        continue;
      }
      // What the child did, the parent's oracle does to a list in memory.
      Gate done;
      ChildProcess child([&] {
        if (!run()) return 1;
        done.open();
        wait_to_be_killed();
        return 0;
      });
      REQUIRE(done.pass());
      child.kill();
      const auto memory = Store::create({.max_memory = 64 * kMiB});
      List list = memory->list(kName);
      std::vector<Value> before;
      for (const std::string& value : pair.model) before.push_back(bytes_value(value));
      list.extend(before);
      for (int i = 0; i < 60; ++i) {
        pair.change(list);
        (void)random();
      }
    }
    check_list(root.path(), pair.model, 1);
  }
}

TEST_CASE("durable lists: a checkpoint is right whatever is done between any two of its pages") {
  int calls = 0;
  for (unsigned seed = 0; seed < 12; ++seed) {
    CAPTURE(seed);
    const TemporaryDirectory root;
    Pair pair(seed);
    {
      const auto store = open_store(root.path());
      List list = store->list(kName);
      pair.fill(list, 30'000);
      for (int round = 0; round < 3; ++round) {
        checkpoint(*store, [&] {
          ++calls;
          for (int i = 0; i < 7; ++i) pair.change(list);
          return false;
        });
        if (round == 1) pair.fill(list, 10'000);
      }
      CHECK(contents(list) == pair.model);
    }
    check_list(root.path(), pair.model, 1 + seed % 3);
    check_list(root.path(), pair.model);
  }
  CHECK(calls > 150);
}

TEST_CASE("durable lists: a checkpoint meets changes around the place that it has come to") {
  // Pages are of 4,096 positions: before, at and behind the place, and all of the list.
  const std::vector<std::function<void(List&, Model&)>> changes{
      [](List& list, Model& model) {
        list.insert(4096, bytes_value("at"));
        model.insert(model.begin() + 4096, "at");
      },
      [](List& list, Model& model) {
        list.insert(4095, bytes_value("before"));
        model.insert(model.begin() + 4095, "before");
      },
      [](List& list, Model& model) {
        list.erase(ListSlice{4000, 4200, 1});
        model.erase(model.begin() + 4000, model.begin() + 4200);
      },
      [](List& list, Model& model) {
        list.erase(ListSlice{0, 4096, 1});
        model.erase(model.begin(), model.begin() + 4096);
      },
      [](List& list, Model& model) {
        list.reverse();
        std::reverse(model.begin(), model.end());
      },
      [](List& list, Model& model) {
        list.clear();
        model.clear();
      },
      [](List& list, Model& model) {
        list.erase(ListSlice{std::nullopt, std::nullopt, 1});
        model.clear();
        extend(list, model, Model(5000, "new"));
      },
  };
  for (std::size_t which = 0; which < changes.size() * changes.size(); ++which) {
    CAPTURE(which);
    const TemporaryDirectory root;
    Model model;
    {
      const auto store = open_store(root.path(), 1);
      List list = store->list(kName);
      Model values;
      for (int i = 0; i < 9000; ++i) values.push_back(std::to_string(i / 3));
      extend(list, model, values);
      int calls = 0;
      checkpoint(*store, [&] {
        if (calls == 0) changes[which % changes.size()](list, model);
        if (calls == 0 && model.size() > 5000) changes[which / changes.size()](list, model);
        ++calls;
        return false;
      });
      list.append(bytes_value("behind"));
      model.emplace_back("behind");
    }
    check_list(root.path(), model, 1);
  }
}

TEST_CASE("durable lists: a checkpoint given up half way leaves nothing that the next one minds") {
  const TemporaryDirectory root;
  Pair pair(1);
  {
    const auto store = open_store(root.path());
    List list = store->list(kName);
    pair.fill(list, 20'000);
    for (int pages = 1; pages < 4; ++pages) {
      int left = pages;
      CHECK_THROWS_AS(checkpoint(*store, [&] { return --left == 0; }), Error);
      for (int i = 0; i < 20; ++i) pair.change(list);
      CHECK(store->verify().empty());
    }
    store->checkpoint();
    for (int i = 0; i < 20; ++i) pair.change(list);
  }
  check_list(root.path(), pair.model);
}

TEST_CASE("durable lists: threads change a list while checkpoints are written") {
  const TemporaryDirectory root;
  Model expected;
  {
    const auto store = open_store(root.path());
    List list = store->list(kName);
    Pair first(3);
    first.fill(list, 20'000);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
      for (int i = 0; !stop.load(); ++i) {
        list.insert(i * 37 % 20'000, bytes_value("inserted" + std::to_string(i % 500)));
        list.set(-1 - i % 1000, bytes_value("set" + std::to_string(i)));
        list.erase(i * 53 % 19'000);
        if (i % 50 == 0) list.reverse();
      }
    });
    for (int i = 0; i < 10; ++i) store->checkpoint();
    stop.store(true);
    writer.join();
    expected = contents(list);
  }
  check_list(root.path(), expected);
}

TEST_CASE("durable lists: a process killed at any time has made its changes up to one of them") {
  const TemporaryDirectory root;
  Pair pair(5);
  std::mt19937 random(5);
  for (int life = 0; life < 8; ++life) {
    const SharedCount shared;
    std::atomic<int>* const acknowledged = shared.count();
    constexpr int kChanges = 3000;
    {
      Gate begun;
      ChildProcess child([&] {
        const auto store = open_store(root.path());
        List list = store->list(kName);
        begun.open();
        for (int i = 0; i < kChanges; ++i) {
          pair.change(list, true);
          acknowledged->store(i + 1);
          if (i % 700 == 699) store->checkpoint();
        }
        return 0;
      });
      REQUIRE(begun.pass());
      const int until = static_cast<int>(random() % kChanges);
      while (acknowledged->load() < until) std::this_thread::yield();
      child.kill();
    }
    const auto store = open_store(root.path());
    CHECK(store->verify().empty());
    const Model found = contents(store->list(kName));
    const auto memory = Store::create({.max_memory = 64 * kMiB});
    List list = memory->list(kName);
    std::vector<Value> before;
    for (const std::string& value : pair.model) before.push_back(bytes_value(value));
    list.extend(before);
    for (int i = 0; i < acknowledged->load(); ++i) pair.change(list, true);
    if (found != pair.model) pair.change(list, true);  // the one that nobody was told of
    REQUIRE(found == pair.model);
  }
}

TEST_CASE("durable lists: large values, and more values than one record takes") {
  const TemporaryDirectory root;
  Model model;
  {
    const auto store = open_store(root.path());
    List list = store->list(kName);
    Model values;
    for (int i = 0; i < 400; ++i) values.push_back(std::to_string(i) + std::string(10'000, 'v'));
    values[7] = values[8] = std::string(3'000'000, 'l');
    extend(list, model, values);
    std::size_t edits = 0;
    for (const std::string& name : names_with(root.path(), "log-")) {
      const auto records = of_kind(records_of(root.path(), name, persist::kLogMagic), LogKind::kListEdit);
      edits += records.size();
      for (const Found& record : records) CHECK(record.bytes < 4'100'000);
    }
    CHECK(edits > 3);
  }
  check_list(root.path(), model);
  {
    const auto store = open_store(root.path());
    store->checkpoint();
    List list = store->list(kName);
    list.set(8, bytes_value("small"));
    model[8] = "small";
  }
  check_list(root.path(), model);
}

TEST_CASE("durable lists: a code may stand for two values within one step") {
  const TemporaryDirectory root;
  for (const std::size_t others : {0, 40}) {  // few values of a step are found in another way than many
    const std::string path = root.path() + "/" + std::to_string(others);
    Model model{"a", "b", "c"};
    {
      const auto store = open_store(path, 1);
      List list = store->list(kName);
      list.extend(std::vector<Value>{bytes_value("a"), bytes_value("b"), bytes_value("c")});
      Arena& arena = *store->impl().arena;
      const Binding binding = Catalog(arena).find(kName)->binding;
      Transaction txn(arena.part(0));
      ListWriter writer(txn, *find_root(txn, binding), binding);
      const auto hashed = [&](const std::string& value) {
        return HashedValue{bytes_value(value), list_dictionary::hash_of(bytes_value(value), arena.header().hash_seed)};
      };
      std::vector<std::string> more;
      for (std::size_t i = 0; i < others; ++i) more.push_back("more" + std::to_string(i));
      for (const std::string& value : more) {
        const HashedValue one = hashed(value);
        CHECK(writer.insert(writer.size(), {&one, 1}) == 1);
      }
      // The lowest free code is that of "a", then that of the first.
      const std::string first = "here and gone", second = "in place of a", third = "in its place";
      writer.set(0, hashed(first));
      writer.set(0, hashed("b"));
      writer.set(1, hashed(second));
      writer.set(2, hashed(third));
      (void)writer.commit();
      model = {"b", second, third};
      model.insert(model.end(), more.begin(), more.end());
      CHECK(contents(list) == model);
    }
    check_list(path, model, 1);
  }
}

TEST_CASE("durable lists: rename, drop and a list of the same name") {
  const TemporaryDirectory root;
  {
    const auto store = open_store(root.path(), 2);
    for (int i = 0; i < 3; ++i) {
      store->list("dropped").append(bytes_value(std::to_string(i)));
      store->list("old").append(bytes_value(std::to_string(i)));
      if (i == 1) store->drop("dropped");
      if (i == 1) store->checkpoint();
    }
    store->list(kName).append(bytes_value("replaced"));
    store->rename("old", kName, true);
    store->list(kName).append(bytes_value("3"));
  }
  check_list(root.path(), {"0", "1", "2", "3"});
  CHECK(contents(open_store(root.path(), 3)->list("dropped")) == Model{"2"});
}

TEST_CASE("durable lists: a backup made while others write is the list at an instant") {
  const TemporaryDirectory root;
  Pair pair(9);
  const std::string data = root.path() + "/data";
  const auto store = open_store(data);
  List list = store->list(kName);
  pair.fill(list, 10'000);
  std::vector<Model> states{pair.model};
  std::atomic<bool> begun{false}, stop{false};
  std::thread writer([&] {
    while (!stop.load()) {
      pair.change(list, true);
      states.push_back(pair.model);
      begun.store(true);
    }
  });
  while (!begun.load()) std::this_thread::yield();
  store->backup(root.path() + "/copy");
  stop.store(true);
  writer.join();
  const Model found = contents(open_store(root.path() + "/copy")->list(kName));
  CHECK(std::find(states.begin(), states.end(), found) != states.end());
}

TEST_CASE("durable lists: a log that ends before what a checkpoint has in it is refused") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  {
    const auto store = open_store(path, 1);
    List list = store->list(kName);
    Model model;
    extend(list, model, Model(10'000, "value"));
    checkpoint(*store, [&] {
      list.insert(0, bytes_value("meanwhile"));
      return false;
    });
  }
  const std::string log = path_of(path, "log-");
  const auto edits = of_kind(records_of(path, "log-", persist::kLogMagic), LogKind::kListEdit);
  set_file_bytes(log, file_bytes(log).substr(0, edits.back().offset));
  try {
    (void)open_store(path, 1);
    FAIL("it was opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kCorrupt);
    CHECK_MESSAGE(std::string(error.what()).find("'list'") != std::string::npos, error.what());
  }
  const RepairReport report = repair_directory(path, root.path() + "/new", {.max_memory = 64 * kMiB});
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].starts_with("1 changes of 'list' are lost"));
}

TEST_CASE("durable lists: repair keeps positions, and tells what is lost") {
  const TemporaryDirectory root;
  const std::string path = root.path() + "/data";
  const std::string repaired = root.path() + "/new";
  Model model;
  {
    const auto store = open_store(path, 1);
    List list = store->list(kName);
    Model values;
    for (int i = 0; i < 20'000; ++i) values.push_back("value" + std::to_string(i / 3000));
    extend(list, model, values);
    store->checkpoint();
    for (const char* value : {"a", "b", "c"}) {
      list.insert(0, bytes_value(value));
      list.append(bytes_value(value));
    }
  }
  SUBCASE("nothing") {
    const Inspection found = inspect_directory(path);
    CHECK(found.damage.empty());
    for (const InspectedFile& file : found.files) {
      if (file.kind != InspectedFile::Kind::kCheckpoint) continue;
      CHECK(file.entries == 20'000);
      CHECK(file.records ==
            std::map<std::string, std::uint64_t>{{"create", 1}, {"list page", 5}, {"list end", 1}, {"end", 1}});
    }
    const RepairReport report = repair_directory(path, repaired, {.max_memory = 64 * kMiB});
    CHECK(report.lost.empty());
    CHECK(report.notes.empty());
    Model expected = model;
    expected.insert(expected.begin(), {"c", "b", "a"});
    expected.insert(expected.end(), {"a", "b", "c"});
    check_list(repaired, expected, 1);
  }
  SUBCASE("a page of a checkpoint") {
    const auto pages = of_kind(records_of(path, "checkpoint-", persist::kCheckpointMagic), LogKind::kListPage);
    REQUIRE(pages.size() == 5);
    flip(path_of(path, "checkpoint-"), pages[1].offset + 100);
    const RepairReport report = repair_directory(path, repaired, {.max_memory = 64 * kMiB});
    REQUIRE(report.lost.size() == 1);
    CHECK(report.lost[0].offset == pages[1].offset);
    CHECK(report.lost[0].entries == 4096);
    REQUIRE(report.notes.size() == 1);
    // Of the values that came with the page, the next one has some, too.
    Model expected = model;
    std::size_t lost = 0;
    for (std::size_t i = 4096; i < 20'000; ++i) {
      if (i >= 8192 && i / 3000 != 2) continue;
      expected[i] = "None";
      ++lost;
    }
    expected.insert(expected.begin(), {"c", "b", "a"});
    expected.insert(expected.end(), {"a", "b", "c"});
    CHECK(report.notes[0] == std::to_string(lost) + " values of 'list' are lost: None is in their places");
    check_list(repaired, expected, 1);
  }
  SUBCASE("the end of a checkpoint") {
    const auto ends = of_kind(records_of(path, "checkpoint-", persist::kCheckpointMagic), LogKind::kListEnd);
    REQUIRE(ends.size() == 1);
    flip(path_of(path, "checkpoint-"), ends[0].offset + 30);
    (void)repair_directory(path, repaired, {.max_memory = 64 * kMiB});
    Model expected = model;
    expected.insert(expected.begin(), {"c", "b", "a"});
    expected.insert(expected.end(), {"a", "b", "c"});
    check_list(repaired, expected, 1);
  }
  SUBCASE("a record of the log") {
    const auto edits = of_kind(records_of(path, "log-", persist::kLogMagic), LogKind::kListEdit);
    flip(path_of(path, "log-"), edits[edits.size() - 4].offset + 30);
    const RepairReport report = repair_directory(path, repaired, {.max_memory = 64 * kMiB});
    CHECK(report.lost.size() == 1);
    REQUIRE(report.notes.size() == 1);
    CHECK(report.notes[0].starts_with("1 changes of 'list' are lost"));
    Model expected = model;
    expected.insert(expected.begin(), {"c", "a"});
    expected.insert(expected.end(), {"a", "b", "c"});
    check_list(repaired, expected, 1);
  }
  SUBCASE("the whole checkpoint, and with it the name") {
    std::filesystem::remove(path_of(path, "checkpoint-"));
    const RepairReport report = repair_directory(path, repaired, {.max_memory = 64 * kMiB});
    CHECK(contents(open_store(repaired)->list("lost-1")) == Model{"c", "b", "a", "a", "b", "c"});
    CHECK(report.notes.size() == 2);
  }
}

}  // namespace kv::test
