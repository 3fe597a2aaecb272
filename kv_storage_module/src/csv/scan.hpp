// The two loops that look at every byte of a file: where fields end, and what a piece of the file is for those that
// follow it. They are compiled for every x86-64 processor and for those with AVX2; the best for this machine is taken
// when the program runs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "csv/source.hpp"

namespace kv::csv {

// What the bytes before the next block say about it.
struct ScanState {
  std::uint64_t in_quotes = 0;      // all ones: it begins inside quotes
  std::uint64_t after_end = 1;      // 1: the byte before it ended a field
  std::uint64_t after_closing = 0;  // 1: the byte before it was a closing quote
};

// Bytes of the text to look at, a whole number of blocks unless the text ends with them.
struct ScanWindow {
  const char* begin;
  const char* end;
  const char* text_end;  // 64 bytes past it are readable
};

struct ScanResult {
  const char* at;     // scanned up to here
  const char* fault;  // the first byte that breaks a rule, nullptr = none; nothing behind it was looked at
  std::size_t ends;   // how many positions were written
};

// A part of the text, summarised for both cases: it begins outside quotes, or inside.
struct Piece {
  const char* begin = nullptr;
  const char* end = nullptr;
  std::uint64_t lines = 0;          // line ends
  std::uint64_t lines_outside = 0;  // those outside quotes if the piece begins outside; the others, if inside
  bool odd_quotes = false;
  // Where the first row begins after a line end in this piece, and how many line ends there are before it: [0] if the
  // piece begins outside quotes, [1] inside. nullptr = no row does.
  std::array<const char*, 2> first_row{};
  std::array<std::uint64_t, 2> lines_before{};
};

struct ScanKernels {
  // Positions written beyond those counted, at most.
  static constexpr std::size_t kSpare = 4;

  // Writes where fields end in the window, relative to its beginning; `state` is what came before it and comes after.
  ScanResult (*find_field_ends)(const ScanWindow& window, Dialect dialect, ScanState& state,
                                std::uint32_t* positions) noexcept;
  // Fills in what a piece with `begin` and `end` is. 64 bytes past the end are readable.
  void (*summarise)(Piece& piece, Dialect dialect) noexcept;
};

// Those that this processor can run, the fastest last.
[[nodiscard]] std::span<const ScanKernels> scan_kernels() noexcept;
[[nodiscard]] inline const ScanKernels& fastest_scan() noexcept { return scan_kernels().back(); }

}  // namespace kv::csv
