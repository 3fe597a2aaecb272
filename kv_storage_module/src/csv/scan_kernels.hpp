// The loops of scan.hpp, for the processor that the including file is compiled for. Only for scan.cpp and
// scan_avx2.cpp.
#pragma once

#include "csv/block.hpp"
#include "csv/scan.hpp"

namespace kv::csv {
inline namespace KV_BLOCK_NAMESPACE {
namespace {

struct Ends {
  std::uint64_t fields;  // unquoted delimiters and line ends
  std::uint64_t bad;     // bytes that break a rule
};

// Inlined, with the state in registers: it runs once for every 64 bytes of the file.
[[gnu::always_inline]] inline Ends find_ends(const Block& block, std::uint64_t valid, Dialect dialect,
                                             ScanState& state) noexcept {
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
  constexpr std::uint64_t kLast = std::uint64_t{1} << 63U;  // where there are no more, for ctz is not defined there
  std::uint32_t* const end = out + count_bits(bits);
  while (out < end) {
    for (std::size_t i = 0; i < ScanKernels::kSpare; ++i) {
      *out++ = offset + static_cast<std::uint32_t>(__builtin_ctzll(bits | kLast));
      bits &= bits - 1;
    }
  }
  return end;
}

inline ScanResult find_field_ends(const ScanWindow& window, Dialect dialect, ScanState& state_in_memory,
                                  std::uint32_t* positions) noexcept {
  ScanState state = state_in_memory;
  const char* at = window.begin;
  const char* end = window.end;
  const char* fault = nullptr;
  std::uint32_t* out = positions;
  while (at < end) {
    const auto left = static_cast<std::size_t>(window.text_end - at);
    Ends ends = find_ends(Block(at), low_bits(left), dialect, state);
    if (ends.bad != 0) [[unlikely]] {
      const auto first = static_cast<std::size_t>(__builtin_ctzll(ends.bad));
      fault = at + first;
      ends.fields &= low_bits(first);
      end = at;
    }
    out = append(out, ends.fields, static_cast<std::uint32_t>(at - window.begin));
    at += left < kBlockBytes ? left : kBlockBytes;
  }
  state_in_memory = state;
  return {.at = at, .fault = fault, .ends = static_cast<std::size_t>(out - positions)};
}

class Summary {
 public:
  Summary(Piece& piece, Dialect dialect) noexcept : piece_(piece), dialect_(dialect) {}

  void run() noexcept {
    for (const char* at = piece_.begin; at < piece_.end; at += kBlockBytes) {
      add(Block(at), low_bits(static_cast<std::size_t>(piece_.end - at)), at);
    }
    piece_.odd_quotes = inside_ != 0;
  }

 private:
  void add(const Block& block, std::uint64_t valid, const char* at) noexcept {
    const std::uint64_t feeds = block.equal('\n') & valid;
    const std::uint64_t returns = block.equal('\r') & valid;
    const std::uint64_t quotes = dialect_.quote == 0 ? 0 : block.equal(dialect_.quote) & valid;
    // A line ends at LF and at a CR, at a CRLF once.
    const std::uint64_t ends = (feeds | returns) & ~(feeds & (returns << 1U | after_return_));
    const std::uint64_t inside = quotes == 0 ? inside_ : prefix_xor(quotes) ^ inside_;
    find_row(feeds | returns, ~inside, 0, at);
    find_row(feeds | returns, inside, 1, at);
    piece_.lines += count_bits(ends);
    piece_.lines_outside += count_bits(ends & ~inside);
    inside_ = static_cast<std::uint64_t>(static_cast<std::int64_t>(inside) >> 63U);
    after_return_ = returns >> 63U;
  }

  void find_row(std::uint64_t line_ends, std::uint64_t outside, std::size_t begins_inside, const char* at) noexcept {
    if ((line_ends & outside) == 0 || piece_.first_row[begins_inside] != nullptr) return;
    const char* row = at + __builtin_ctzll(line_ends & outside);
    row += *row == '\r' && row + 1 != piece_.end && row[1] == '\n' ? 2 : 1;
    piece_.first_row[begins_inside] = row;
    piece_.lines_before[begins_inside] = count_lines({piece_.begin, static_cast<std::size_t>(row - piece_.begin)});
  }

  Piece& piece_;
  Dialect dialect_;
  std::uint64_t inside_ = 0;  // all ones: inside quotes if the piece begins outside
  std::uint64_t after_return_ = 0;
};

inline void summarise(Piece& piece, Dialect dialect) noexcept { Summary(piece, dialect).run(); }

inline constexpr ScanKernels kKernels{.find_field_ends = find_field_ends, .summarise = summarise};

}  // namespace
}  // namespace KV_BLOCK_NAMESPACE
}  // namespace kv::csv
