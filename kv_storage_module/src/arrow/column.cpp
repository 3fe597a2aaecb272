#include "arrow/column.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "base/utf8.hpp"
#include "kv_storage/error.hpp"

namespace kv::arrow {
namespace {

constexpr std::size_t kMaxSmallBytes = std::numeric_limits<std::int32_t>::max();

// What an array handed out owns. The memory of texts may belong to several arrays.
struct OwnedArray {
  std::array<Buffer, 3> memory;
  std::shared_ptr<const Texts> texts;
  std::array<const void*, 3> buffers{};
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> pointers;
  ArrowArray dictionary{};
};

void release_array(ArrowArray* array) {
  for (std::int64_t i = 0; i < array->n_children; ++i) {
    if (ArrowArray* child = array->children[i]; child->release != nullptr) child->release(child);
  }
  if (array->dictionary != nullptr && array->dictionary->release != nullptr) {
    array->dictionary->release(array->dictionary);
  }
  delete static_cast<OwnedArray*>(array->private_data);
  array->release = nullptr;
}

void hand_over(std::unique_ptr<OwnedArray> owned, std::size_t length, std::size_t nulls, std::int64_t buffers,
               ArrowArray* out) {
  *out = {};
  out->length = static_cast<std::int64_t>(length);
  out->null_count = static_cast<std::int64_t>(nulls);
  out->n_buffers = buffers;
  out->buffers = owned->buffers.data();
  out->n_children = static_cast<std::int64_t>(owned->pointers.size());
  out->children = owned->pointers.data();
  if (owned->dictionary.release != nullptr) out->dictionary = &owned->dictionary;
  out->private_data = owned.release();
  out->release = &release_array;
}

void export_texts(std::shared_ptr<const Texts> texts, ArrowArray* out) {
  auto owned = std::make_unique<OwnedArray>();
  owned->buffers = {nullptr, texts->offsets().data(), texts->bytes().data()};
  const std::size_t count = texts->size();
  owned->texts = std::move(texts);
  hand_over(std::move(owned), count, 0, 3, out);
}

[[nodiscard]] std::string quoted(ByteView bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "b'";
  for (const char byte : bytes.substr(0, 40)) {
    if (byte >= ' ' && byte <= '~') {
      text += byte;
    } else {
      const auto code = static_cast<unsigned char>(byte);
      text.append("\\x").append({kDigits[code >> 4U], kDigits[code & 15U]});
    }
  }
  return text + (bytes.size() > 40 ? "'..." : "'");
}

[[noreturn]] void refuse_text(ByteView bytes, const std::string& column) {
  throw Error(ErrorCode::kInvalidArgument, "column '" + column + "' is text, but " + quoted(bytes) +
                                               " is no UTF-8: ask for binary with a requested schema");
}

[[noreturn]] void refuse_size(const std::string& column) {
  throw Error(ErrorCode::kOverflow,
              "the texts of column '" + column +
                  "' need more than 2 GiB in one batch: ask for a stream, or for large texts with "
                  "a requested schema");
}

}  // namespace

Texts::Texts(const std::vector<std::string>& texts, const std::string& column, bool must_be_utf8)
    : count_(texts.size()) {
  offsets_.push<std::int32_t>(0);
  for (const std::string& text : texts) {
    if (must_be_utf8 && !is_utf8(text)) refuse_text(text, column);
    if (text.size() > kMaxSmallBytes - bytes_.size()) refuse_size(column);
    bytes_.append(text.data(), text.size());
    offsets_.push(static_cast<std::int32_t>(bytes_.size()));
  }
}

ByteView Texts::text(std::size_t code) const noexcept {
  std::int32_t ends[2];
  std::memcpy(ends, offsets_.data() + code * sizeof ends[0], sizeof ends);
  return {bytes_.data() + ends[0], static_cast<std::size_t>(ends[1] - ends[0])};
}

Column::Column(Field field) : field_(std::move(field)) { clear(); }

void Column::clear() {
  rows_ = nulls_ = 0;
  validity_.clear();
  values_.clear();
  offsets_.clear();
  if (is_large(field_.type)) {
    offsets_.push<std::int64_t>(0);
  } else if (is_text(field_.type) || is_binary(field_.type)) {
    offsets_.push<std::int32_t>(0);
  }
}

void Column::append_bit(Buffer& bits, std::size_t index, bool bit) {
  if (index % 8 == 0) bits.push<char>(0);
  char& byte = bits.data()[index / 8];
  byte = static_cast<char>(static_cast<unsigned char>(byte) | static_cast<unsigned>(bit) << index % 8);
}

void Column::mark_valid(std::size_t count) {
  if (nulls_ == 0) {
    rows_ += count;
    return;
  }
  for (std::size_t i = 0; i < count; ++i) mark(true);
}

void Column::mark(bool valid) {
  if (!valid && nulls_ == 0 && rows_ != 0) {  // all before it were valid
    std::memset(validity_.append((rows_ + 7) / 8), 0xff, (rows_ + 7) / 8);
    if (rows_ % 8 != 0) validity_.data()[rows_ / 8] = static_cast<char>((1U << rows_ % 8) - 1);
  }
  nulls_ += valid ? 0 : 1;
  if (nulls_ != 0) append_bit(validity_, rows_, valid);
  ++rows_;
}

void Column::append_bool(bool value) {
  append_bit(values_, rows_, value);
  mark(true);
}

void Column::append_bytes(ByteView bytes) {
  if (is_text(field_.type) && !is_utf8(bytes)) refuse_text(bytes, field_.name);
  if (!is_large(field_.type) && bytes.size() > kMaxSmallBytes - values_.size()) refuse_size(field_.name);
  values_.append(bytes.data(), bytes.size());
  if (is_large(field_.type)) {
    offsets_.push(static_cast<std::int64_t>(values_.size()));
  } else {
    offsets_.push(static_cast<std::int32_t>(values_.size()));
  }
  mark(true);
}

void Column::append_null() {
  switch (field_.type) {
    case Type::kNull:
      break;
    case Type::kBool:
      append_bit(values_, rows_, false);
      break;
    case Type::kText:
    case Type::kBinary:
      offsets_.push(static_cast<std::int32_t>(values_.size()));
      break;
    case Type::kLargeText:
    case Type::kLargeBinary:
      offsets_.push(static_cast<std::int64_t>(values_.size()));
      break;
    case Type::kInt8:
    case Type::kUInt8:
      values_.push<std::int8_t>(0);
      break;
    case Type::kInt16:
    case Type::kUInt16:
    case Type::kCategory16:
      values_.push<std::int16_t>(0);
      break;
    case Type::kInt32:
    case Type::kUInt32:
    case Type::kFloat32:
    case Type::kDate:
    case Type::kCategory32:
      values_.push<std::int32_t>(0);
      break;
    case Type::kInt64:
    case Type::kUInt64:
    case Type::kFloat64:
    case Type::kTimestamp:
      values_.push<std::int64_t>(0);
      break;
  }
  mark(false);
}

Column Column::decoded(const Texts& texts, Field as) const {
  Column made(std::move(as));
  for (std::size_t row = 0; row < rows_; ++row) {
    const bool valid = nulls_ == 0 || (static_cast<unsigned char>(validity_.data()[row / 8]) >> row % 8 & 1U) != 0;
    std::int32_t code = 0;
    if (field_.type == Type::kCategory16) {
      std::int16_t narrow = 0;
      std::memcpy(&narrow, values_.data() + row * sizeof narrow, sizeof narrow);
      code = narrow;
    } else {
      std::memcpy(&code, values_.data() + row * sizeof code, sizeof code);
    }
    if (valid) {
      made.append_bytes(texts.text(static_cast<std::size_t>(code)));
    } else {
      made.append_null();
    }
  }
  return made;
}

void Column::finish(ArrowArray* out, ArrowArray* dictionary) {
  auto owned = std::make_unique<OwnedArray>();
  const std::size_t length = rows_;
  const std::size_t nulls = nulls_;
  const bool variable = is_text(field_.type) || is_binary(field_.type);
  if (dictionary != nullptr) owned->dictionary = std::exchange(*dictionary, {});
  owned->memory = {std::exchange(validity_, {}), std::exchange(values_, {}), std::exchange(offsets_, {})};
  const void* validity = nulls != 0 ? std::as_const(owned->memory[0]).data() : nullptr;
  const void* values = std::as_const(owned->memory[1]).data();
  if (variable) {
    owned->buffers = {validity, std::as_const(owned->memory[2]).data(), values};
  } else {
    owned->buffers = {validity, values, nullptr};
  }
  hand_over(std::move(owned), length, nulls, field_.type == Type::kNull ? 0 : variable ? 3 : 2, out);
  clear();
}

namespace {

// The arrays of the columns while they are being made: released unless they are taken over.
class Children {
 public:
  explicit Children(std::size_t count) : owned_(std::make_unique<OwnedArray>()) {
    owned_->children.resize(count);
    owned_->pointers.reserve(count);
  }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  ~Children() {
    if (!owned_) return;
    for (ArrowArray* child : owned_->pointers) child->release(child);
    if (dictionary_.release != nullptr) dictionary_.release(&dictionary_);
  }

  // `make_dictionary(ArrowArray*)`, if there is one.
  template <class MakeDictionary>
  void add(Column& column, bool has_dictionary, MakeDictionary&& make_dictionary) {
    if (has_dictionary) make_dictionary(&dictionary_);
    ArrowArray* const child = &owned_->children[owned_->pointers.size()];
    column.finish(child, has_dictionary ? &dictionary_ : nullptr);
    owned_->pointers.push_back(child);
  }
  void hand_over_batch(std::size_t rows, ArrowArray* out) { hand_over(std::move(owned_), rows, 0, 1, out); }

 private:
  std::unique_ptr<OwnedArray> owned_;
  ArrowArray dictionary_{};  // of the column being added
};

}  // namespace

void finish_batch(std::vector<Column>& columns, const TextsOfColumns& texts, ArrowArray* out) {
  Children children(columns.size());
  const std::size_t rows = columns.front().rows();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    children.add(columns[i], texts[i] != nullptr, [&](ArrowArray* dictionary) { export_texts(texts[i], dictionary); });
  }
  children.hand_over_batch(rows, out);
}

void finish_batch(Column& column, Column* dictionary, ArrowArray* out) {
  Children children(1);
  const std::size_t rows = column.rows();
  children.add(column, dictionary != nullptr, [&](ArrowArray* made) { dictionary->finish(made); });
  children.hand_over_batch(rows, out);
}

}  // namespace kv::arrow
