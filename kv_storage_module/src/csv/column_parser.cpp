#include "csv/column_parser.hpp"

#include <algorithm>
#include <cstring>

#include "csv/record_writer.hpp"

namespace kv::csv {
namespace {

constexpr std::size_t kQueueLength = 64;

// Whether a field may be read without a look at its quotes, or at the texts that stand for a missing value.
bool is_plain(const Field& field, const MissingTokens& missing) noexcept {
  return field.size != 0 && field.size <= kMaxTextBytes && field.escaped == 0 && !missing.may_begin(field.data[0]);
}

}  // namespace

ColumnParser::ColumnParser(std::size_t field, const FileColumn& column, const Column* stored,
                           const ColumnProfile& profile, SharedDictionary* texts, const MissingTokens& missing)
    : field_(field),
      column_(column),
      stored_(stored),
      missing_(missing),
      profile_(profile),
      way_(way_of(column, stored, profile)) {
  if (texts != nullptr) texts_ = std::make_unique<DictionaryReader>(*texts);
}

ColumnParser::Way ColumnParser::way_of(const FileColumn& column, const Column* stored,
                                       const ColumnProfile& profile) noexcept {
  if (stored == nullptr) {
    if (profile.wants_kinds()) return Way::kAny;
    return profile.wants_length() ? Way::kLength : Way::kNothing;
  }
  const bool declared = column.request == Request::kFixed;
  switch (stored->type) {
    case ColumnType::kCategory:
      return Way::kCodes;
    case ColumnType::kInt64:
      return Way::kInt;
    case ColumnType::kFloat64:
      // Of integers it is float64 only because some are missing; each of them has to be looked at.
      return declared || profile.has_seen(kKindFloat) ? Way::kFloat : Way::kAny;
    default:
      return Way::kAny;
  }
}

bool ColumnParser::parse(const RowBlock& block, std::span<char* const> records) {
  try {
    switch (way_) {
      case Way::kNothing:
        break;
      case Way::kLength:
        learn_length(block);
        break;
      case Way::kAny:
        parse_any(block, records);
        break;
      case Way::kInt:
        parse_ints(block, records);
        break;
      case Way::kFloat:
        parse_floats(block, records);
        break;
      case Way::kCodes:
        return parse_codes(block, records);
    }
  } catch (const FieldError&) {
    return false;
  }
  return true;
}

void ColumnParser::learn_length(const RowBlock& block) {
  for (std::size_t row = 0; row < block.rows(); ++row) {
    const Field& field = block.field(row, field_);
    if (field.size > profile_.longest()) profile_.add(field, field_, column_.column, missing_);
  }
}

// By inference's and parsing's general means.
void ColumnParser::parse_one(const Field& field, char* record) {
  profile_.add(field, field_, column_.column, missing_);
  if (stored_ == nullptr || record == nullptr) return;
  const ByteView text = field.text(scratch_);
  char* const at = record + stored_->offset;
  if (missing_.contains(text)) {
    RecordWriter::write_missing(field_, *stored_, text, at);
  } else {
    RecordWriter::write_value(field_, *stored_, text, at);
  }
}

void ColumnParser::parse_any(const RowBlock& block, std::span<char* const> records) {
  for (std::size_t row = 0; row < block.rows(); ++row) parse_one(block.field(row, field_), records[row]);
}

void ColumnParser::parse_ints(const RowBlock& block, std::span<char* const> records) {
  constexpr std::size_t kDigits = 8;
  std::size_t longest = 0;
  for (std::size_t row = 0; row < block.rows(); ++row) {
    const Field& field = block.field(row, field_);
    std::uint64_t value = 0;
    if (field.size > kDigits || !is_plain(field, missing_) || !parse_up_to_8_digits(field.data, field.size, value)) {
      parse_one(field, records[row]);
      continue;
    }
    longest = std::max(longest, field.size);
    if (records[row] != nullptr) std::memcpy(records[row] + stored_->offset, &value, sizeof value);
  }
  if (longest != 0) profile_.note(kKindInt, longest);
}

void ColumnParser::parse_floats(const RowBlock& block, std::span<char* const> records) {
  std::size_t longest = 0;
  for (std::size_t row = 0; row < block.rows(); ++row) {
    const Field& field = block.field(row, field_);
    double value = 0;
    const ByteView text(field.data, field.size);
    if (!is_plain(field, missing_) || (!parse_short_decimal(text, value) && !parse_float(text, value))) {
      parse_one(field, records[row]);
      continue;
    }
    longest = std::max(longest, field.size);
    if (records[row] != nullptr) std::memcpy(records[row] + stored_->offset, &value, sizeof value);
  }
  if (longest != 0) profile_.note(kKindFloat, longest);  // an integer is as good as a float here
}

bool ColumnParser::parse_codes(const RowBlock& block, std::span<char* const> records) {
  std::size_t longest = 0;
  std::uint8_t kinds = 0;
  const bool wants_kinds = profile_.wants_kinds();
  for (std::size_t row = 0; row < block.rows(); ++row) {
    const Field& field = block.field(row, field_);
    if (field.size > kMaxTextBytes) return false;
    const ByteView text = field.text(scratch_);
    char* const at = records[row] == nullptr ? nullptr : records[row] + stored_->offset;
    if (missing_.contains(text)) {
      profile_.note_missing();
      if (at != nullptr) RecordWriter::write_missing(field_, *stored_, text, at);
      continue;
    }
    longest = std::max(longest, text.size());
    if (wants_kinds) kinds |= classify(text);
    const std::uint64_t hash = Dictionary::hash(text);
    if (field.escaped != 0) {  // the text lies in the scratch, which the next field overwrites
      if (!write_code(text, hash, at)) return false;
      continue;
    }
    texts_->prefetch_slot(hash);
    queue_.push_back({.text = text, .hash = hash, .at = at});
    if (queue_.size() == kQueueLength && !write_queued()) return false;
  }
  profile_.note(kinds, longest);
  return write_queued();
}

bool ColumnParser::write_queued() {
  for (const Queued& next : queue_) texts_->prefetch_text(next.hash);
  const bool written = std::all_of(queue_.begin(), queue_.end(),
                                   [&](const Queued& next) { return write_code(next.text, next.hash, next.at); });
  queue_.clear();
  return written;
}

// False = more texts than the codes have room for.
bool ColumnParser::write_code(ByteView text, std::uint64_t hash, char* at) {
  const std::uint32_t code = texts_->code(text, hash);
  if (code >= stored_->missing_category()) return false;
  if (at == nullptr) return true;
  switch (stored_->bytes) {  // little endian: the low bytes come first
    case 1:
      std::memcpy(at, &code, 1);
      break;
    case 2:
      std::memcpy(at, &code, 2);
      break;
    default:
      std::memcpy(at, &code, 4);
  }
  return true;
}

}  // namespace kv::csv
