#include "csv/tokenizer.hpp"

#include <algorithm>
#include <bit>

namespace kv::csv {
namespace {

constexpr std::size_t kUnrolled = 8;  // append() may write this many positions more than it counts

bool ends_with_line_end(const char* begin, const char* end) noexcept {
  return begin != end && (end[-1] == '\n' || end[-1] == '\r');
}

}  // namespace

Tokenizer::Tokenizer(const char* begin, const char* end, Dialect dialect)
    : dialect_(dialect),
      cursor_(begin),
      end_(end),
      window_(begin),
      finished_(begin == end || ends_with_line_end(begin, end)),
      positions_(new std::uint32_t[kWindowBytes + kUnrolled + 1]) {}

bool Tokenizer::refill() {
  next_ = 0;
  count_ = 0;
  while (count_ == 0 && cursor_ < end_ && fault_ == nullptr) {
    window_ = cursor_;
    scan_window(cursor_ + std::min(kWindowBytes, static_cast<std::size_t>(end_ - cursor_)));
  }
  if (count_ != 0) return true;
  if (finished_ || fault_ != nullptr || unterminated()) return false;
  finished_ = true;
  window_ = end_;
  positions_[count_++] = 0;
  return true;
}

void Tokenizer::scan_window(const char* window_end) {
  while (cursor_ < window_end) {
    const auto left = static_cast<std::size_t>(end_ - cursor_);
    const std::uint64_t bits = field_ends(Block(cursor_), low_bits(left), cursor_);
    append(bits, static_cast<std::uint32_t>(cursor_ - window_));
    if (fault_ != nullptr) return;
    cursor_ += std::min(left, kBlockBytes);
  }
}

std::uint64_t Tokenizer::field_ends(const Block& block, std::uint64_t valid, const char* at) noexcept {
  std::uint64_t ends = block.any_of(dialect_.delimiter, '\n', '\r') & valid;
  const std::uint64_t quotes = dialect_.quote == 0 ? 0 : block.equal(dialect_.quote) & valid;
  const bool zero = block.has_zero();
  if ((quotes | in_quotes_ | after_closing_) == 0 && !zero) {
    after_end_ = ends >> 63U;
    return ends;
  }
  const std::uint64_t inside = prefix_xor(quotes) ^ in_quotes_;
  const std::uint64_t opening = quotes & inside;
  const std::uint64_t closing = quotes & ~inside;
  ends &= ~inside;
  const std::uint64_t behind_end = ends << 1U | after_end_;
  const std::uint64_t behind_closing = closing << 1U | after_closing_;
  // An opening quote behind a closing one is the second half of an escape.
  std::uint64_t bad = (opening & ~(behind_end | behind_closing)) | (behind_closing & ~(ends | quotes));
  if (zero) bad |= block.equal('\0');
  bad &= valid;
  in_quotes_ = static_cast<std::uint64_t>(static_cast<std::int64_t>(inside) >> 63U);
  after_end_ = ends >> 63U;
  after_closing_ = closing >> 63U;
  if (bad == 0) return ends;
  const auto first = static_cast<std::size_t>(std::countr_zero(bad));
  fault_ = at + first;
  return ends & low_bits(first);
}

void Tokenizer::append(std::uint64_t bits, std::uint32_t offset) noexcept {
  // Written in whole groups: the number of field ends per block is hard to predict, whether there are more than eight
  // of them is not.
  const auto total = std::size_t{count_bits(bits)};
  std::uint32_t* out = positions_.get() + count_;
  count_ += total;
  for (std::size_t done = 0; done < total; done += kUnrolled) {
    for (std::size_t i = 0; i < kUnrolled; ++i) {
      *out++ = offset + static_cast<std::uint32_t>(std::countr_zero(bits));
      bits &= bits - 1;
    }
  }
}

}  // namespace kv::csv
