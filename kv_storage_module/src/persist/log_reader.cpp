#include "persist/log_reader.hpp"

#include <cstring>

#include "kv_storage/error.hpp"
#include "persist/files.hpp"

namespace kv::persist {
namespace {

class LogWalk {
 public:
  LogWalk(int directory, const std::string& path, std::uint64_t epoch, std::uint32_t part,
          const std::function<void(const Record&)>& visit)
      : directory_(directory), path_(path), epoch_(epoch), part_(part), visit_(visit) {}

  LogExtent run(const LogStart& start, const std::vector<std::uint64_t>& numbers) {
    position_ = start.position;
    std::uint64_t expected = start.segment;
    for (const std::uint64_t number : numbers) {
      if (number < start.segment) continue;
      const std::string name = LogName{epoch_, part_, number}.text();
      if (number != expected) {
        throw Error(ErrorCode::kCorrupt, "'" + path_ + "/" + LogName{epoch_, part_, expected}.text() +
                                             "' is missing, and '" + name + "' follows it");
      }
      ++expected;
      const InputFile file(directory_, path_, name, kLogMagic);
      if (ended_ || file.blank()) {
        end_at(file, kFileHeaderBytes);
        continue;
      }
      check_header(file, number);
      if (file.header().first > position_ || (number != start.segment && file.header().first != position_)) {
        // The segment before ended early: its last pages are lost.
        end_at(file, kFileHeaderBytes - 8);
        continue;
      }
      read(file, kFileHeaderBytes + (position_ - file.header().first));
    }
    if (expected == start.segment && start.position > 0) {
      throw Error(ErrorCode::kCorrupt,
                  "'" + path_ + "/" + LogName{epoch_, part_, start.segment}.text() + "' is missing");
    }
    return std::move(extent_);
  }

 private:
  void check_header(const InputFile& file, std::uint64_t number) const {
    const FileHeader& header = file.header();
    if (header.epoch != epoch_ || header.part != part_ || header.number != number) {
      file.fail(0, "the header is that of another segment");
    }
  }

  void read(const InputFile& file, std::uint64_t offset) {
    if (offset > file.bytes()) file.fail(file.bytes(), "the file ends before the place where it is to be read from");
    RecordReader reader(file, offset);
    Record record{};
    RecordReader::Step step{};
    while ((step = reader.next(record)) == RecordReader::Step::kRecord) {
      visit_(record);
      ++extent_.records;
    }
    extent_.spans.push_back({LogName{epoch_, part_, file.header().number}.text(), offset, reader.offset()});
    extent_.bytes += reader.offset() - offset;
    position_ = reader.position();
    damaged_path_ = file.path();
    damaged_offset_ = reader.offset();
    extent_.torn = step == RecordReader::Step::kBad;
    check_rest(file, reader);
  }

  // The log has ended before this file, or in front of `offset`: nothing intact may be in it that proves otherwise.
  void end_at(const InputFile& file, std::uint64_t offset) {
    ended_ = true;
    if (file.blank()) return;
    extent_.torn = true;
    RecordReader reader(file, offset);
    check_rest(file, reader);
  }

  void check_rest(const InputFile& file, RecordReader& reader) {
    Record record{};
    while (reader.seek_record(record)) {
      extent_.torn = true;
      if (file.header().boot == files().boot() || record.durable > position_) {
        throw Error(ErrorCode::kCorrupt, "'" + damaged_path_ + "' is damaged at offset " +
                                             std::to_string(damaged_offset_) + ": an intact record follows at offset " +
                                             std::to_string(reader.offset()) + " of '" + file.path() + "'");
      }
    }
  }

  int directory_;
  const std::string& path_;
  std::uint64_t epoch_;
  std::uint32_t part_;
  const std::function<void(const Record&)>& visit_;
  LogExtent extent_;
  std::uint64_t position_ = 0;  // where the log goes on
  bool ended_ = false;
  std::string damaged_path_;
  std::uint64_t damaged_offset_ = 0;
};

}  // namespace

LogExtent read_log(int directory, const std::string& path, std::uint64_t epoch, std::uint32_t part,
                   const LogStart& start, const std::vector<std::uint64_t>& numbers,
                   const std::function<void(const Record&)>& visit) {
  return LogWalk(directory, path, epoch, part, visit).run(start, numbers);
}

SpanImage::SpanImage(int directory, const std::string& path, const LogSpan& span)
    : span_(span), file_(directory, path, span.name, kLogMagic), offset_(span.begin) {
  if (span.end > file_.bytes()) file_.fail(file_.bytes(), "it changed while it was read");
  mapped_ = files().map_to_read(file_.fd(), span.end);
  bytes_ = mapped_;
  if (mapped_ != nullptr) return;
  copied_ = std::make_unique_for_overwrite<std::byte[]>(span.end);
  read_whole(file_.fd(), file_.path(), copied_.get(), span.end, 0);
  bytes_ = copied_.get();
}

SpanImage::~SpanImage() {
  if (mapped_ != nullptr) files().unmap(const_cast<std::byte*>(mapped_), span_.end);
}

bool SpanImage::next(Record& record) {
  if (offset_ == span_.end) return false;
  RecordHeader header{};
  const std::uint64_t left = span_.end - offset_;
  if (left >= sizeof header) std::memcpy(&header, bytes_ + offset_, sizeof header);
  if (header.kind() == 0 || header.payload_bytes() > left || record_bytes(header.payload_bytes()) > left) {
    file_.fail(offset_, "it changed while it was read");
  }
  record = {static_cast<LogKind>(header.kind()),
            {reinterpret_cast<const char*>(bytes_ + offset_ + sizeof header), header.payload_bytes()},
            header.durable};
  offset_ += record_bytes(header.payload_bytes());
  return true;
}

bool SpanImage::contains(const char* address) const noexcept {
  const auto* const begin = reinterpret_cast<const char*>(bytes_);
  return std::greater_equal<>()(address, begin) && std::less<>()(address, begin + span_.end);
}

}  // namespace kv::persist
