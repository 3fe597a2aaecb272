// Set algebra in place, which goes in steps: each writer changes a Set of its own by another one that it fills before,
// so that killed on the way each member is there as before or as after. Besides there is a Set that all change by each
// other's, which must merely stay sound.
#include <algorithm>

#include "store_workload.hpp"

namespace kv::crash {
namespace {

constexpr std::size_t kMostOfABatch = 24;

class SetWorkload final : public StoreWorkload {
 public:
  SetWorkload(const WorkloadOptions& options, Scoreboard& scoreboard) : StoreWorkload(options, scoreboard) {
    for (std::uint32_t writer = 0; writer < writers_; ++writer) {
      own_.push_back(open("own-" + std::to_string(writer)));
      operands_.push_back(open("operand-" + std::to_string(writer)));
    }
    shared_.push_back(open("shared"));
  }

  void read(Random& random) override {
    switch (random.below(8)) {
      case 0:
        return walk(shared_.front());
      case 1:
        return count_common(random);
      default:
        return look_up(random);
    }
  }

  void settle(std::uint32_t writer) override {
    for (std::uint32_t number = 0; number < kKeysPerWriter; ++number) {
      settle_presence(scoreboard_.oracle[writer][number], own_[writer].contains(member(number)));
    }
  }

 private:
  enum class Operation : std::uint8_t { kUnite, kSubtract, kIntersect, kSymmetricDifference };

  [[nodiscard]] Ordered open(const std::string& name) { return store_->ordered(name, CollectionKind::kSet); }

  // Texts of all lengths up to the longest, so that the index has nodes of every kind.
  static std::string member(std::uint32_t number) {
    return ordered_key::of_bytes(KeyType::kText,
                                 std::string(number % 5 * number % 300, 'x') + std::to_string(number * 7919 % 1000));
  }

  void change(std::uint32_t writer, Random& random) override {
    if (random.one_in(4)) return change_shared(writer, random);
    const auto operation = static_cast<Operation>(random.below(4));
    const std::vector<std::uint32_t> batch = choose(writer, operation, random);
    fill_operand(writer, operation, batch);
    std::vector<std::unique_ptr<VersionStep>> steps;
    for (const std::uint32_t number : batch) {
      steps.push_back(std::make_unique<VersionStep>(scoreboard_.oracle[writer][number]));
    }
    try {
      apply(own_[writer], operation, operands_[writer]);
    } catch (const Error&) {  // the store was full: some are done
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (own_[writer].contains(member(batch[i])) == present(steps[i]->version())) steps[i]->finish();
      }
      throw;
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (own_[writer].contains(member(batch[i])) != present(steps[i]->version())) {
        throw Violation("a set operation left a member as it was: " + std::to_string(batch[i]));
      }
      steps[i]->finish();
    }
  }

  // Members that the operation takes from their present version to the next.
  std::vector<std::uint32_t> choose(std::uint32_t writer, Operation operation, Random& random) const {
    std::vector<std::uint32_t> batch;
    const auto first = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    for (std::uint32_t i = 0; i < kKeysPerWriter && batch.size() < kMostOfABatch; ++i) {
      const std::uint32_t number = (first + i) % kKeysPerWriter;
      const std::uint64_t version = scoreboard_.oracle[writer][number].done;
      const bool there = present(version), there_next = present(version + 1);
      const bool fits = operation == Operation::kUnite                 ? there_next
                        : operation == Operation::kSymmetricDifference ? there != there_next
                                                                       : !there_next;
      if (fits) batch.push_back(number);
    }
    return batch;
  }

  // What the own set has to be combined with; for an intersection everything but the batch.
  void fill_operand(std::uint32_t writer, Operation operation, const std::vector<std::uint32_t>& batch) {
    Ordered& operand = operands_[writer];
    operand.clear();
    for (std::uint32_t number = 0; number < kKeysPerWriter; ++number) {
      const bool in_batch = std::find(batch.begin(), batch.end(), number) != batch.end();
      if (in_batch != (operation == Operation::kIntersect)) operand.add(member(number));
    }
  }

  static void apply(Ordered& set, Operation operation, const Ordered& operand) {
    switch (operation) {
      case Operation::kUnite:
        return set.unite(operand);
      case Operation::kSubtract:
        return set.subtract(operand);
      case Operation::kIntersect:
        return set.intersect(operand);
      case Operation::kSymmetricDifference:
        return set.symmetric_difference(operand);
    }
  }

  void change_shared(std::uint32_t writer, Random& random) {
    Ordered& shared = shared_.front();
    if (random.one_in(8)) {
      std::string taken;
      ValueBuffer value;
      if (random.one_in(2)) {
        shared.take_first(taken, value);
      } else {
        shared.take_last(taken, value);
      }
      return;
    }
    if (random.one_in(8)) {
      constexpr std::uint64_t kTtlMs = 5;
      shared.add(member(static_cast<std::uint32_t>(random.below(kKeysPerWriter))), kTtlMs);
      return;
    }
    apply(shared, static_cast<Operation>(random.below(4)), own_[(writer + 1) % writers_]);
  }

  void look_up(Random& random) {
    const auto writer = static_cast<std::uint32_t>(random.below(writers_));
    const auto number = static_cast<std::uint32_t>(random.below(kKeysPerWriter));
    const VersionRange range(scoreboard_.oracle[writer][number]);
    range.check_presence(own_[writer].contains(member(number)));
  }

  // Members ascend, and none comes twice.
  static void walk(const Ordered& set) {
    Scan scan = set.scan({}, false);
    std::string last;
    for (ScanPage page; scan.next(page);) {
      for (const ScanPage::Item& item : page.items) {
        const std::string key(page.key(item));
        if (key <= last) throw Violation("a set goes back to " + key);
        last = key;
      }
    }
  }

  void count_common(Random& random) {
    const Ordered& left = own_[random.below(writers_)];
    const Ordered& right = own_[random.below(writers_)];
    if (left.intersection_count(right) > kKeysPerWriter) throw Violation("more members in common than there are");
  }

  std::optional<std::uint64_t> current_version(std::uint32_t, std::uint32_t) override { return std::nullopt; }
  void let_go() override {}
  void clear() override {
    for (auto* sets : {&own_, &operands_, &shared_}) {
      for (Ordered& set : *sets) set.clear();
    }
  }

  std::vector<Ordered> own_;       // by writer
  std::vector<Ordered> operands_;  // by writer
  std::vector<Ordered> shared_;    // one
};

}  // namespace

std::unique_ptr<Workload> make_set_workload(const WorkloadOptions& options, Scoreboard& scoreboard) {
  return std::make_unique<SetWorkload>(options, scoreboard);
}

}  // namespace kv::crash
