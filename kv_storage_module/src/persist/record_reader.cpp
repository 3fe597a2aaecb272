#include "persist/record_reader.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kv_storage/error.hpp"
#include "persist/files.hpp"

namespace kv::persist {
namespace {

constexpr std::uint64_t kBufferBytes = 1 << 20;

}  // namespace

InputFile::InputFile(int directory, const std::string& directory_path, const std::string& name, std::uint64_t magic,
                     Trust trust)
    : path_(directory_path + "/" + name), fd_(files().open(directory, name.c_str(), O_RDONLY)) {
  if (fd_.get() < 0) {
    if (errno == ENOENT) throw Error(ErrorCode::kCorrupt, "'" + path_ + "' is missing");
    throw Error::from_errno(errno, "cannot open", path_);
  }
  const auto damaged = [&](std::uint64_t offset, const char* what) {
    if (trust == Trust::kIntact) fail(offset, what);
    header_damage_ = what;
    header_.magic = magic;
  };
  bytes_ = files().size(fd_.get());
  if (bytes_ < sizeof header_) {
    if (bytes_ == 0 && magic == kLogMagic) return;  // blank
    damaged(bytes_, "it ends in its header");
    return;
  }
  read_whole(fd_.get(), path_, &header_, sizeof header_, 0);
  const FileHeader zeros{};
  if (magic == kLogMagic && std::memcmp(&header_, &zeros, sizeof zeros) == 0) return;  // blank
  FileHeader sealed = header_;
  sealed.seal();
  if (header_.magic != magic) {
    damaged(0, "this is another kind of file");
  } else if (header_.checksum != sealed.checksum) {
    damaged(0, "the header's checksum does not fit");
  } else if (header_.version > kFormatVersion) {
    throw_newer(header_.version, path_);
  }
}

void InputFile::fail(std::uint64_t offset, const std::string& what) const {
  throw Error(ErrorCode::kCorrupt, "'" + path_ + "' is damaged at offset " + std::to_string(offset) + ": " + what);
}

RecordReader::RecordReader(const InputFile& file, std::uint64_t offset) : file_(file), offset_(offset) {}

bool RecordReader::load(std::uint64_t bytes) {
  if (offset_ >= buffer_offset_ && offset_ - buffer_offset_ + bytes <= buffered_) return true;
  if (offset_ > file_.bytes() || bytes > file_.bytes() - offset_) return false;
  const std::uint64_t wanted = std::min(std::max(bytes, kBufferBytes), file_.bytes() - offset_);
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  buffered_ = 0;
  read_whole(file_.fd(), file_.path(), buffer_.data(), wanted, offset_);
  buffer_offset_ = offset_;
  buffered_ = wanted;
  return true;
}

// Whether an intact record begins at offset_.
bool RecordReader::read_here(Record& record, std::uint64_t& whole_bytes) {
  if (!load(sizeof(RecordHeader))) return false;
  RecordHeader header{};
  std::memcpy(&header, buffer_.data() + (offset_ - buffer_offset_), sizeof header);
  whole_bytes = record_bytes(header.payload_bytes());
  if (header.kind() == 0 || header.kind() > kMaxKind || header.payload_bytes() > file_.bytes() || !load(whole_bytes))
    return false;
  const std::byte* const at = buffer_.data() + (offset_ - buffer_offset_);
  if (record_checksum(at, header.payload_bytes(), file_.header().seed, position()) != header.checksum) return false;
  const auto* const payload = reinterpret_cast<const char*>(at + sizeof header);
  record = {static_cast<LogKind>(header.kind()), {payload, header.payload_bytes()}, header.durable};
  return true;
}

RecordReader::Step RecordReader::next(Record& record) {
  std::uint64_t whole_bytes = 0;
  if (read_here(record, whole_bytes)) {
    offset_ += whole_bytes;
    return Step::kRecord;
  }
  const std::uint64_t left = file_.bytes() - std::min(offset_, file_.bytes());
  const std::uint64_t header_bytes = std::min<std::uint64_t>(left, sizeof(RecordHeader));
  if (!load(header_bytes)) return Step::kEnd;
  const std::byte* const at = buffer_.data() + (offset_ - buffer_offset_);
  const bool zeros = std::all_of(at, at + header_bytes, [](std::byte byte) { return byte == std::byte{0}; });
  return zeros ? Step::kEnd : Step::kBad;
}

// On to the last word in the buffer behind which a record could begin: what follows a log's end is mostly zeros.
void RecordReader::skip_zeros() noexcept {
  constexpr std::uint64_t kWord = sizeof(std::uint64_t);
  std::uint64_t at = offset_ - buffer_offset_;
  std::uint64_t kind_and_bytes = 0;
  for (; at + sizeof(RecordHeader) + kWord <= buffered_; at += kWord) {
    std::memcpy(&kind_and_bytes, buffer_.data() + at + offsetof(RecordHeader, kind_and_bytes), kWord);
    if (kind_and_bytes != 0) break;
  }
  offset_ = buffer_offset_ + at;
}

bool RecordReader::seek_record(Record& record) {
  std::uint64_t whole_bytes = 0;
  for (offset_ += 8; load(sizeof(RecordHeader)); offset_ += 8) {
    skip_zeros();
    if (read_here(record, whole_bytes)) return true;
  }
  return false;
}

}  // namespace kv::persist
