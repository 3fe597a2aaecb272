// Copies to and from shared memory against memcpy and memcmp, on memory that ends where reading on would be fatal.
#include "memory/words.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace kv::test {
namespace {

constexpr std::size_t kMaxBytes = 200;

// Memory between two pages that may not be touched.
class FencedPage {
 public:
  FencedPage() : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    void* const base = ::mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(base != MAP_FAILED);
    base_ = static_cast<unsigned char*>(base);
    REQUIRE(::mprotect(base_ + page_, page_, PROT_READ | PROT_WRITE) == 0);
  }
  FencedPage(const FencedPage&) = delete;
  FencedPage& operator=(const FencedPage&) = delete;
  ~FencedPage() { ::munmap(base_, 3 * page_); }

  [[nodiscard]] unsigned char* begin() const { return base_ + page_; }
  [[nodiscard]] unsigned char* end() const { return base_ + 2 * page_; }

 private:
  std::size_t page_;
  unsigned char* base_;
};

std::vector<unsigned char> pattern(std::size_t bytes, unsigned seed) {
  std::vector<unsigned char> made(bytes);
  for (std::size_t i = 0; i < bytes; ++i) made[i] = static_cast<unsigned char>(i * 37 + seed * 101 + 1);
  return made;
}

// Calls `check(at, bytes)` for every size, at every alignment, as near to the end of the page and then as near to its
// start as the words that hold [at, at + bytes) allow.
template <class Check>
void at_both_fences(const FencedPage& page, Check&& check) {
  for (std::size_t bytes = 0; bytes <= kMaxBytes; ++bytes) {
    for (std::size_t shift = 0; shift < 8; ++shift) {
      check(page.begin() + shift, bytes);
      if (bytes != 0) check(page.end() - shift - bytes, bytes);
    }
  }
}

}  // namespace

TEST_CASE("words: copy_out copies what memcpy copies, at any place and size") {
  const FencedPage page;
  std::vector<unsigned char> copy(kMaxBytes + 2);
  at_both_fences(page, [&](unsigned char* at, std::size_t bytes) {
    const auto content = pattern(bytes, static_cast<unsigned>(bytes));
    std::copy(content.begin(), content.end(), at);
    std::fill(copy.begin(), copy.end(), 0xEE);
    copy_out(copy.data() + 1, at, bytes);
    REQUIRE(std::equal(content.begin(), content.end(), copy.begin() + 1));
    REQUIRE(copy[0] == 0xEE);
    REQUIRE(copy[bytes + 1] == 0xEE);
  });
}

TEST_CASE("words: copy_in stores exactly the bytes asked for and leaves its neighbours alone") {
  const FencedPage page;
  at_both_fences(page, [&](unsigned char* at, std::size_t bytes) {
    std::fill(page.begin(), page.end(), 0xEE);
    const auto content = pattern(bytes, static_cast<unsigned>(bytes) + 5);
    copy_in(at, content.data(), bytes);
    REQUIRE(std::equal(content.begin(), content.end(), at));
    REQUIRE(std::all_of(page.begin(), at, [](unsigned char byte) { return byte == 0xEE; }));
    REQUIRE(std::all_of(at + bytes, page.end(), [](unsigned char byte) { return byte == 0xEE; }));
  });
}

TEST_CASE("words: private memory may have any alignment") {
  const FencedPage page;
  for (std::size_t shift = 0; shift < 8; ++shift) {
    const auto content = pattern(kMaxBytes + 8, 3);
    copy_in(page.begin() + 3, content.data() + shift, kMaxBytes);
    std::vector<unsigned char> copy(kMaxBytes + 8);
    copy_out(copy.data() + shift, page.begin() + 3, kMaxBytes);
    CHECK(std::equal(copy.begin() + static_cast<long>(shift), copy.begin() + static_cast<long>(shift + kMaxBytes),
                     content.begin() + static_cast<long>(shift)));
    CHECK(equal_bytes(page.begin() + 3, content.data() + shift, kMaxBytes));
  }
}

TEST_CASE("words: equal_bytes sees a difference in every byte and in none outside") {
  const FencedPage page;
  at_both_fences(page, [&](unsigned char* at, std::size_t bytes) {
    auto content = pattern(bytes, 9);
    std::fill(page.begin(), page.end(), 0x11);
    std::copy(content.begin(), content.end(), at);
    REQUIRE(equal_bytes(at, content.data(), bytes));
    for (std::size_t i = 0; i < bytes; ++i) {
      content[i] ^= 0x80;
      REQUIRE_FALSE(equal_bytes(at, content.data(), bytes));
      content[i] ^= 0x80;
    }
  });
}

TEST_CASE("words: loads and stores of each width") {
  alignas(8) unsigned char word[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  CHECK(load8(word + 1) == 2);
  CHECK(load16(word + 2) == 0x0403);
  CHECK(load32(word + 4) == 0x08070605);
  CHECK(load64(word) == 0x0807060504030201);
  store_relaxed<std::uint16_t>(word + 2, 0xAABB);
  CHECK(load64(word) == 0x08070605AABB0201);
}

}  // namespace kv::test
