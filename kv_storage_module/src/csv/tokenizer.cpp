#include "csv/tokenizer.hpp"

#include <algorithm>
#include <bit>

namespace kv::csv {
namespace {

constexpr std::size_t kGroup = 4;  // append() may write up to this many positions more than it counts

struct Ends {
  std::uint64_t fields;  // unquoted delimiters and line ends
  std::uint64_t bad;     // bytes that break a rule
};

// Inlined, with the state in registers: it runs once for every 64 bytes of the file, in both passes.
[[gnu::always_inline]] inline Ends find_ends(const Block& block, std::uint64_t valid, Dialect dialect,
                                             Tokenizer::State& state) noexcept {
  Ends ends{.fields = block.any_of(dialect.delimiter, '\n', '\r') & valid, .bad = 0};
  const std::uint64_t quotes = dialect.quote == 0 ? 0 : block.equal(dialect.quote) & valid;
  if (block.has_zero()) [[unlikely]]
    ends.bad = block.equal('\0') & valid;
  if ((quotes | state.in_quotes | state.after_closing) != 0) {
    const std::uint64_t inside = prefix_xor(quotes) ^ state.in_quotes;
    const std::uint64_t opening = quotes & inside;
    const std::uint64_t closing = quotes & ~inside;
    ends.fields &= ~inside;
    const std::uint64_t behind_end = ends.fields << 1U | state.after_end;
    const std::uint64_t behind_closing = closing << 1U | state.after_closing;
    // An opening quote behind a closing one is the second half of an escape.
    ends.bad |= opening & ~(behind_end | behind_closing);
    ends.bad |= behind_closing & ~(ends.fields | quotes) & valid;
    state.in_quotes = static_cast<std::uint64_t>(static_cast<std::int64_t>(inside) >> 63U);
    state.after_closing = closing >> 63U;
  }
  state.after_end = ends.fields >> 63U;
  return ends;
}

// Writes offset + the place of every bit; returns behind the last. Whole groups are written: how many bits a block has
// is hard to predict, how many groups is not.
[[gnu::always_inline]] inline std::uint32_t* append(std::uint32_t* out, std::uint64_t bits,
                                                    std::uint32_t offset) noexcept {
  std::uint32_t* const end = out + count_bits(bits);
  while (out < end) {
    for (std::size_t i = 0; i < kGroup; ++i) {
      *out++ = offset + static_cast<std::uint32_t>(std::countr_zero(bits));
      bits &= bits - 1;
    }
  }
  return end;
}

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
      positions_(new std::uint32_t[kWindowBytes + kGroup]) {}

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
  State state = state_;
  const char* at = cursor_;
  std::uint32_t* out = positions_.get();
  while (at < window_end) {
    const auto left = static_cast<std::size_t>(end_ - at);
    Ends ends = find_ends(Block(at), low_bits(left), dialect_, state);
    if (ends.bad != 0) [[unlikely]] {
      const auto first = static_cast<std::size_t>(std::countr_zero(ends.bad));
      fault_ = at + first;
      ends.fields &= low_bits(first);
      window_end = at;
    }
    out = append(out, ends.fields, static_cast<std::uint32_t>(at - window_));
    at += std::min(left, kBlockBytes);
  }
  count_ = static_cast<std::size_t>(out - positions_.get());
  cursor_ = at;
  state_ = state;
}

}  // namespace kv::csv
