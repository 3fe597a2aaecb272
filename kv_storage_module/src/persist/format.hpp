// How the files of a data directory are laid out: docs/persistence_format.md tells the same byte by byte.
//
//   MANIFEST                     text: what is in force (persist/manifest.hpp)
//   log-<epoch>-<part>-<number>  a segment of a part's log
//   checkpoint-<number>-<part>   what a part held
//   load-<number>                the contents of one collection
//
// All but the manifest begin with a FileHeader and go on with records, each behind a RecordHeader and padded to 8
// bytes. Numbers are little endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "kv_storage/bytes.hpp"

namespace kv::persist {

inline constexpr std::uint32_t kFormatVersion = 1;

inline constexpr std::uint64_t kLogMagic = 0x0a474f4c53564b01;         // "\1KVSLOG\n"
inline constexpr std::uint64_t kCheckpointMagic = 0x0a504b4353564b01;  // "\1KVSCKP\n"
inline constexpr std::uint64_t kLoadMagic = 0x0a444f4c53564b01;        // "\1KVSLOD\n"

struct FileHeader {
  std::uint64_t magic;
  std::uint32_t version;  // kFormatVersion
  std::uint32_t part;     // of the writer; 0 in a load file
  std::uint64_t epoch;
  std::uint64_t number;    // of the segment, checkpoint or load
  std::uint64_t first;     // segments: position of the first record
  std::uint64_t seed;      // random: of the checksums of the records
  std::uint64_t boot;      // segments: which start of the machine it was begun in
  std::uint64_t checksum;  // XXH3 of all bytes before

  void seal() noexcept;
};
static_assert(sizeof(FileHeader) == 64);
inline constexpr std::uint64_t kFileHeaderBytes = sizeof(FileHeader);

struct RecordHeader {
  std::uint64_t checksum;  // XXH3 of the rest of the record with its padding, seeded with FileHeader::seed + position
  std::uint64_t kind_and_bytes;  // LogKind << 56 | bytes of the payload
  std::uint64_t durable;         // segments: position up to which the log was known to be on disk

  [[nodiscard]] std::uint8_t kind() const noexcept { return static_cast<std::uint8_t>(kind_and_bytes >> 56); }
  [[nodiscard]] std::uint64_t payload_bytes() const noexcept { return kind_and_bytes & ((std::uint64_t{1} << 56) - 1); }
  static std::uint64_t pack(std::uint8_t kind, std::uint64_t bytes) noexcept {
    return std::uint64_t{kind} << 56 | bytes;
  }
};
static_assert(sizeof(RecordHeader) == 24);
inline constexpr std::uint8_t kMaxKind = 63;

// With header and padding.
[[nodiscard]] constexpr std::uint64_t record_bytes(std::uint64_t payload_bytes) noexcept {
  return (sizeof(RecordHeader) + payload_bytes + 7) / 8 * 8;
}
// Throws Error{kIo} (ENOTSUP): a newer version wrote the file.
[[noreturn]] void throw_newer(std::uint32_t version, const std::string& path);

// Of a record that lies in memory as in the file. `position`: of its first byte, counted as in FileHeader::first.
[[nodiscard]] std::uint64_t record_checksum(const std::byte* record, std::uint64_t payload_bytes, std::uint64_t seed,
                                            std::uint64_t position) noexcept;

// ---- Names ----

struct LogName {
  std::uint64_t epoch;
  std::uint32_t part;
  std::uint64_t number;
  [[nodiscard]] std::string text() const;
  static std::optional<LogName> parse(const std::string& name);
};
struct CheckpointName {
  std::uint64_t number;
  std::uint32_t part;
  [[nodiscard]] std::string text() const;
  static std::optional<CheckpointName> parse(const std::string& name);
};
struct LoadName {
  std::uint64_t number;
  [[nodiscard]] std::string text() const;
  static std::optional<LoadName> parse(const std::string& name);
};
inline constexpr const char* kManifestName = "MANIFEST";
inline constexpr const char* kTemporarySuffix = ".tmp";

}  // namespace kv::persist
