// Feeding many (key, value) pairs into a collection: update(), put_many() and their accepted shapes of input.
#pragma once

#include <Python.h>

#include <span>
#include <vector>

#include "bind.hpp"

namespace kv::py {

// Collects pairs and hands them on in batches, so that an endless iterator needs no endless memory.
class PairBatches {
 public:
  static constexpr std::size_t kBatch = 4096;

  virtual ~PairBatches() = default;
  void add(Ref key, Ref value) {
    keys_.push_back(std::move(key));
    values_.push_back(std::move(value));
    if (keys_.size() == kBatch) flush();
  }
  void flush() {
    if (!keys_.empty()) store(keys_, values_);
    keys_.clear();
    values_.clear();
    check(PyErr_CheckSignals());
  }

 protected:
  // Stores the pairs in order. If one cannot be stored, those before it are, and it throws.
  virtual void store(std::span<const Ref> keys, std::span<const Ref> values) = 0;

 private:
  std::vector<Ref> keys_;
  std::vector<Ref> values_;
};

// What dict.update() takes: a mapping (anything with keys()) or an iterable of pairs.
void feed_mapping_or_pairs(PairBatches& batches, PyObject* source);
// Two iterables of the same length; ArgumentError if they are not.
void feed_keys_and_values(ModuleState& state, PairBatches& batches, PyObject* keys, PyObject* values);

// The items of an iterable of keys as a tuple, whose items cannot change or vanish while they are used. A single str or
// bytes is refused: it is one key and not many.
[[nodiscard]] Ref key_tuple(ModuleState& state, PyObject* keys);

}  // namespace kv::py
