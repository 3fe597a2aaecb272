// kv::List. A writer's list has a position for each key of its row in the oracle, and its log the numbers it counted;
// besides there is one list that every writer changes in every way, which must merely stay sound.
#include <cstring>
#include <optional>

#include "store_workload.hpp"

namespace kv::crash {
namespace {

constexpr std::uint64_t kSharedKeys = 400;
constexpr std::uint64_t kLongest = 6'000;  // of the shared list, about
constexpr std::uint64_t kLogLength = 2'000;
constexpr std::size_t kMostHeld = 10;
constexpr const char* kShared = "shared";

std::string list_name(const char* kind, std::uint32_t writer) { return kind + std::to_string(writer); }

class ListWorkload final : public StoreWorkload {
 public:
  ListWorkload(const WorkloadOptions& options, Scoreboard& scoreboard)
      : StoreWorkload(options, scoreboard), shared_(store_->list(kShared)) {
    if (options.address.empty()) make_room_for_pins();
    for (std::uint32_t writer = 0; writer < writers_; ++writer) {
      own_.push_back(store_->list(list_name("own", writer)));
      logs_.push_back(store_->list(list_name("log", writer)));
      if (!options.address.empty()) continue;
      own_.back().extend(std::vector<Value>(kKeysPerWriter));
      count_to(writer, 0);
    }
  }

  void read(Random& random) override {
    try {
      switch (random.below(16)) {
        case 0:
          return read_shared();
        case 1:
          return hold(random);
        case 2:
          return release(random);
        case 3:
          return read_log(random);
        case 4:
          return search(random);
        default:
          return look_up(random);
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOverCapacity) throw;
      ++scoreboard_.refused;
    }
  }

  void settle(std::uint32_t writer) override {
    StoreWorkload::settle(writer);
    settle_count(scoreboard_.counters[writer], current_count(writer));
  }

 private:
  struct Held {
    std::uint64_t key;
    std::uint64_t version;
    std::unique_ptr<ValueBuffer> value;
  };

  void change(std::uint32_t writer, Random& random) override {
    switch (random.below(8)) {
      case 0:
      case 1:
        return count(writer);
      case 2:
      case 3:
        return change_shared(random);
      default:
        return change_own(writer, random);
    }
  }

  void let_go() override { held_.clear(); }

  void clear() override {
    while (shared_.size() != 0) shared_.erase(ListSlice{.start = 0, .stop = 500, .step = 1});
    for (std::uint32_t writer = 0; writer < writers_; ++writer) {
      own_[writer].clear();
      store_->drop(list_name("log", writer));
    }
  }

  // So that reading a large value, which pins it, finds a place in the tables of pins though the store is full.
  void make_room_for_pins() {
    constexpr int kPins = 600;
    Hash room = store_->hash("room");
    std::vector<Pin> pins;
    for (int i = 0; i < kPins; ++i) {
      const std::string key = std::to_string(i);
      room.put(key, {ValueType::kBytes, key});
      ValueType type{};
      pins.push_back(room.pin(key, type));
    }
    pins.clear();
    store_->drop("room");
  }

  static std::uint64_t payload_key(std::uint32_t writer, std::uint32_t number) noexcept {
    return std::uint64_t{writer} << 32 | number;
  }
  static std::uint64_t shared_payload_key(std::uint64_t number) noexcept { return std::uint64_t{1'000} << 32 | number; }

  static std::string payload(std::uint64_t key, std::uint64_t version) {
    std::string content(Payload::size(key, version), '\0');
    Payload::fill(content.data(), content.size(), key, version);
    return content;
  }

  std::optional<std::uint64_t> current_version(std::uint32_t writer, std::uint32_t number) override {
    ValueBuffer value;
    if (!own_[writer].get(number, value)) throw Violation("a position is gone");
    if (value.type() == ValueType::kNone) return std::nullopt;
    return version_in(value.bytes(), payload_key(writer, number));
  }

  // By one of the ways there are to put another value into a position.
  void change_own(std::uint32_t writer, Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    VersionStep step(scoreboard_.oracle[writer][number]);
    const std::string content = payload(payload_key(writer, number), step.version());
    const Value value = present(step.version()) ? Value{ValueType::kBytes, content} : Value{};
    List& own = own_[writer];
    switch (random.below(4)) {
      case 0:
        own.assign(ListSlice{.start = number, .stop = number + 1, .step = 1}, {&value, 1});
        break;
      case 1:
        own.assign(ListSlice{.start = number, .stop = number + 1, .step = 2}, {&value, 1});
        break;
      case 2:
        if (!own.set(std::int64_t{number} - kKeysPerWriter, value)) throw Violation("a position is gone");
        break;
      default:
        if (!own.set(number, value)) throw Violation("a position is gone");
    }
    step.finish();
  }

  void count_to(std::uint32_t writer, std::uint64_t number) {
    logs_[writer].append({ValueType::kInt, {reinterpret_cast<const char*>(&number), sizeof number}});
  }

  void count(std::uint32_t writer) {
    if (logs_[writer].size() > kLogLength)
      logs_[writer].erase(ListSlice{.start = {}, .stop = kLogLength / 2, .step = 1});
    VersionStep step(scoreboard_.counters[writer]);
    count_to(writer, step.version());
    step.finish();
  }

  static std::uint64_t number_in(ByteView bytes) {
    std::uint64_t number = 0;
    if (bytes.size() != sizeof number) throw Violation("a log holds what is no number");
    std::memcpy(&number, bytes.data(), sizeof number);
    return number;
  }

  std::uint64_t current_count(std::uint32_t writer) {
    ValueBuffer value;
    if (!logs_[writer].get(-1, value)) throw Violation("a log is empty");
    return number_in(value.bytes());
  }

  void change_shared(Random& random) {
    const std::uint64_t length = shared_.size();
    const auto place = static_cast<std::int64_t>(random.below(length + 1));
    const auto few = static_cast<std::int64_t>(random.below(40));
    const auto draw = [&] {
      const std::uint64_t number = random.below(kSharedKeys);
      return payload(shared_payload_key(number), number % 5);
    };
    const std::string content = draw(), other = draw();
    const Value value{ValueType::kBytes, content}, another{ValueType::kBytes, other};
    std::vector<Value> values(random.below(60), value);
    for (std::size_t i = 0; i < values.size(); i += 3) values[i] = another;
    ValueBuffer taken;
    if (length > kLongest) return shared_.erase(ListSlice{.start = place / 2, .stop = place / 2 + 3'000, .step = 1});
    switch (random.below(12)) {
      case 0:
        return shared_.append(value);
      case 1:
        return shared_.insert(place, value);
      case 2:
        static_cast<void>(shared_.set(place, value));
        return;
      case 3:
        static_cast<void>(shared_.erase(place));
        return;
      case 4:
        static_cast<void>(shared_.take(random.one_in(2) ? -1 : place, taken));
        return;
      case 5:
        static_cast<void>(shared_.remove({&value, 1}));
        return;
      case 6:
        return shared_.erase(ListSlice{.start = place, .stop = place + few, .step = 1});
      case 7:
        return shared_.erase(ListSlice{.start = place, .stop = place + few, .step = 3});
      case 8:
        return shared_.assign(ListSlice{.start = place, .stop = place + few, .step = 1}, values);
      case 9:
        if (random.one_in(4)) return shared_.reverse();
        if (random.one_in(32)) return shared_.clear();
        [[fallthrough]];
      default:
        values.resize(random.below(500), value);
        return shared_.extend(values);
    }
  }

  void look_up(Random& random) {
    const auto writer = static_cast<std::uint32_t>(random.below(writers_));
    if (random.one_in(8)) {
      const VersionRange range(scoreboard_.counters[writer]);
      return range.check_count(current_count(writer));
    }
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    const VersionRange range(scoreboard_.oracle[writer][number]);
    const auto version = current_version(writer, number);
    range.check(version.has_value(), version.value_or(0));
  }

  static void check_shared(ByteView bytes) {
    std::uint64_t key = 0;
    if (bytes.size() < Payload::kHeaderBytes) throw Violation("a shared value of another size");
    std::memcpy(&key, bytes.data(), sizeof key);
    if (key >> 32 != 1'000) throw Violation("a shared list holds what nobody put there");
    static_cast<void>(Payload::version_in(bytes.data(), bytes.size(), key));
  }

  // All of it, at one moment.
  void read_shared() {
    ListItems items;
    shared_.read({}, items);
    if (items.codes.size() != items.length) throw Violation("a list has not as many items as it says");
    std::vector<std::uint64_t> counts(items.values.items.size());
    for (const std::uint32_t code : items.codes) ++counts.at(code);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (items.values.items[i].count != counts[i]) throw Violation("a value counts other positions than there are");
      check_shared(items.values.bytes_of(items.values.items[i]));
    }
  }

  // The numbers of a log follow each other.
  void read_log(Random& random) {
    ListItems items;
    logs_[random.below(writers_)].read({}, items);
    std::optional<std::uint64_t> last;
    for (const std::uint32_t code : items.codes) {
      const std::uint64_t number = number_in(items.values.bytes_of(items.values.items.at(code)));
      if (last && number != *last + 1) throw Violation("a log skips from " + std::to_string(*last));
      last = number;
    }
  }

  void search(Random& random) {
    const std::uint64_t number = random.below(kSharedKeys);
    const std::string content = payload(shared_payload_key(number), number % 5);
    const Value value{ValueType::kBytes, content};
    static_cast<void>(shared_.count({&value, 1}));
    static_cast<void>(shared_.find({&value, 1}, 0, static_cast<std::int64_t>(kLongest)));
  }

  void hold(Random& random) {
    if (held_.size() == kMostHeld) return;
    const auto writer = static_cast<std::uint32_t>(random.below(writers_));
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    Held held{payload_key(writer, number), 0, std::make_unique<ValueBuffer>()};
    if (!own_[writer].get(number, *held.value)) throw Violation("a position is gone");
    if (held.value->type() == ValueType::kNone) return;
    held.version = version_in(held.value->bytes(), held.key);
    held_.push_back(std::move(held));
  }

  void release(Random& random) {
    if (held_.empty()) return;
    std::swap(held_[random.below(held_.size())], held_.back());
    const Held held = std::move(held_.back());
    held_.pop_back();
    if (version_in(held.value->bytes(), held.key) != held.version) throw Violation("a value changed under its reader");
  }

  List shared_;
  std::vector<List> own_;   // by writer
  std::vector<List> logs_;  // by writer
  std::vector<Held> held_;  // of this process
};

}  // namespace

std::unique_ptr<Workload> make_list_workload(const WorkloadOptions& options, Scoreboard& scoreboard) {
  return std::make_unique<ListWorkload>(options, scoreboard);
}

}  // namespace kv::crash
