// A CSV file, read in parallel: what its columns are, and its rows as fixed-size records with keys.
//
//   CsvFile file(options);            // maps it, reads the header, checks the names in the options
//   file.infer();                     // first pass: schema() and categories() are known
//   file.parse([](unsigned thread, CsvBatch&& batch) { ... });        // second pass
//
// or, with the same result, in one pass if a sample of the file shows what its columns are:
//
//   if (!file.guess() || !file.parse_guessed(sink)) {                 // what was delivered is void:
//     file.parse(sink);                                               // infer() has been done for you
//   }
//
// Nothing here knows of a store. Every error names file, line and column; of several the first in the file is thrown,
// whatever the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "csv/ranges.hpp"
#include "kv_storage/csv.hpp"
#include "kv_storage/schema.hpp"

namespace kv::csv {

// Rows that follow one another in the file, except for those the filter refused.
struct CsvBatch {
  std::size_t range = 0;     // Batches in file order: by range, then by sequence. `lines` ascend in that order too:
  std::size_t sequence = 0;  // of two rows, the one with the smaller line comes first in the file.
  std::size_t rows = 0;
  std::size_t record_bytes = 0;
  std::vector<char> records;            // end to end; may be longer than rows * record_bytes
  std::string keys;                     // end to end
  std::vector<std::uint32_t> key_ends;  // of each row
  std::vector<std::uint64_t> lines;     // where each row begins, from 1

  [[nodiscard]] const char* record(std::size_t row) const noexcept { return records.data() + row * record_bytes; }
  [[nodiscard]] ByteView key(std::size_t row) const noexcept {
    const std::size_t begin = row == 0 ? 0 : key_ends[row - 1];
    return ByteView(keys).substr(begin, key_ends[row] - begin);
  }
};

// Called by `thread` (from 0 to threads() - 1), never by one thread twice at a time. It may move the batch, or parts of
// it, away; what it leaves is used again. If it throws, parsing ends with that exception.
using BatchSink = std::function<void(unsigned thread, CsvBatch&& batch)>;

class CsvFile {
 public:
  // Throws Error: kIo (missing, unreadable, a directory), kInvalidArgument (an impossible option), kParse (no header,
  // two columns of one name, an unknown column in types, key or where).
  // The text is cut into ranges of about `range_bytes`, each of which one thread parses.
  explicit CsvFile(const CsvOptions& options, std::size_t range_bytes = kRangeBytes);
  ~CsvFile();
  CsvFile(const CsvFile&) = delete;
  CsvFile& operator=(const CsvFile&) = delete;

  // To be called once, first. `progress` is called on this thread and counts the first half of the file's bytes here,
  // the second half in parse().
  void infer(const CsvProgress& progress = {});

  // To be called once, instead of infer(): looks at some rows all over the file, after which schema() is what it
  // probably is, and parse_guessed() is next. False: the file is small, and infer() has been done instead.
  [[nodiscard]] bool guess(const CsvProgress& progress = {});
  // Delivers all rows that the filter accepts, with schema() as guessed; returns how many it refused. Codes of
  // categories are provisional: recode() makes them what they are. Nothing: the guess was wrong; schema() has been put
  // right, parse() is next, and what was delivered is void. Errors in the file are those of infer(), then parse().
  [[nodiscard]] std::optional<std::uint64_t> parse_guessed(const BatchSink& sink, const CsvProgress& progress = {});
  // After parse_guessed(): makes the codes in `rows` records, end to end at `records`, those of categories().
  // Thread-safe.
  void recode(char* records, std::size_t rows) const noexcept;
  // Whether there is anything for it to do.
  [[nodiscard]] bool needs_recoding() const noexcept;

  // The columns that are stored, in file order. If the key is one column and nothing else, "{id}", that column is not
  // stored again in the record, unless `types` names it.
  [[nodiscard]] const Schema& schema() const noexcept;
  // Of each column of schema(): the texts of a category in the order of their codes, which is their order by byte; of
  // another type none.
  [[nodiscard]] const std::vector<std::vector<std::string>>& categories() const noexcept;
  // In the file; after guess(), until they have been read, at most so many.
  [[nodiscard]] std::uint64_t rows() const noexcept;
  [[nodiscard]] std::uint64_t bytes() const noexcept;  // of the file
  [[nodiscard]] unsigned threads() const noexcept;

  // About `count` keys of rows from all over the file, in no order, after infer() or guess(). Rows with an error end
  // what is looked at around them: parse() will report it.
  [[nodiscard]] std::vector<std::string> sample_keys(std::size_t count) const;

  // Delivers all rows that the filter accepts; returns how many it refused.
  std::uint64_t parse(const BatchSink& sink, const CsvProgress& progress = {});

 private:
  // The last report of progress.
  void finish(const CsvProgress& progress, std::uint64_t refused) const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kv::csv
