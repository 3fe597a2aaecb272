#include "csv/guessed_pass.hpp"

#include <numeric>
#include <utility>

#include "csv/row_block.hpp"
#include "csv/row_reader.hpp"

namespace kv::csv {

// One thread's share.
class GuessedPass::Reader {
 public:
  Reader(const Input& input, std::deque<SharedDictionary>& texts, unsigned thread)
      : input_(input),
        writer_(input.sink, thread, input.schema.record_bytes()),
        block_(input.columns.size(), writer_.capacity()) {
    const std::vector<FileColumn>& columns = input.columns;
    auto stored = input.schema.columns().begin();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      parsers_.emplace_back(i, columns[i], columns[i].stored ? &*stored++ : nullptr, input.guess.profiles[i],
                            columns[i].is_category() ? &texts[i] : nullptr, input.inference.missing);
    }
  }

  std::uint64_t read(std::size_t index, const Stop& stop, std::atomic<bool>& holds) {
    RowReader reader(input_.inference.source, input_.inference.ranges[index], input_.columns.size());
    writer_.begin_range(index);
    const std::uint64_t delivered = delivered_;
    while (block_.fill(reader)) {
      if (stop(index)) return 0;
      rows_ += block_.rows();
      if (holds.load(std::memory_order_relaxed) && parse_block()) continue;
      holds.store(false, std::memory_order_relaxed);
      learn_block(reader);
    }
    if (holds.load(std::memory_order_relaxed)) writer_.deliver();
    for (ColumnParser& parser : parsers_) parser.profile().finish_range();
    return delivered_ - delivered;
  }

  [[nodiscard]] std::vector<ColumnParser>& parsers() noexcept { return parsers_; }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  // False = the guess is wrong.
  bool parse_block() {
    if (!writer_.has_room(block_.rows())) writer_.deliver();
    records_.assign(block_.rows(), nullptr);
    try {
      std::size_t accepted = 0;
      for (std::size_t row = 0; row < block_.rows(); ++row) {
        if (accepts(block_.row(row))) records_[row] = writer_.record(accepted++);
      }
      refused_ += block_.rows() - accepted;
      for (ColumnParser& parser : parsers_) {
        if (!parser.parse(block_, records_)) return false;
      }
      for (std::size_t row = 0; row < block_.rows(); ++row) {
        if (records_[row] == nullptr) continue;
        input_.key.append(block_.row(row), input_.inference.missing, scratch_, writer_.keys());
        writer_.end_row(block_.line(row));
      }
      delivered_ += accepted;
    } catch (const FieldError&) {
      return false;
    }
    return true;
  }

  [[nodiscard]] bool accepts(std::span<const Field> fields) {
    return input_.filter.empty() || input_.filter.accepts(fields, input_.inference.missing, scratch_);
  }

  void learn_block(const RowReader& reader) {
    for (std::size_t row = 0; row < block_.rows(); ++row) {
      const std::span<const Field> fields = block_.row(row);
      try {
        for (std::size_t i = 0; i < fields.size(); ++i) {
          parsers_[i].profile().add(fields[i], i, input_.columns[i].column, input_.inference.missing);
        }
      } catch (const FieldError& error) {
        throw reader.error_in(fields[0].begin, block_.line(row), fields[error.field].begin, error.what);
      }
    }
  }

  const Input& input_;
  BatchWriter writer_;
  RowBlock block_;
  std::vector<ColumnParser> parsers_;
  std::vector<char*> records_;
  std::string scratch_;
  std::uint64_t rows_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t delivered_ = 0;
};

GuessedPass::GuessedPass(const Input& input, unsigned threads) : input_(input) {
  for (const Dictionary& known : input_.guess.dictionaries) texts_.emplace_back(known);
  for (unsigned thread = 0; thread < threads; ++thread) {
    readers_.push_back(std::make_unique<Reader>(input_, texts_, thread));
  }
}

GuessedPass::~GuessedPass() = default;

std::uint64_t GuessedPass::read(unsigned thread, std::size_t range, const Stop& stop) {
  return readers_[thread]->read(range, stop, holds_);
}

Profiles GuessedPass::take_profiles() {
  Profiles profiles;
  for (ColumnParser& parser : readers_.front()->parsers()) profiles.push_back(std::move(parser.profile()));
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    for (std::size_t reader = 1; reader < readers_.size(); ++reader) {
      profiles[i].merge(readers_[reader]->parsers()[i].profile());
    }
    if (!input_.columns[i].is_category()) continue;
    profiles[i].add_texts(input_.guess.dictionaries[i]);
    profiles[i].add_texts(texts_[i].found());
  }
  return profiles;
}

std::uint64_t GuessedPass::rows() const noexcept {
  return std::accumulate(readers_.begin(), readers_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& reader) { return sum + reader->rows(); });
}

std::uint64_t GuessedPass::refused() const noexcept {
  return std::accumulate(readers_.begin(), readers_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& reader) { return sum + reader->refused(); });
}

std::vector<ByteView> GuessedPass::texts(std::size_t column) const {
  std::vector<ByteView> texts = texts_[column].known().texts();
  const std::vector<ByteView> found = texts_[column].found().texts();
  texts.insert(texts.end(), found.begin(), found.end());
  return texts;
}

}  // namespace kv::csv
