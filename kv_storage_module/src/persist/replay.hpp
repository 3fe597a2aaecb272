// Applying a part's log of one epoch.
//
// Record by record would be a walk through the index for each, with as many cache misses. So the log is taken in
// stretches: what the records of one say about keys is sorted, and only what it comes to is done, in the order of the
// keys; if nothing was written before, that builds the index from the bottom up. A stretch ends before a record that
// concerns many keys, which is done by itself, and after some hundred megabytes, so that memory is bounded.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "persist/key_changes.hpp"
#include "persist/log_reader.hpp"
#include "persist/restore.hpp"

namespace kv::persist {

class Replay {
 public:
  // Of the part that the restorer is for; all of it must outlive the object. With `processors` to spare, pieces of the
  // log are taken in by so many threads.
  Replay(Restorer& restorer, int directory, const std::string& path, std::span<const LogSpan> spans,
         std::size_t processors)
      : restorer_(restorer), directory_(directory), path_(path), spans_(spans), processors_(processors) {}

  // Takes in the next stretch, and applies nothing of it. False = the log has ended. Throws Error{kCorrupt, kIo}.
  bool gather();
  // What the stretch does to a collection, for somebody who merges it with what was there before; null = nothing. What
  // is taken from it is not applied again.
  [[nodiscard]] KeyChanges* changes_of(std::uint32_t serial);
  // Applies what is left of the stretch. Throws Error{kCorrupt, kOverCapacity}.
  void apply();

 private:
  // Some spans that follow one another, and what is in them up to the stretch's end.
  struct Piece {
    std::vector<std::unique_ptr<SpanImage>> images;  // the last one may not be read to its end
    std::span<const LogSpan> spans;
    std::size_t opened = 0;  // of them
    std::size_t records = 0;
    std::map<std::uint32_t, KeyRun> runs;  // by serial
    std::vector<Record> others;
    std::optional<Record> last;  // behind all of the stretch
  };
  [[nodiscard]] std::vector<Piece> cut();
  void gather(Piece& piece) const;
  void gather(Piece& piece, const Record& record) const;
  [[noreturn]] void fail_senseless(const std::vector<std::unique_ptr<SpanImage>>& images, const char* payload) const;

  Restorer& restorer_;
  int directory_;
  const std::string& path_;
  std::span<const LogSpan> spans_;
  std::size_t processors_;
  // Of the stretch:
  std::vector<std::unique_ptr<SpanImage>> images_;
  std::map<std::uint32_t, KeyChanges> changes_;  // by serial
  std::vector<Record> others_;
  std::optional<Record> last_;
};

}  // namespace kv::persist
