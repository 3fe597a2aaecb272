// Writes a file of records from front to end, beside its name until it is complete and on disk.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collections/log_records.hpp"
#include "kv_storage/owned_fd.hpp"
#include "persist/format.hpp"

namespace kv::persist {

class RecordWriter {
 public:
  // Throws Error{kIo}, as all of it. `header`: seed and checksum are filled in.
  RecordWriter(int directory, const std::string& directory_path, std::string name, FileHeader header);
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;
  ~RecordWriter();  // without finish(): removes it

  void write(LogKind kind, std::span<const ByteView> payload);
  // Ends the file with kEnd, syncs it and gives it its name; the directory is still to be synced. Its size.
  std::uint64_t finish(std::uint64_t entries);

 private:
  void put(ByteView bytes);
  void drain();

  int directory_;
  std::string name_;
  std::string temporary_;
  std::string path_;
  OwnedFd fd_;
  std::uint64_t seed_;
  std::vector<char> buffer_;
  std::uint64_t written_ = 0;  // before what is in the buffer
  bool finished_ = false;
};

}  // namespace kv::persist
