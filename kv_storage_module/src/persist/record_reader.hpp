// Reads a file of records from front to end through a buffer of its own: whatever the size of the file, memory is taken
// for a megabyte, or for the largest record.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collections/log_records.hpp"
#include "kv_storage/owned_fd.hpp"
#include "persist/format.hpp"

namespace kv::persist {

// An open file of the data directory and its checked header.
class InputFile {
 public:
  // Throws Error{kIo}; kCorrupt if the header is not that of such a file. Newer formats: see throw_newer.
  InputFile(int directory, const std::string& directory_path, const std::string& name, std::uint64_t magic)
      : InputFile(directory, directory_path, name, magic, Trust::kIntact) {}

  // With kDamaged, a damaged header is taken as it stands, for its records may still be read: kCorrupt = the file is
  // missing.
  enum class Trust : std::uint8_t { kIntact, kDamaged };
  InputFile(int directory, const std::string& directory_path, const std::string& name, std::uint64_t magic,
            Trust trust);
  [[nodiscard]] const std::string& header_damage() const noexcept { return header_damage_; }  // "" = none

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const FileHeader& header() const noexcept { return header_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[noreturn]] void fail(std::uint64_t offset, const std::string& what) const;  // Error{kCorrupt}
  // Whether the header is all zeros: a segment of which nothing reached the disk, or whose maker died at once.
  [[nodiscard]] bool blank() const noexcept { return header_.magic == 0; }

 private:
  std::string path_;
  OwnedFd fd_;
  std::uint64_t bytes_ = 0;
  FileHeader header_{};
  std::string header_damage_;
};

struct Record {
  LogKind kind;
  ByteView payload;  // valid until the next call
  std::uint64_t durable;
};

class RecordReader {
 public:
  enum class Step : std::uint8_t {
    kRecord,
    kEnd,  // of the file, or zeros where a record would be
    kBad,  // neither a record nor zeros
  };

  // From `offset` of the file on, where a record begins.
  explicit RecordReader(const InputFile& file, std::uint64_t offset = kFileHeaderBytes);

  Step next(Record& record);
  // Of the next record: where the last call stopped if it found none.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] std::uint64_t position() const noexcept { return file_.header().first + (offset_ - kFileHeaderBytes); }
  // Looks for an intact record behind the place where next() stopped; true = found, and offset() leads to it.
  bool seek_record(Record& record);

 private:
  [[nodiscard]] bool load(std::uint64_t bytes);  // into the buffer, from offset_ on; false = the file is shorter
  void skip_zeros() noexcept;
  [[nodiscard]] bool read_here(Record& record, std::uint64_t& whole_bytes);

  const InputFile& file_;
  std::uint64_t offset_;
  std::vector<std::byte> buffer_;
  std::uint64_t buffer_offset_ = 0;  // in the file
  std::uint64_t buffered_ = 0;
};

}  // namespace kv::persist
