#include "persist/record_writer.hpp"

#include <fcntl.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <memory>
#include <new>

#include "kv_storage/error.hpp"
#include "memory/system.hpp"
#include "persist/files.hpp"

namespace kv::persist {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;

constexpr std::array<char, 8> kZeros{};
[[nodiscard]] constexpr std::uint64_t padding_of(std::uint64_t payload_bytes) noexcept {
  return record_bytes(payload_bytes) - sizeof(RecordHeader) - payload_bytes;
}

// As record_checksum(), of a record in pieces.
[[nodiscard]] std::uint64_t checksum_of(const RecordHeader& header, std::span<const ByteView> payload,
                                        std::uint64_t seed) {
  struct Free {
    void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
  };
  const std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
  if (!state) throw std::bad_alloc();
  XXH3_64bits_reset_withSeed(state.get(), seed);
  constexpr std::size_t kFrom = offsetof(RecordHeader, kind_and_bytes);
  XXH3_64bits_update(state.get(), reinterpret_cast<const char*>(&header) + kFrom, sizeof header - kFrom);
  for (const ByteView piece : payload) XXH3_64bits_update(state.get(), piece.data(), piece.size());
  XXH3_64bits_update(state.get(), kZeros.data(), padding_of(header.payload_bytes()));
  return XXH3_64bits_digest(state.get());
}

}  // namespace

RecordWriter::RecordWriter(int directory, const std::string& directory_path, std::string name, FileHeader header)
    : directory_(directory),
      name_(std::move(name)),
      temporary_(name_ + kTemporarySuffix),
      path_(directory_path + "/" + temporary_),
      fd_(files().open(directory, temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC)),
      seed_(system::random64()) {
  if (!fd_.is_open()) throw Error::from_errno(errno, "cannot make", path_);
  buffer_.reserve(kBufferBytes);
  header.version = kFormatVersion;
  header.seed = seed_;
  header.boot = files().boot();
  header.seal();
  put(bytes_of(header));
}

RecordWriter::~RecordWriter() {
  if (!finished_) (void)files().remove(directory_, temporary_.c_str());
}

void RecordWriter::write(LogKind kind, std::span<const ByteView> payload) {
  std::uint64_t payload_bytes = 0;
  for (const ByteView piece : payload) payload_bytes += piece.size();
  RecordHeader header{0, RecordHeader::pack(static_cast<std::uint8_t>(kind), payload_bytes), 0};
  const std::uint64_t position = written_ + buffer_.size() - kFileHeaderBytes;
  header.checksum = checksum_of(header, payload, seed_ + position);
  put(bytes_of(header));
  for (const ByteView piece : payload) put(piece);
  put({kZeros.data(), padding_of(payload_bytes)});
}

void RecordWriter::put(ByteView bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) drain();
  if (bytes.size() >= kBufferBytes) {
    write_whole(fd_.get(), path_, bytes.data(), bytes.size(), written_);
    written_ += bytes.size();
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
}

void RecordWriter::drain() {
  write_whole(fd_.get(), path_, buffer_.data(), buffer_.size(), written_);
  written_ += buffer_.size();
  buffer_.clear();
}

std::uint64_t RecordWriter::finish(std::uint64_t entries) {
  write(LogKind::kEnd, std::array{bytes_of(entries)});
  drain();
  if (files().sync(fd_.get()) != 0) throw Error::from_errno(errno, "cannot sync", path_);
  if (files().rename(directory_, temporary_.c_str(), name_.c_str()) != 0) {
    throw Error::from_errno(errno, "cannot rename", path_);
  }
  finished_ = true;
  return written_;
}

}  // namespace kv::persist
