// A file mapped read-only, followed by zeros that may be read too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kv_storage/bytes.hpp"

namespace kv::csv {

class MappedFile {
 public:
  // Bytes that may be read past the end, so that blocks and words need no special case there.
  static constexpr std::size_t kReadablePastEnd = 64;

  // Throws Error{kIo} naming the path (missing, unreadable, a directory) and Error{kInvalidArgument} if it is a pipe or
  // device. If another process shortens the file while it is mapped, reading the lost part raises SIGBUS, as with
  // every mapping; `changed` tells of all other changes.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] ByteView text() const noexcept { return {data_, size_}; }
  // True if size or modification time are no longer what they were when the file was opened.
  [[nodiscard]] bool changed() const noexcept;

  // Maps the whole pages of [begin, end) in one system call instead of one fault for every few pages.
  static void prefetch(const char* begin, const char* end) noexcept;
  // Takes the whole pages inside [begin, end) out of this process; they stay in the page cache and can be read again.
  static void release(const char* begin, const char* end) noexcept;

 private:
  int descriptor_;
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
  std::int64_t modified_ns_ = 0;
};

}  // namespace kv::csv
