#include "persist/backup.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "kv_storage/error.hpp"
#include "persist/checkpoint.hpp"
#include "persist/log_reader.hpp"
#include "persist/new_directory.hpp"

namespace kv::persist {
namespace {

constexpr std::uint64_t kCopyBytes = 1 << 20;
constexpr int kMostReadings = 1000;

// Where a part's log ended.
struct LogEnd {
  std::uint64_t segment;
  std::uint64_t segment_first;
  std::uint64_t tail;
  friend bool operator==(const LogEnd&, const LogEnd&) = default;
};

class Backup {
 public:
  // While files are locked: no file of the store goes away, and no collection is loaded in one go.
  Backup(DurableLog& log, const NewDirectory& target) : log_(log), arena_(log.arena()), target_(target) {}

  void run(std::uint64_t number) {
    const std::uint64_t epoch = log_.state().epoch;
    const auto never = [] { return false; };
    const CheckpointFiles files = write_parts(arena_, {target_.fd(), target_.path(), epoch, number}, never);
    const std::vector<LogEnd> ends = ends_at_one_instant();
    std::vector<Epoch> epochs;
    if (has_grown(files.epoch, ends)) {
      // What a failed disk did to the log is not known. Memory is whole, and the next call needs no log.
      log_.check_trusted();
      for (std::uint32_t part = 0; part < ends.size(); ++part) copy_log(part, files.epoch, ends[part]);
      epochs.push_back(files.epoch);
    }
    const std::uint64_t next = load64(&log_.state().next_file);
    manifest_of(arena_, number, next, files, std::move(epochs)).write(target_.fd(), target_.path());
  }

 private:
  // Part 0 last: it has the names of all collections that the others' logs speak of.
  [[nodiscard]] std::vector<LogEnd> read_ends() const {
    std::vector<LogEnd> ends(arena_.part_count());
    for (std::uint32_t i = arena_.part_count(); i-- > 0;) {
      const Part::Lock lock(arena_.part(i));
      const LogState& log = arena_.part(i).control().log;
      ends[i] = {log.segment, log.segment_first, log.tail};
    }
    return ends;
  }
  // Two readings between which nothing was written show the instant between them.
  [[nodiscard]] std::vector<LogEnd> ends_at_one_instant() const {
    std::vector<LogEnd> ends = read_ends();
    for (int i = 0; i < kMostReadings && arena_.part_count() > 1; ++i) {
      std::vector<LogEnd> again = read_ends();
      const bool same = again == ends;
      ends = std::move(again);
      if (same) break;
    }
    return ends;
  }

  [[nodiscard]] static bool has_grown(const Epoch& epoch, const std::vector<LogEnd>& ends) {
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].tail != epoch.logs[i].position) return true;
    }
    return false;
  }

  void copy_log(std::uint32_t part, const Epoch& epoch, const LogEnd& end) {
    const LogStart& start = epoch.logs[part];
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t number = start.segment; number <= end.segment; ++number) {
      const LogName name{epoch.number, part, number};
      copy_segment(name, number == end.segment ? kFileHeaderBytes + (end.tail - end.segment_first) : UINT64_MAX);
      numbers.push_back(number);
    }
    const LogExtent copied =
        read_log(target_.fd(), target_.path(), epoch.number, part, start, numbers, [](const Record&) {});
    if (copied.bytes == end.tail - start.position) return;
    throw Error(ErrorCode::kCorrupt,
                "the log of part " + std::to_string(part) + " in '" + log_.path() + "' cannot be read up to its end");
  }

  // Up to `limit`: what lies behind is not committed.
  void copy_segment(const LogName& name, std::uint64_t limit) {
    const InputFile in(log_.directory(), log_.path(), name.text(), kLogMagic);
    const std::string path = target_.path() + "/" + name.text();
    const OwnedFd out(files().open(target_.fd(), name.text().c_str(), O_WRONLY | O_CREAT | O_EXCL));
    if (!out.is_open()) throw Error::from_errno(errno, "cannot make", path);
    const std::uint64_t bytes = std::min(in.bytes(), limit);
    buffer_.resize(std::min(bytes, kCopyBytes));
    for (std::uint64_t at = 0; at < bytes;) {
      const std::uint64_t piece = std::min(bytes - at, kCopyBytes);
      read_whole(in.fd(), in.path(), buffer_.data(), piece, at);
      write_whole(out.get(), path, buffer_.data(), piece, at);
      at += piece;
    }
    if (files().sync(out.get()) != 0) throw Error::from_errno(errno, "cannot sync", path);
  }

  DurableLog& log_;
  Arena& arena_;
  const NewDirectory& target_;
  std::vector<char> buffer_;
};

}  // namespace

void write_backup(DurableLog& log, const std::string& to) {
  NewDirectory target(to);
  const DurableLog::FilesLock lock(log);
  Backup(log, target).run(lock.next_number());
  target.finish();
}

}  // namespace kv::persist
