#include "persist/segment.hpp"

#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "kv_storage/error.hpp"
#include "persist/files.hpp"

namespace kv::persist {
namespace {

void assemble(std::byte* to, RecordHeader header, std::span<const ByteView> payload, std::uint64_t seed,
              std::uint64_t position) noexcept {
  std::byte* at = to + sizeof header;
  for (const ByteView piece : payload) {
    if (!piece.empty()) std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  const std::uint64_t padding = record_bytes(header.payload_bytes()) - static_cast<std::uint64_t>(at - to);
  std::memset(at, 0, padding);
  std::memcpy(to, &header, sizeof header);
  header.checksum = record_checksum(to, header.payload_bytes(), seed, position);
  std::memcpy(to, &header.checksum, sizeof header.checksum);
}

}  // namespace

void Segment::create(int directory, const std::string& path, const FileHeader& header, std::uint64_t bytes) {
  close();
  const std::string name = LogName{header.epoch, header.part, header.number}.text();
  const std::string file = path + "/" + name;
  (void)files().remove(directory, name.c_str());  // of a writer that died before it could tell
  OwnedFd fd(files().open(directory, name.c_str(), O_RDWR | O_CREAT | O_EXCL));
  if (fd.get() < 0) throw Error::from_errno(errno, "cannot make a segment of the log", file);
  try {
    if (files().allocate(fd.get(), bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
      throw Error::from_errno(errno, "cannot take room for a segment of the log", file);
    }
    write_whole(fd.get(), file, &header, sizeof header, 0);
  } catch (...) {
    (void)files().remove(directory, name.c_str());
    throw;
  }
  path_ = file;
  fd_ = std::move(fd);
  adopt(header.number, bytes, header.seed);
}

void Segment::open(int directory, const std::string& path, const LogName& name, std::uint64_t bytes) {
  close();
  const std::string file = path + "/" + name.text();
  OwnedFd fd(files().open(directory, name.text().c_str(), O_RDWR));
  if (fd.get() < 0) throw Error::from_errno(errno, "cannot open a segment of the log", file);
  FileHeader header{};
  read_whole(fd.get(), file, &header, sizeof header, 0);
  path_ = file;
  fd_ = std::move(fd);
  adopt(name.number, bytes, header.seed);
}

void Segment::adopt(std::uint64_t number, std::uint64_t bytes, std::uint64_t seed) {
  const bool allocated = files().size(fd_.get()) >= bytes;
  base_ = allocated ? files().map(fd_.get(), bytes) : nullptr;
  bytes_ = bytes;
  seed_ = seed;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  number_ = number;
}

void Segment::close() noexcept {
  number_ = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (base_ != nullptr) files().unmap(base_, bytes_);
  base_ = nullptr;
  fd_.reset();
}

void Segment::forget_if_torn() noexcept {
  if (number_ != 0) return;
  base_ = nullptr;
  (void)fd_.release();
}

void Segment::write(std::uint64_t offset, std::uint64_t position, RecordHeader header,
                    std::span<const ByteView> payload) {
  if (base_ != nullptr) return assemble(base_ + offset, header, payload, seed_, position);
  buffer_.resize(record_bytes(header.payload_bytes()));
  assemble(buffer_.data(), header, payload, seed_, position);
  write_whole(fd_.get(), path_, buffer_.data(), buffer_.size(), offset);
}

void Segment::blank(std::uint64_t offset) noexcept {
  constexpr RecordHeader kZeros{};
  if (offset + sizeof kZeros > bytes_) return;
  if (base_ != nullptr) {
    std::memcpy(base_ + offset, &kZeros, sizeof kZeros);
  } else if (files().size(fd_.get()) > offset) {
    (void)files().write_at(fd_.get(), &kZeros, sizeof kZeros, offset);
  }
}

}  // namespace kv::persist
