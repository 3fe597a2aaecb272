// The texts of a category while threads read them for the first time: those that a sample has shown are known to all,
// and read without a lock; others are numbered behind them as they are found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "csv/dictionary.hpp"

namespace kv::csv {

class SharedDictionary {
 public:
  // `known` is borrowed.
  explicit SharedDictionary(const Dictionary& known) noexcept : known_(known) {}

  [[nodiscard]] const Dictionary& known() const noexcept { return known_; }
  // The code of a text that is not known. Thread-safe.
  [[nodiscard]] std::uint32_t code(ByteView text, std::uint64_t hash) {
    const std::lock_guard lock(mutex_);
    (void)found_.add(text, hash);
    return known_.size() + found_.find(text, hash).value_or(0);  // it is there
  }
  // All that have been found, in the order of their codes. When the threads have ended.
  [[nodiscard]] const Dictionary& found() const noexcept { return found_; }

 private:
  const Dictionary& known_;
  std::mutex mutex_;
  Dictionary found_;
};

// One thread's way to it: what it found itself once, it finds again without a lock.
class DictionaryReader {
 public:
  explicit DictionaryReader(SharedDictionary& shared) noexcept : shared_(&shared) {}

  void prefetch_slot(std::uint64_t hash) const noexcept { shared_->known().prefetch_slot(hash); }
  void prefetch_text(std::uint64_t hash) const noexcept { shared_->known().prefetch_text(hash); }
  [[nodiscard]] std::uint32_t code(ByteView text, std::uint64_t hash) {
    if (const auto known = shared_->known().find(text, hash)) return *known;
    if (const auto own = own_.find(text, hash)) return codes_[*own];
    codes_.push_back(shared_->code(text, hash));
    (void)own_.add(text, hash);
    return codes_.back();
  }

 private:
  SharedDictionary* shared_;
  Dictionary own_;
  std::vector<std::uint32_t> codes_;  // by number in own_
};

}  // namespace kv::csv
