// One thread's way to parse a column whose type is a guess: writes values of that type into records, and learns from
// all of them what inference would, so that in the end the guess is proved right or wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "csv/column_profile.hpp"
#include "csv/row_block.hpp"
#include "csv/shared_dictionary.hpp"

namespace kv::csv {

class ColumnParser {
 public:
  // Field number `field` of each row. `stored` says how it lies in a record, nullptr = not at all; `texts` belongs to a
  // stored category. `profile` is that of a sample. All are borrowed.
  ColumnParser(std::size_t field, const FileColumn& column, const Column* stored, const ColumnProfile& profile,
               SharedDictionary* texts, const MissingTokens& missing);

  // Reads the column of all rows of the block; `records` holds the record of each, nullptr if it has none. False = a
  // value is not what the guess says, or is an error: what was written is of no use then. Whatever the answer, the
  // rows can be learnt from again.
  [[nodiscard]] bool parse(const RowBlock& block, std::span<char* const> records);

  [[nodiscard]] ColumnProfile& profile() noexcept { return profile_; }

 private:
  enum class Way : std::uint8_t { kNothing, kLength, kAny, kInt, kFloat, kCodes };

  static Way way_of(const FileColumn& column, const Column* stored, const ColumnProfile& profile) noexcept;
  void learn_length(const RowBlock& block);
  void parse_any(const RowBlock& block, std::span<char* const> records);
  void parse_ints(const RowBlock& block, std::span<char* const> records);
  void parse_floats(const RowBlock& block, std::span<char* const> records);
  [[nodiscard]] bool parse_codes(const RowBlock& block, std::span<char* const> records);
  void parse_one(const Field& field, char* record);
  [[nodiscard]] bool write_queued();
  [[nodiscard]] bool write_code(ByteView text, std::uint64_t hash, char* at);

  struct Queued {
    ByteView text;
    std::uint64_t hash;
    char* at;  // nullptr = nowhere
  };

  std::size_t field_;
  const FileColumn& column_;
  const Column* stored_;
  const MissingTokens& missing_;
  ColumnProfile profile_;
  Way way_;
  std::unique_ptr<DictionaryReader> texts_;  // of a stored category
  std::vector<Queued> queue_;
  std::string scratch_;
};

}  // namespace kv::csv
