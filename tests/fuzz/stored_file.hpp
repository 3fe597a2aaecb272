// For the fuzz targets of stored files: a file in memory in place of those of a directory, checksums set right so that
// what is behind them is reached, and a store to apply records to.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "kv_storage/error.hpp"
#include "memory/arena.hpp"
#include "memory/transaction.hpp"
#include "persist/files.hpp"
#include "persist/format.hpp"
#include "persist/restore.hpp"
#include "store/store_impl.hpp"
#include "store/verify.hpp"

namespace kv::test {

[[noreturn]] inline void fail_fuzz(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

class MemoryFiles : public persist::Files {
 public:
  MemoryFiles() { persist::set_files(this); }
  ~MemoryFiles() override { persist::set_files(nullptr); }

  std::map<std::string, std::string> contents;  // by name

  int open(int, const char* name, int) noexcept override {
    const auto found = contents.find(name);
    errno = ENOENT;
    if (found == contents.end()) return -1;
    const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
    const std::string& bytes = found->second;
    if (fd < 0 || ::pwrite(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
    return fd;
  }
  std::uint64_t boot() noexcept override { return 1; }
};

// Sets the checksums of header and records right, as far as the lengths lead.
inline void seal_file(std::string& bytes, std::uint64_t magic) {
  persist::FileHeader header{};
  if (bytes.size() < sizeof header) return;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.magic = magic;
  header.version = persist::kFormatVersion;
  header.seal();
  std::memcpy(bytes.data(), &header, sizeof header);
  for (std::size_t at = sizeof header; bytes.size() - at >= sizeof(persist::RecordHeader);) {
    persist::RecordHeader record{};
    std::memcpy(&record, bytes.data() + at, sizeof record);
    if (record.payload_bytes() > bytes.size() - at) return;
    const std::uint64_t whole = persist::record_bytes(record.payload_bytes());
    if (whole > bytes.size() - at) return;
    record.checksum = persist::record_checksum(reinterpret_cast<const std::byte*>(bytes.data()) + at,
                                               record.payload_bytes(), header.seed, header.first + at - sizeof header);
    std::memcpy(bytes.data() + at, &record, sizeof record);
    at += whole;
  }
}

// A store that records are applied to. Whatever they say, it is sound afterwards.
class Restoration {
 public:
  explicit Restoration(const persist::NameHistory& names)
      : arena_(Arena::create({.max_memory = 16 << 20, .parts = 2})) {
    arena_->header().hash_seed = 1;  // a finding is one again when its file is read again
    make_root_hash(*arena_);
    collections_ = persist::make_collections(*arena_, names);
  }

  void apply(persist::Restorer& restorer, LogKind kind, ByteView payload) {
    try {
      (void)restorer.apply(kind, payload);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOverCapacity) fail_fuzz(std::string("a record raised: ") + error.what());
    }
  }
  [[nodiscard]] persist::Restorer restorer(std::uint32_t part) { return {*arena_, collections_, {part, 2}}; }
  void check() const {
    for (const std::string& violation : verify_arena(*arena_)) fail_fuzz(violation);
  }

 private:
  std::shared_ptr<Arena> arena_;
  persist::RestoredCollections collections_;
};

}  // namespace kv::test
