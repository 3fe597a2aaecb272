#include "csv/column_profile.hpp"

#include <algorithm>
#include <utility>

namespace kv::csv {
namespace {

constexpr std::size_t kQueueLength = 32;
constexpr std::size_t kSurelyExactDigits = 15;  // no integer of this many characters exceeds 2^53

// Whether all of `kinds` are among `allowed`, and there is at least one.
bool only(unsigned kinds, unsigned allowed) noexcept { return kinds != 0 && (kinds & ~allowed) == 0; }

FieldError too_long(std::size_t index, const Column& column) {
  return {.field = index,
          .what = "a text longer than 65,535 bytes in column '" + column.name +
                  "'; leave the column out with the type skip, or check the quotes around it"};
}

}  // namespace

ColumnProfile::ColumnProfile(const FileColumn& column) : interest_(Interest::kNothing) {
  switch (column.request) {
    case Request::kInfer:
      interest_ = Interest::kKind;
      collects_ = column.stored;
      return;
    case Request::kText:
      interest_ = Interest::kTexts;
      break;
    case Request::kBytes:
      interest_ = Interest::kLength;
      break;
    case Request::kFixed:
      if (column.column.type == ColumnType::kCategory) interest_ = Interest::kTexts;
      unlimited_ = true;
      break;
    case Request::kSkip:
      break;
  }
  kinds_ = kKindText;
}

ColumnProfile ColumnProfile::after(const ColumnProfile& sample) {
  ColumnProfile profile(sample.interest_);
  profile.kinds_ = sample.kinds_;
  profile.collects_ = sample.collects_;
  profile.unlimited_ = sample.unlimited_;
  profile.has_missing_ = sample.has_missing_;
  profile.longest_ = sample.longest_;
  // It gave up on texts that it had not collected from the beginning; now this is the beginning.
  if (sample.collects_ && sample.uncollected_ && sample.is_surely_text()) profile.interest_ = Interest::kTexts;
  return profile;
}

void ColumnProfile::learn(const Field& field, std::size_t index, const Column& column, const MissingTokens& missing) {
  if (field.size > 2 * kMaxTextBytes) throw too_long(index, column);
  const ByteView text = field.text(scratch_);
  if (missing.contains(text)) {
    has_missing_ = true;
    return;
  }
  if (text.size() > longest_) {
    if (text.size() > kMaxTextBytes) throw too_long(index, column);
    longest_ = text.size();
  }
  if (interest_ == Interest::kKind) {
    learn_kind(field, text);
  } else if (interest_ == Interest::kTexts) {
    if ((kinds_ & kKindText) == 0) kinds_ |= classify(text);
    collect(field, text);
  }
}

void ColumnProfile::learn_kind(const Field& field, ByteView text) {
  std::int64_t number = 0;
  if (kinds_ == kKindInt && text.size() <= kSurelyExactDigits && parse_int(text, number)) return;
  if ((kinds_ & kKindFloat) != 0 && looks_like_float(text)) return;  // an integer is as good as a float here
  const Kind kind = classify(text);
  if (kinds_ == 0 && (kind == kKindText || kind == kKindBool)) {
    interest_ = Interest::kTexts;
    kinds_ = kind;
    collect(field, text);
    return;
  }
  kinds_ |= kind;
  uncollected_ = true;
  if (is_surely_text()) interest_ = Interest::kLength;
}

void ColumnProfile::collect(const Field& field, ByteView text) {
  if (!collects_) {
    if (is_surely_text()) interest_ = Interest::kLength;
    return;
  }
  const std::uint64_t hash = Dictionary::hash(text);
  if (field.escaped != 0) {  // the text lies in scratch_, which the next field overwrites
    if (texts_.add(text, hash)) limit_texts();
    return;
  }
  texts_.prefetch_slot(hash);
  queue_.push_back({.text = text, .hash = hash});
  if (queue_.size() == kQueueLength) flush();
}

void ColumnProfile::flush() {
  for (const Queued& next : queue_) texts_.prefetch_text(next.hash);
  for (const Queued& next : queue_) {
    if (!too_many_texts_ && texts_.add(next.text, next.hash)) limit_texts();
  }
  queue_.clear();
}

void ColumnProfile::limit_texts() {
  if (unlimited_ || texts_.size() <= kSmallDictionary || texts_.text_bytes() <= kMaxDictionaryBytes) return;
  too_many_texts_ = true;
  uncollected_ = true;
  texts_ = Dictionary();
  interest_ = Interest::kLength;
}

void ColumnProfile::merge(const ColumnProfile& other) {
  kinds_ |= other.kinds_;
  has_missing_ |= other.has_missing_;
  uncollected_ |= other.uncollected_;
  too_many_texts_ |= other.too_many_texts_;
  longest_ = std::max(longest_, other.longest_);
  add_texts(other.texts_);
}

void ColumnProfile::add_texts(const Dictionary& texts) {
  for (const ByteView text : texts.texts()) {
    if (too_many_texts_) return;
    if (texts_.add(text)) limit_texts();
  }
}

void ColumnProfile::take_texts(ColumnProfile&& second) {
  texts_ = std::move(second.texts_);
  too_many_texts_ = second.too_many_texts_;
  uncollected_ = second.uncollected_;
}

bool ColumnProfile::is_surely_text() const noexcept {
  return type() == ColumnType::kBytes && !only(kinds_, kKindInt | kKindWideInt | kKindHugeInt);
}

ColumnType ColumnProfile::type() const noexcept {
  const bool inexact = has_missing_ && (kinds_ & kKindWideInt) != 0;
  if (kinds_ == 0) return ColumnType::kFloat64;
  if (only(kinds_, kKindInt | kKindWideInt) && !inexact)
    return has_missing_ ? ColumnType::kFloat64 : ColumnType::kInt64;
  if ((kinds_ & kKindFloat) != 0 && only(kinds_, kKindInt | kKindWideInt | kKindHugeInt | kKindFloat)) {
    return ColumnType::kFloat64;
  }
  if (kinds_ == kKindDate) return ColumnType::kDate;
  if (only(kinds_, kKindDate | kKindDatetime)) return ColumnType::kDatetime;
  if (kinds_ == kKindBool && !has_missing_) return ColumnType::kBool;
  return ColumnType::kBytes;
}

}  // namespace kv::csv
