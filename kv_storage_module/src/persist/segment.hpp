// A segment of a part's log as one process sees it: mapped where the file system can take its blocks beforehand, else
// written call by call. Used under the part lock.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kv_storage/bytes.hpp"
#include "kv_storage/owned_fd.hpp"
#include "persist/format.hpp"

namespace kv::persist {

class Segment {
 public:
  Segment() = default;
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment() { close(); }

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  // Makes the file, which is `bytes` long, with this header. Throws Error{kIo}; then there is no such file.
  void create(int directory, const std::string& path, const FileHeader& header, std::uint64_t bytes);
  // Opens the file that another process made.
  void open(int directory, const std::string& path, const LogName& name, std::uint64_t bytes);
  void close() noexcept;
  // In a forked child: what another thread of the parent was doing with it just then is unknown.
  void forget_if_torn() noexcept;

  // Writes a record at `offset` of the file. Throws Error{kIo}.
  void write(std::uint64_t offset, std::uint64_t position, RecordHeader header, std::span<const ByteView> payload);
  // Takes away what could pass for a record at `offset`.
  void blank(std::uint64_t offset) noexcept;

 private:
  void adopt(std::uint64_t number, std::uint64_t bytes, std::uint64_t seed);

  std::uint64_t number_ = 0;  // 0 = none; set last and cleared first
  std::string path_;
  OwnedFd fd_{-1};
  std::byte* base_ = nullptr;  // null: not mapped
  std::uint64_t bytes_ = 0;
  std::uint64_t seed_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace kv::persist
