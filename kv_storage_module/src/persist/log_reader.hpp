// Reading a part's log of one epoch: where it ends, and whether what lies there may be its end.
//
// A log ends where no intact record follows. That is expected at the tail: a process was killed while it wrote, or the
// power failed before the last pages reached the disk, in whatever order they did. It is damage if there is proof that
// more was written safely: an intact record behind the place that was written in the same start of the machine (no
// page can have been lost), or whose `durable` says that the log was on disk beyond the place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "persist/manifest.hpp"
#include "persist/record_reader.hpp"

namespace kv::persist {

// A stretch of intact records.
struct LogSpan {
  std::string name;         // of the file
  std::uint64_t begin = 0;  // offsets in it
  std::uint64_t end = 0;
};

struct LogExtent {
  std::vector<LogSpan> spans;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  bool torn = false;  // something unreadable followed, as it may
};

// Checks all records from `start` on, calling visit(record) for each, and finds the end. `numbers`: the segments that
// the directory holds of this log, ascending. Throws Error{kCorrupt} naming file and offset, Error{kIo}.
LogExtent read_log(int directory, const std::string& path, std::uint64_t epoch, std::uint32_t part,
                   const LogStart& start, const std::vector<std::uint64_t>& numbers,
                   const std::function<void(const Record&)>& visit);

// The records of a span that was checked before, in memory: what they lead to stays as long as the object. The file is
// mapped where that can be done: it is held alone, and a disk that cannot read it was found out when it was checked.
class SpanImage {
 public:
  SpanImage(int directory, const std::string& path, const LogSpan& span);
  SpanImage(const SpanImage&) = delete;
  SpanImage& operator=(const SpanImage&) = delete;
  ~SpanImage();

  // False = the span has ended. Throws Error{kCorrupt} if the file has changed since.
  bool next(Record& record);
  [[nodiscard]] const std::string& name() const noexcept { return span_.name; }
  [[nodiscard]] bool contains(const char* address) const noexcept;

 private:
  LogSpan span_;
  InputFile file_;
  std::uint64_t offset_;                 // of the next record
  const std::byte* mapped_ = nullptr;    // the file up to the end of the span
  std::unique_ptr<std::byte[]> copied_;  // the same, if it could not be mapped
  const std::byte* bytes_ = nullptr;     // one or the other
};

}  // namespace kv::persist
