// The manifest: a small text that says what of a data directory is in force. It is replaced whole (written aside,
// synced, renamed, directory synced), so there is always one, the old or the new.
//
//   kv_storage manifest 1
//   seed 9f86d081884c7d65          of the hash that divides keys among parts
//   next 12                        number of the next checkpoint, load file or epoch
//   serial 7                       of the next collection
//   checkpoint 9 parts 2           there may be none
//   epoch 4 parts 2                logs to be read behind it, in this order; where each part's begins:
//   log 0 segment 3 position 52428160
//   log 1 segment 1 position 0
//   end 5feceb66ffc86f38           XXH3 of all before this line
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kv::persist {

// The last line of a manifest that so begins.
[[nodiscard]] std::string end_of(std::string_view before);

struct LogStart {
  std::uint64_t segment = 1;
  std::uint64_t position = 0;
};

struct Epoch {
  std::uint64_t number = 0;
  std::vector<LogStart> logs;  // by part
};

struct Manifest {
  std::uint64_t seed = 0;
  std::uint64_t next = 1;
  std::uint32_t serial = 1;
  std::uint64_t checkpoint = 0;  // 0 = none
  std::uint32_t checkpoint_parts = 0;
  std::vector<Epoch> epochs;

  [[nodiscard]] std::string encode() const;
  // Whether it is one, whole, of whatever version. Throws Error{kCorrupt}.
  static void check_end(const std::string& text, const std::string& path);
  // `path` is for messages. Throws Error{kCorrupt} naming path and offset, Error{kIo} for a newer format.
  static Manifest decode(const std::string& text, const std::string& path);

  // None = the directory has no manifest: it is new. Throws also Error{kIo}.
  static std::optional<Manifest> read(int directory, const std::string& path);
  // In force and on disk on return. Throws Error{kIo}; then the old one or the new one is in force.
  void write(int directory, const std::string& path) const;
};

}  // namespace kv::persist
