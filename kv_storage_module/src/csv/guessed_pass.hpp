// The one pass over a large file: parses its rows as the guess says while it learns what inference would. Where a value
// contradicts the guess, it goes on as inference alone, and the rows have to be parsed once more.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "csv/batch_writer.hpp"
#include "csv/column_parser.hpp"
#include "csv/inference.hpp"
#include "csv/key_template.hpp"
#include "csv/row_filter.hpp"
#include "csv/shared_dictionary.hpp"

namespace kv::csv {

class GuessedPass {
 public:
  struct Input {
    InferenceInput inference;
    const std::vector<FileColumn>& columns;  // as guessed
    const Schema& schema;
    const Guess& guess;
    const RowFilter& filter;
    const KeyTemplate& key;
    const BatchSink& sink;
  };

  // What it is given is borrowed.
  GuessedPass(const Input& input, unsigned threads);
  ~GuessedPass();
  GuessedPass(const GuessedPass&) = delete;
  GuessedPass& operator=(const GuessedPass&) = delete;

  // Reads a range; returns how many rows were delivered. By several threads at a time, each with its own number.
  std::uint64_t read(unsigned thread, std::size_t range, const Stop& stop);
  // False as soon as any thread has found that the guess is wrong.
  [[nodiscard]] bool holds() const noexcept { return holds_.load(std::memory_order_relaxed); }

  // When all ranges have been read: what was learnt about each column, how many rows there are, how many were refused.
  [[nodiscard]] Profiles take_profiles();
  [[nodiscard]] std::uint64_t rows() const noexcept;
  [[nodiscard]] std::uint64_t refused() const noexcept;
  // The codes that texts have in the records, in their order: those of the sample, then those found.
  [[nodiscard]] std::vector<ByteView> texts(std::size_t column) const;

 private:
  class Reader;

  Input input_;
  std::deque<SharedDictionary> texts_;  // by column
  std::vector<std::unique_ptr<Reader>> readers_;
  std::atomic<bool> holds_{true};
};

}  // namespace kv::csv
