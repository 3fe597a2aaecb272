// Reading what a part held, page by page, for whoever puts it into an arena: decoded, checked, and if the log behind it
// is at hand with what that changed already merged in, so that each entry is put in once, as it is now, in the order of
// the keys.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "persist/record_reader.hpp"
#include "persist/replay.hpp"
#include "persist/restore.hpp"

namespace kv::persist {

// A record of a checkpoint or load.
struct RestoredPage {
  LogKind kind{};  // kPage: `entries` are what is to be put into `to`; else the payload is to be applied
  std::uint64_t offset = 0;
  std::string payload;                     // also what the entries lead into
  const RestoredCollection* to = nullptr;  // null: a page of a collection that is gone
  std::vector<RestoredEntry> entries;
  bool appendable = false;  // their keys ascend, and none expires
};

[[noreturn]] void throw_senseless(const InputFile& file, std::uint64_t offset);

class PageFeed {
 public:
  // Of a file that was written to its end before it counted. `changes`: of the log, gathered; null = none.
  PageFeed(const InputFile& file, const Restorer& restorer, Replay* changes)
      : file_(file), restorer_(restorer), changes_(changes), reader_(file) {}

  // Makes `page` the next one; false = the file has ended. Throws Error{kCorrupt, kIo}.
  bool next(RestoredPage& page);

 private:
  void decode(RestoredPage& page);
  void merge_until(const ByteView* end, std::vector<RestoredEntry>& entries);
  void merge(RestoredEntry entry, std::vector<RestoredEntry>& entries);

  const InputFile& file_;
  const Restorer& restorer_;
  Replay* changes_;
  RecordReader reader_;
  std::uint32_t serial_ = 0;                // of the collection whose pages are being read,
  const RestoredCollection* to_ = nullptr;  // if any are; and what is to be merged into them
  KeyChanges* merging_ = nullptr;
  std::vector<RestoredEntry> decoded_;
  Record record_{};           // that was read, but not handed out yet
  std::uint64_t offset_ = 0;  // of it
  bool ahead_ = false;
};

// The pages of a feed, read by a thread of its own, some ahead of those that are taken; or by the caller.
class PageQueue {
 public:
  PageQueue(PageFeed& feed, bool ahead);
  PageQueue(const PageQueue&) = delete;
  PageQueue& operator=(const PageQueue&) = delete;
  ~PageQueue();

  // Null = there are no more. Valid until the next call. Throws as PageFeed::next().
  const RestoredPage* next();

 private:
  static constexpr std::size_t kPages = 32;

  void run() noexcept;

  PageFeed& feed_;
  std::array<RestoredPage, kPages> pages_;
  std::size_t read_ = 0;   // pages so far
  std::size_t taken_ = 0;  // those before the last one taken are free to be used again
  bool started_ = false;
  bool ended_ = false;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::mutex mutex_;  // guards all from read_ on
  std::condition_variable moved_;
  std::thread thread_;  // none: the caller reads
};

}  // namespace kv::persist
