// The memory of a store as an observer sees it: to be put back as it was, and compared from instant to instant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kv::crash {

// A second mapping of a store's memory, and a copy of it. Nobody may use the store while a function runs.
class ArenaImage {
 public:
  // `address` as Store::address() has it, of a store of this process.
  explicit ArenaImage(const std::string& address);
  ArenaImage(const ArenaImage&) = delete;
  ArenaImage& operator=(const ArenaImage&) = delete;
  ~ArenaImage();

  // Makes the copy what the memory is now; true if that changed anything.
  bool update();
  // Makes the memory what the copy is; what was never written when the copy was made is zeros again.
  void restore();

 private:
  static constexpr std::size_t kPage = 4096;
  using Page = std::vector<std::byte>;

  [[nodiscard]] std::vector<std::uint64_t> pages_in_use() const;

  int fd_;
  std::size_t bytes_;
  std::byte* base_;
  std::map<std::uint64_t, Page> copy_;  // by offset
};

}  // namespace kv::crash
