#include "memory/words.hpp"

#include <algorithm>

namespace kv {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

#if defined(__SANITIZE_THREAD__)
constexpr bool kByWords = true;
#else
constexpr bool kByWords = false;
#endif

// Splits [shared, shared + bytes) into the part before the first word boundary, whole words, and the rest.
[[nodiscard]] std::size_t head_bytes(const void* shared, std::size_t bytes) noexcept {
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(shared) % kWord;
  return misaligned == 0 ? 0 : std::min(bytes, kWord - misaligned);
}

// The word that holds `at`, shifted so that the byte at `at` comes first.
[[nodiscard]] std::uint64_t word_from(const std::byte* at) noexcept {
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(at) % kWord;
  return load64(at - misaligned) >> (misaligned * 8);
}

// Replaces `bytes` bytes, starting at `at` and within one word. The rest of the word belongs to the same block, so only
// the holder of the part lock writes it: a load and a store need not be one atomic step.
void merge_into_word(std::byte* at, const void* from, std::size_t bytes) noexcept {
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(at) % kWord;
  std::uint64_t word = load64(at - misaligned);
  std::memcpy(reinterpret_cast<std::byte*>(&word) + misaligned, from, bytes);
  store_relaxed<std::uint64_t>(at - misaligned, word);
}

}  // namespace

void copy_out(void* to_private, const void* from_shared, std::size_t bytes) noexcept {
  if constexpr (!kByWords) {
    if (bytes != 0) std::memcpy(to_private, from_shared, bytes);
    return;
  }
  auto* to = static_cast<std::byte*>(to_private);
  const auto* from = static_cast<const std::byte*>(from_shared);
  if (const std::size_t head = head_bytes(from, bytes); head != 0) {
    const std::uint64_t word = word_from(from);
    std::memcpy(to, &word, head);
    to += head, from += head, bytes -= head;
  }
  for (; bytes >= kWord; bytes -= kWord, to += kWord, from += kWord) {
    const std::uint64_t word = load64(from);
    std::memcpy(to, &word, kWord);
  }
  if (bytes != 0) {
    const std::uint64_t word = load64(from);
    std::memcpy(to, &word, bytes);
  }
}

void copy_in(void* to_shared, const void* from_private, std::size_t bytes) noexcept {
  if constexpr (!kByWords) {
    if (bytes != 0) std::memcpy(to_shared, from_private, bytes);
    return;
  }
  auto* to = static_cast<std::byte*>(to_shared);
  const auto* from = static_cast<const std::byte*>(from_private);
  if (const std::size_t head = head_bytes(to, bytes); head != 0) {
    merge_into_word(to, from, head);
    to += head, from += head, bytes -= head;
  }
  for (; bytes >= kWord; bytes -= kWord, to += kWord, from += kWord) {
    std::uint64_t word;
    std::memcpy(&word, from, kWord);
    store_relaxed<std::uint64_t>(to, word);
  }
  if (bytes != 0) merge_into_word(to, from, bytes);
}

bool equal_bytes(const void* shared, const void* wanted, std::size_t bytes) noexcept {
  if constexpr (!kByWords) return bytes == 0 || std::memcmp(shared, wanted, bytes) == 0;
  const auto* a = static_cast<const std::byte*>(shared);
  const auto* b = static_cast<const std::byte*>(wanted);
  if (const std::size_t head = head_bytes(a, bytes); head != 0) {
    const std::uint64_t word = word_from(a);
    if (std::memcmp(&word, b, head) != 0) return false;
    a += head, b += head, bytes -= head;
  }
  for (; bytes >= kWord; bytes -= kWord, a += kWord, b += kWord) {
    std::uint64_t wanted_word;
    std::memcpy(&wanted_word, b, kWord);
    if (load64(a) != wanted_word) return false;
  }
  if (bytes == 0) return true;
  const std::uint64_t word = load64(a);
  return std::memcmp(&word, b, bytes) == 0;
}

}  // namespace kv
