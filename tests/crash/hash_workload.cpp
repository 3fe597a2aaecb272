// kv::Hash and the catalog, as a user has them. Keys of the oracle lie in the root Hash; besides there are keys and
// collections that every writer changes, which must merely stay sound. The same with a Map in the place of the root, at
// bottom a Hash whose index counts: verify() then counts again.
#include <cstring>
#include <optional>

#include "store_workload.hpp"

namespace kv::crash {
namespace {

constexpr std::uint32_t kSharedKeys = 200;
constexpr std::uint32_t kCollections = 3;
constexpr std::size_t kMostHeld = 20;

// Begins as a text key of a Map, which does not matter to a Hash.
std::string typed(ByteView text) { return ordered_key::of_bytes(KeyType::kText, text); }

// Short and long, with long common prefixes, so that the index has nodes of every kind. Ends with the number, which
// makes a payload's key of it.
std::string key_text(const char* kind, std::uint32_t writer, std::uint32_t number) {
  std::string text = typed(kind) + ":" + std::to_string(writer) + ":";
  if (number % 3 == 0) text += std::string(number % 7 * 5, 'x') + ":";
  return text + std::to_string(number);
}

std::uint64_t payload_key(std::uint32_t writer, std::uint32_t number) noexcept {
  return std::uint64_t{writer} << 32 | number;
}

class HashWorkload final : public StoreWorkload {
 public:
  HashWorkload(const WorkloadOptions& options, Scoreboard& scoreboard)
      : StoreWorkload(options, scoreboard),
        root_(options.name == "map" ? Hash(store_->ordered("oracle", CollectionKind::kMap)) : store_->root()) {
    if (!options.address.empty()) return;
    for (std::uint32_t number = 0; number < kSharedKeys; number += 2) put_shared(steady_key(number), number, 1);
    make_room_for_pins();
  }

  void read(Random& random) override {
    switch (random.below(16)) {
      case 0:
        return scan_all(random);
      case 1:
        return hold(random);
      case 2:
        return release(random);
      case 3:
        return look_up_many(random);
      case 4:
        return read_collection(random);
      case 5:
      case 6:
      case 7:
        return look_up_shared(random);
      default:
        return look_up(random);
    }
  }

  void settle(std::uint32_t writer) override {
    StoreWorkload::settle(writer);
    settle_count(scoreboard_.counters[writer], current_count(writer));
  }

 private:
  void change(std::uint32_t writer, Random& random) override {
    switch (random.below(16)) {
      case 0:
        return change_several(writer, random);
      case 1:
        return count(writer);
      case 2:
      case 3:
      case 4:
        return change_shared(random);
      case 5:
        if (random.one_in(4)) return change_collections(random);
        [[fallthrough]];
      default:
        return change_own(writer, random);
    }
  }

  void let_go() override {
    held_.clear();
    for (std::uint32_t i = 0; i < kCollections; ++i) store_->drop(collection_name(i));  // and empties the trash
  }
  void clear() override { root_.clear(); }

  struct Held {
    std::uint64_t key;
    std::uint64_t version;
    Pin pin;
  };

  static std::string own_key(std::uint32_t writer, std::uint32_t number) { return key_text("own", writer, number); }
  static std::string counter_key(std::uint32_t writer) { return key_text("counter", writer, 0); }
  static std::string steady_key(std::uint32_t number) { return key_text("steady", 0, number); }
  static std::string shared_key(std::uint32_t number) { return key_text("shared", 0, number); }
  static std::uint64_t shared_payload_key(std::uint32_t number) noexcept { return payload_key(1'000, number); }
  static std::string collection_name(std::uint64_t i) { return "collection-" + std::to_string(i); }

  std::optional<std::uint64_t> current_version(std::uint32_t writer, std::uint32_t number) override {
    ValueBuffer value;
    if (!root_.get(own_key(writer, number), value)) return std::nullopt;
    return version_in(value.bytes(), payload_key(writer, number));
  }

  std::uint64_t current_count(std::uint32_t writer) {
    ValueBuffer value;
    if (!root_.get(counter_key(writer), value)) return 0;
    std::uint64_t count = 0;
    if (value.type() != ValueType::kInt || value.bytes().size() != sizeof count) throw Violation("a counter is no int");
    std::memcpy(&count, value.bytes().data(), sizeof count);
    return count;
  }

  // So that reading a large value, which pins it, finds a place in the table of pins though the store is full.
  void make_room_for_pins() {
    constexpr std::uint32_t kPins = 600;
    std::vector<Pin> pins;
    for (std::uint32_t i = 0; i < kPins; ++i) {
      const std::string key = key_text("room", 0, i);
      root_.put(key, {ValueType::kBytes, key});
      ValueType type{};
      pins.push_back(root_.pin(key, type));
    }
    pins.clear();
    root_.erase_range(KeyRange::prefix(typed("room:")));
  }

  void change_own(std::uint32_t writer, Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    const std::uint64_t key = payload_key(writer, number);
    const std::string text = own_key(writer, number);
    OracleCell& cell = scoreboard_.oracle[writer][number];
    const std::uint64_t old_version = cell.done;
    VersionStep step(cell);
    if (present(step.version())) {
      with_value(key, step.version(), [&](const Value& value) { store(random, text, key, old_version, value); });
    } else {
      remove(random, text, key, old_version);
    }
    step.finish();
  }

  // By one of the ways there are; the oracle knows that each of them must succeed.
  void store(Random& random, const std::string& text, std::uint64_t key, std::uint64_t old_version,
             const Value& value) {
    const bool was_there = present(old_version);
    ValueBuffer found;
    bool as_expected = false;
    switch (random.below(3)) {
      case 0:
        as_expected =
            was_there ? compare_and_set(text, key, old_version, value) : root_.put_if_absent(text, value, found);
        break;
      case 1:
        as_expected = was_there ? !root_.put(text, value) : root_.compare_and_set(text, std::nullopt, value);
        break;
      default:
        as_expected = root_.put(text, value) != was_there;
        break;
    }
    if (!as_expected) throw Violation("a store of " + text + " did not find what was there");
  }

  void remove(Random& random, const std::string& text, std::uint64_t key, std::uint64_t old_version) {
    ValueBuffer taken;
    bool as_expected = false;
    switch (random.below(3)) {
      case 0:
        as_expected = root_.take(text, taken) && version_in(taken.bytes(), key) == old_version;
        break;
      case 1:
        as_expected = compare_and_set(text, key, old_version, std::nullopt);
        break;
      default:
        as_expected = root_.erase(text);
        break;
    }
    if (!as_expected) throw Violation("a removal of " + text + " did not find what was there");
  }

  bool compare_and_set(const std::string& text, std::uint64_t key, std::uint64_t old_version,
                       const std::optional<Value>& wanted) {
    return with_value(key, old_version, [&](const Value& old) { return root_.compare_and_set(text, old, wanted); });
  }

  void count(std::uint32_t writer) {
    VersionStep step(scoreboard_.counters[writer]);
    const std::int64_t sum = root_.increment(counter_key(writer), 1);
    if (static_cast<std::uint64_t>(sum) != step.version()) throw Violation("a counter jumped");
    step.finish();
  }

  // put_many is atomic for each key, not over all: each has its own step.
  void change_several(std::uint32_t writer, Random& random) {
    constexpr std::uint32_t kSeveral = 8;
    const auto first = static_cast<std::uint32_t>(random.below(kKeysPerWriter - kSeveral));
    std::vector<std::string> keys;
    std::vector<std::vector<char>> contents;
    std::vector<std::unique_ptr<VersionStep>> steps;
    for (std::uint32_t number = first; number < first + kSeveral; ++number) {
      OracleCell& cell = scoreboard_.oracle[writer][number];
      if (!present(cell.done + 1)) continue;
      steps.push_back(std::make_unique<VersionStep>(cell));
      const std::uint64_t key = payload_key(writer, number);
      contents.emplace_back(Payload::size(key, steps.back()->version()));
      Payload::fill(contents.back().data(), contents.back().size(), key, steps.back()->version());
      keys.push_back(own_key(writer, number));
    }
    std::vector<ByteView> views(keys.begin(), keys.end());
    std::vector<Value> values;
    for (const auto& content : contents) values.push_back({ValueType::kBytes, {content.data(), content.size()}});
    try {
      root_.put_many(views, values);
    } catch (const Error&) {
      // Some of the first are stored: as after a death, what is there decides.
      for (std::uint32_t number = first; number < first + kSeveral; ++number) settle_own(writer, number, steps);
      throw;
    }
    for (const auto& step : steps) step->finish();
  }

  void settle_own(std::uint32_t writer, std::uint32_t number, std::vector<std::unique_ptr<VersionStep>>& steps) {
    const auto version = current_version(writer, number);
    OracleCell& cell = scoreboard_.oracle[writer][number];
    for (const auto& step : steps) {
      if (version && &step->cell() == &cell && *version == step->version()) step->finish();
    }
  }

  void put_shared(const std::string& text, std::uint32_t number, std::uint64_t version) {
    with_value(shared_payload_key(number), version, [&](const Value& value) { return root_.put(text, value); });
  }

  void change_shared(Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(kSharedKeys));
    switch (random.below(8)) {
      case 0:
        root_.erase(shared_key(number));
        return;
      case 1:
        if (random.one_in(32)) root_.erase_range(KeyRange::prefix(typed("shared:0:1")));
        return;
      case 2:
        return put_shared(steady_key(number & ~1U), number & ~1U, random.below(1'000));
      default:
        return put_shared(shared_key(number), number, random.below(1'000));
    }
  }

  void change_collections(Random& random) {
    const std::string name = collection_name(random.below(kCollections));
    try {
      switch (random.below(8)) {
        case 0:
          store_->drop(name);
          return;
        case 1:
          store_->rename(name, collection_name(random.below(kCollections)), true);
          return;
        case 2:
          return store_->hash(name).clear();
        default: {
          const auto number = static_cast<std::uint32_t>(random.below(kSharedKeys));
          Hash hash = store_->hash(name);
          with_value(shared_payload_key(number), random.below(1'000),
                     [&](const Value& value) { return hash.put(shared_key(number), value); });
        }
      }
    } catch (const Error& error) {  // another writer dropped it, or none was there to be renamed
      if (error.code() != ErrorCode::kClosed && error.code() != ErrorCode::kNotFound) throw;
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

  void look_up_shared(Random& random) {
    const auto number = static_cast<std::uint32_t>(random.below(kSharedKeys));
    const bool steady = number % 2 == 0 && random.one_in(2);
    ValueBuffer value;
    const bool found = root_.get(steady ? steady_key(number) : shared_key(number), value);
    if (found) static_cast<void>(version_in(value.bytes(), shared_payload_key(number)));
    if (steady && !found) throw Violation("a key that nobody removes is gone: " + steady_key(number));
  }

  void look_up_many(Random& random) {
    constexpr std::uint32_t kMany = 40;
    const auto first = static_cast<std::uint32_t>(random.below(kSharedKeys - kMany)) & ~1U;
    std::vector<std::string> keys;
    for (std::uint32_t i = 0; i < kMany; i += 2) keys.push_back(steady_key(first + i));
    const std::vector<ByteView> views(keys.begin(), keys.end());
    struct Context {
      std::uint32_t first;
      std::size_t answered;
      std::string wrong;
    } context{first, 0, {}};
    root_.get_many(
        views, &context,
        [](void* at, std::size_t i, ValueType, ByteView bytes) {
          auto* seen = static_cast<Context*>(at);
          ++seen->answered;
          try {
            static_cast<void>(version_in(bytes, shared_payload_key(seen->first + static_cast<std::uint32_t>(i) * 2)));
          } catch (const Violation& violation) {
            seen->wrong = violation.what();
          }
        },
        [](void* at, std::size_t) { ++static_cast<Context*>(at)->answered; });
    if (!context.wrong.empty()) throw Violation("get_many: " + context.wrong);
    if (context.answered != keys.size()) throw Violation("get_many missed a key that nobody removes");
  }

  // Keys ascend (or descend), none comes twice, and none is missed that nobody removes.
  void scan_all(Random& random) {
    const bool reverse = random.one_in(2);
    Scan scan = root_.scan(KeyRange::prefix(typed("steady:")), true, reverse);
    ScanPage page;
    std::string last;
    std::size_t found = 0;
    while (scan.next(page)) {
      for (const ScanPage::Item& item : page.items) {
        const std::string key(page.key(item));
        if (found != 0 && (reverse ? key >= last : key <= last)) throw Violation("a scan went back to " + key);
        last = key;
        ++found;
        const auto number = static_cast<std::uint32_t>(std::stoul(key.substr(key.rfind(':') + 1)));
        if (item.has_value()) static_cast<void>(version_in(page.value(item), shared_payload_key(number)));
      }
    }
    if (found != kSharedKeys / 2) throw Violation("a scan found " + std::to_string(found) + " of the steady keys");
  }

  void read_collection(Random& random) {
    const std::string name = collection_name(random.below(kCollections));
    try {
      if (store_->kind(name) != CollectionKind::kHash) return;
      const Hash hash = store_->hash(name);
      const auto number = static_cast<std::uint32_t>(random.below(kSharedKeys));
      ValueBuffer value;
      if (hash.get(shared_key(number), value)) static_cast<void>(version_in(value.bytes(), shared_payload_key(number)));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kClosed && error.code() != ErrorCode::kOverCapacity) throw;
    }
  }

  void hold(Random& random) {
    if (held_.size() == kMostHeld) return;
    const auto writer = static_cast<std::uint32_t>(random.below(writers_));
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    try {
      ValueType type{};
      Pin pin = root_.pin(own_key(writer, number), type);
      if (!pin) return;
      const std::uint64_t key = payload_key(writer, number);
      const std::uint64_t version = version_in(pin.bytes(), key);
      held_.push_back({key, version, std::move(pin)});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOverCapacity) throw;
    }
  }

  void release(Random& random) {
    if (held_.empty()) return;
    std::swap(held_[random.below(held_.size())], held_.back());
    const Held held = std::move(held_.back());
    held_.pop_back();
    if (version_in(held.pin.bytes(), held.key) != held.version) throw Violation("a pinned value changed");
  }

  Hash root_;
  std::vector<Held> held_;  // of this process
};

}  // namespace

std::unique_ptr<Workload> make_hash_workload(const WorkloadOptions& options, Scoreboard& scoreboard) {
  return std::make_unique<HashWorkload>(options, scoreboard);
}

}  // namespace kv::crash
