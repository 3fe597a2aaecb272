// What one thread learns about one column while it reads its part of the rows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "csv/column.hpp"
#include "csv/dictionary.hpp"
#include "csv/row_reader.hpp"
#include "csv/values.hpp"

namespace kv::csv {

// A dictionary that exceeds both is given up, unless it was asked for.
inline constexpr std::size_t kSmallDictionary = 65'536;          // texts
inline constexpr std::uint64_t kMaxDictionaryBytes = 4U << 20U;  // of all texts

class ColumnProfile {
 public:
  explicit ColumnProfile(const FileColumn& column);
  // For a second look at the column: only collects its texts, or nothing at all.
  static ColumnProfile texts_only() { return ColumnProfile(Interest::kTexts); }
  static ColumnProfile nothing() { return ColumnProfile(Interest::kNothing); }
  // For a look at all rows after one at some of them: knows what `sample` knows, except for its texts.
  static ColumnProfile after(const ColumnProfile& sample);

  // Learns from a field. Throws FieldError for text that cannot be stored; `index` is the field's.
  void add(const Field& field, std::size_t index, const Column& column, const MissingTokens& missing) {
    if (interest_ != Interest::kNothing) learn(field, index, column, missing);
  }
  // What add() learns from values that are not missing, for whoever knows it already: their kinds, and the length of
  // the longest. Their texts have to be added in the end.
  void note(std::uint8_t kinds, std::size_t longest) noexcept {
    if (interest_ == Interest::kNothing) return;
    kinds_ |= kinds;
    longest_ = std::max(longest_, longest);
  }
  void note_missing() noexcept { has_missing_ = true; }
  // To be called before the fields that add() was given go away.
  void finish_range() { flush(); }
  void merge(const ColumnProfile& other);
  void add_texts(const Dictionary& texts);
  // Those of a second look at the column instead of those of the first.
  void take_texts(ColumnProfile&& second);

  // The type of a column of which this is all there is; kBytes stands for text.
  [[nodiscard]] ColumnType type() const noexcept;
  // Whether it is text whatever else may come. Large integers are not: with a fraction among them, they are float64.
  [[nodiscard]] bool is_surely_text() const noexcept;
  [[nodiscard]] bool wants_kinds() const noexcept {
    return interest_ == Interest::kKind || (interest_ == Interest::kTexts && (kinds_ & kKindText) == 0);
  }
  [[nodiscard]] bool wants_length() const noexcept { return interest_ != Interest::kNothing; }
  [[nodiscard]] bool has_seen(Kind kind) const noexcept { return (kinds_ & kind) != 0; }
  [[nodiscard]] std::size_t longest() const noexcept { return longest_; }
  [[nodiscard]] bool too_many_texts() const noexcept { return too_many_texts_; }
  // Whether texts() holds all there are: false if values had passed before the column proved to be text.
  [[nodiscard]] bool complete() const noexcept { return !uncollected_; }
  [[nodiscard]] const Dictionary& texts() const noexcept { return texts_; }

 private:
  enum class Interest : std::uint8_t { kNothing, kLength, kTexts, kKind };

  explicit ColumnProfile(Interest interest) : interest_(interest), kinds_(kKindText) {}
  void learn(const Field& field, std::size_t index, const Column& column, const MissingTokens& missing);
  void learn_kind(const Field& field, ByteView text);
  void collect(const Field& field, ByteView text);
  void flush();
  void limit_texts();

  Interest interest_;
  std::uint8_t kinds_ = 0;  // of Kind, all seen
  bool collects_ = true;    // texts, if it comes to be text
  bool unlimited_ = false;
  bool has_missing_ = false;
  bool uncollected_ = false;
  bool too_many_texts_ = false;
  std::size_t longest_ = 0;
  Dictionary texts_;
  struct Queued {
    ByteView text;
    std::uint64_t hash;
  };
  std::vector<Queued> queue_;  // to be added to texts_
  std::string scratch_;
};

}  // namespace kv::csv
