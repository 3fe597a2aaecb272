// kv::RecordHash: records in slabs, changed in place, with a dictionary. Each record holds its version twice and a text
// that belongs to it, so that a mixture of two shows.
#include <algorithm>
#include <cstring>
#include <optional>

#include "store_workload.hpp"

namespace kv::crash {
namespace {

constexpr std::uint32_t kTexts = 50;
constexpr std::size_t kMostHeld = 4;
constexpr const char* kName = "records";
constexpr const char* kTransientName = "transient";

struct Record {
  std::uint64_t version;
  std::uint64_t key;
  char filler[40];
  std::uint16_t text;  // code
  std::uint64_t version_again;
};

Schema make_schema() {
  return Schema({Schema::parse_type("version", "u8"), Schema::parse_type("key", "u8"),
                 Schema::parse_type("filler", "S40"), Column{.name = "text", .type = ColumnType::kCategory, .bytes = 2},
                 Schema::parse_type("version_again", "u8")});
}

std::string key_text(std::uint64_t key) { return "record-" + std::to_string(key % 7) + "-" + std::to_string(key); }
std::string text_of(std::uint64_t version) { return "text " + std::to_string(version % kTexts); }

std::uint64_t check_record(const Record& record, std::uint64_t key) {
  if (record.key != key) throw Violation("a record of another key");
  if (record.version != record.version_again) throw Violation("a record with two versions");
  for (const char byte : record.filler) {
    if (byte != static_cast<char>(mix(key + record.version)))
      throw Violation("a record with a filler of another version");
  }
  return record.version;
}

class RecordWorkload final : public StoreWorkload {
 public:
  RecordWorkload(const WorkloadOptions& options, Scoreboard& scoreboard)
      : StoreWorkload(options, scoreboard), records_(store_->records(kName, make_schema())) {
    if (records_.schema().record_bytes() != sizeof(Record)) throw Violation("the schema is not the struct");
  }

  void read(Random& random) override {
    try {
      switch (random.below(16)) {
        case 0:
          return scan_all();
        case 1:
          return hold();
        case 2:
          return release(random);
        case 3:
          return read_texts();
        default:
          return look_up(random);
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOverCapacity) throw;
      ++scoreboard_.refused;
    }
  }

 private:
  void change(std::uint32_t writer, Random& random) override {
    if (random.one_in(32)) return change_transient(random);
    change_own(writer, random);
  }
  void let_go() override {
    held_.clear();
    store_->drop(kTransientName);
  }
  void clear() override { records_.clear(); }

  // For each slab, for each of its slots, the key of the record if it is used.
  using SlotKeys = std::vector<std::vector<std::optional<std::uint64_t>>>;

  // The slabs as pinned at one time, and which key lay in which used slot then.
  struct Held {
    std::vector<RecordHash::Slab> slabs;
    SlotKeys keys;
  };

  static std::uint64_t key_of(std::uint32_t writer, std::uint32_t number) noexcept {
    return std::uint64_t{number} * kMaxWriters + writer;
  }

  Record make_record(RecordHash& records, std::uint64_t key, std::uint64_t version) {
    Record record{};
    record.version = record.version_again = version;
    record.key = key;
    record.text = static_cast<std::uint16_t>(records.category_code(3, text_of(version)));
    std::memset(record.filler, static_cast<char>(mix(key + version)), sizeof record.filler);
    return record;
  }

  std::optional<std::uint64_t> current_version(std::uint32_t writer, std::uint32_t number) override {
    const std::uint64_t key = key_of(writer, number);
    Record record{};
    if (!records_.get(key_text(key), &record)) return std::nullopt;
    return check_record(record, key);
  }

  void change_own(std::uint32_t writer, Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    const std::uint64_t key = key_of(writer, number);
    OracleCell& cell = scoreboard_.oracle[writer][number];
    const bool was_there = present(cell.done);
    VersionStep step(cell);
    if (!present(step.version())) {
      if (!remove(random, key)) throw Violation("a removal did not find its record");
    } else {
      const Record record = make_record(records_, key, step.version());
      const bool fresh = was_there && random.one_in(2) ? !set_fields(record) : records_.put(key_text(key), &record);
      if (fresh == was_there) throw Violation("a put did not find what was there");
    }
    step.finish();
  }

  bool set_fields(const Record& record) {
    const RecordHash::Field fields[] = {{offsetof(Record, version_again), 8, &record.version_again},
                                        {offsetof(Record, filler), sizeof record.filler, record.filler},
                                        {offsetof(Record, text), 2, &record.text},
                                        {offsetof(Record, version), 8, &record.version}};
    return records_.set_fields(key_text(record.key), fields);
  }

  bool remove(Random& random, std::uint64_t key) {
    if (random.one_in(2)) return records_.erase(key_text(key));
    Record taken{};
    if (!records_.take(key_text(key), &taken)) return false;
    check_record(taken, key);
    return true;
  }

  // A collection that is made, filled and dropped again, with its slabs and its dictionary.
  void change_transient(Random& random) {
    try {
      if (random.one_in(8)) {
        store_->drop(kTransientName);
        return;
      }
      RecordHash transient = store_->records(kTransientName, make_schema());
      const std::uint64_t key = random.below(2'000);
      const Record record = make_record(transient, key, random.below(1'000));
      transient.put(key_text(key), &record);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kClosed) throw;  // another writer dropped it
    }
  }

  void look_up(Random& random) {
    const auto writer = static_cast<std::uint32_t>(random.below(writers_));
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    const VersionRange range(scoreboard_.oracle[writer][number]);
    const auto version = current_version(writer, number);
    range.check(version.has_value(), version.value_or(0));
  }

  void scan_all() {
    Scan scan = records_.scan({}, true);
    ScanPage page;
    std::string last;
    while (scan.next(page)) {
      for (const ScanPage::Item& item : page.items) {
        const std::string key(page.key(item));
        if (key <= last) throw Violation("a scan went back to " + key);
        last = key;
        Record record{};
        if (page.value(item).size() != sizeof record) throw Violation("a scan found half a record");
        std::memcpy(&record, page.value(item).data(), sizeof record);
        check_record(record, std::stoull(key.substr(key.rfind('-') + 1)));
      }
    }
  }

  // A code that a record has is one of its text's.
  void read_texts() {
    std::vector<char> column;
    records_.gather({}, 0, sizeof(Record), column);
    const std::vector<std::string> texts = records_.categories(3);
    for (std::size_t at = 0; at < column.size(); at += sizeof(Record)) {
      Record record{};
      std::memcpy(&record, column.data() + at, sizeof record);
      if (record.text >= texts.size() || texts[record.text] != text_of(record.version)) {
        throw Violation("a record has the code of another text");
      }
    }
  }

  void hold() {
    if (held_.size() == kMostHeld) return;
    Held held{records_.slabs(), {}};
    held.keys = used_keys(held.slabs);
    // The view is a live one: a record just being put has its bit before its bytes. Whoever had the lock then is done
    // once this has had it; what has not changed since is a key's slot for as long as the slab is pinned.
    static_cast<void>(records_.find_category(3, text_of(0)));
    const auto again = used_keys(held.slabs);
    for (std::size_t i = 0; i < again.size(); ++i) {
      for (std::size_t slot = 0; slot < again[i].size(); ++slot) {
        if (again[i][slot] != held.keys[i][slot]) held.keys[i][slot].reset();
      }
    }
    held_.push_back(std::move(held));
  }

  static SlotKeys used_keys(const std::vector<RecordHash::Slab>& slabs) {
    SlotKeys all;
    for (const RecordHash::Slab& slab : slabs) {
      auto& keys = all.emplace_back(slab.count);
      for (std::size_t slot = 0; slot < slab.count; ++slot) {
        if ((slab.used[slot / 8] >> slot % 8 & 1) != 0) keys[slot] = key_in(slab, slot);
      }
    }
    return all;
  }

  static std::uint64_t key_in(const RecordHash::Slab& slab, std::size_t slot) {
    std::uint64_t key = 0;
    std::memcpy(&key, slab.records.data() + slot * sizeof(Record) + offsetof(Record, key), sizeof key);
    return key;
  }

  // Records may have changed in place, but no slot was given to another key.
  void release(Random& random) {
    if (held_.empty()) return;
    std::swap(held_[random.below(held_.size())], held_.back());
    const Held held = std::move(held_.back());
    held_.pop_back();
    for (std::size_t i = 0; i < held.slabs.size(); ++i) {
      for (std::size_t slot = 0; slot < held.keys[i].size(); ++slot) {
        const auto& key = held.keys[i][slot];
        if (key && key_in(held.slabs[i], slot) != *key) throw Violation("a slot of a pinned slab was used again");
      }
    }
  }

  RecordHash records_;
  std::vector<Held> held_;  // of this process
};

}  // namespace

std::unique_ptr<Workload> make_record_workload(const WorkloadOptions& options, Scoreboard& scoreboard) {
  return std::make_unique<RecordWorkload>(options, scoreboard);
}

}  // namespace kv::crash
