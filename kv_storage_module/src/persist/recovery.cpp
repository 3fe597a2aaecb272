#include "persist/recovery.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "kv_storage/error.hpp"
#include "persist/checkpoint.hpp"
#include "persist/log_reader.hpp"
#include "persist/page_feed.hpp"
#include "persist/replay.hpp"
#include "persist/restore.hpp"
#include "persist/threads.hpp"

namespace kv::persist {
namespace {

class Recovery {
 public:
  Recovery(Arena& arena, int directory, const std::string& path) : arena_(arena), directory_(directory), path_(path) {}

  RecoveryReport run() {
    list_files();
    const auto found = Manifest::read(directory_, path_);
    if (!found && has_files_) {
      throw Error(ErrorCode::kCorrupt,
                  "'" + path_ + "/" + kManifestName + "' is missing, and there are files that it should name");
    }
    if (found) manifest_ = *found;
    // Keys go to the same part as when they were written, if there are as many.
    if (found) arena_.header().hash_seed = manifest_.seed;
    names_.reserve_serials(manifest_.serial);
    read_names();
    collections_ = make_collections(arena_, names_);
    load_checkpoint();
    for (std::size_t i = 0; i < logs_.size(); ++i) replay_epoch(i);
    check_lists();
    begin_epoch();
    return report_;
  }

 private:
  struct EpochLogs {
    std::uint32_t parts;
    std::vector<LogExtent> extents;
    std::vector<LoadRecord> loads;
  };

  void list_files() {
    for (const std::string& name : names_in(directory_, path_)) {
      if (const auto log = LogName::parse(name)) {
        segments_[{log->epoch, log->part}].push_back(log->number);
        see(log->epoch);
      } else if (const auto checkpoint = CheckpointName::parse(name)) {
        see(checkpoint->number);
      } else if (const auto load = LoadName::parse(name)) {
        see(load->number);
      }
    }
    for (auto& [log, numbers] : segments_) std::sort(numbers.begin(), numbers.end());
  }
  [[nodiscard]] std::vector<std::uint64_t> segments_of(std::uint64_t epoch, std::uint32_t part) const {
    const auto found = segments_.find({epoch, part});
    return found == segments_.end() ? std::vector<std::uint64_t>() : found->second;
  }
  void see(std::uint64_t number) {
    has_files_ = true;
    next_ = std::max(next_, number + 1);
  }

  // The names in the checkpoint, then what the logs did to them; and with that all logs have been checked.
  void read_names() {
    if (manifest_.checkpoint != 0) {
      const InputFile file = checkpoint_file(0);
      RecordReader reader(file);
      Record record{};
      while (reader.next(record) == RecordReader::Step::kRecord && record.kind == LogKind::kCreate) {
        if (!names_.apply(record.kind, record.payload)) throw_senseless(file, reader.offset());
      }
    }
    for (const Epoch& epoch : manifest_.epochs) {
      EpochLogs logs{static_cast<std::uint32_t>(epoch.logs.size()), std::vector<LogExtent>(epoch.logs.size()), {}};
      // A part's log may be ahead of part 0's when the power fails: the serial number of a collection whose name is
      // lost must not become that of another.
      std::vector<std::uint32_t> last_serials(epoch.logs.size());
      for_each_on_threads(epoch.logs.size(), [&](std::size_t part) {
        const auto visit = [&](const Record& record) {
          if (part == 0) return visit_name(record, logs);
          PayloadReader reader(record.payload);
          last_serials[part] = std::max(last_serials[part], reader.number<std::uint32_t>());
        };
        logs.extents[part] =
            read_log(directory_, path_, epoch.number, static_cast<std::uint32_t>(part), epoch.logs[part],
                     segments_of(epoch.number, static_cast<std::uint32_t>(part)), visit);
      });
      for (const std::uint32_t serial : last_serials) names_.reserve_serials(serial + 1);
      for (const LogExtent& extent : logs.extents) {
        report_.log_records += extent.records;
        report_.log_bytes += extent.bytes;
        report_.torn_logs += extent.torn ? 1 : 0;
      }
      logs_.push_back(std::move(logs));
    }
  }
  void visit_name(const Record& record, EpochLogs& logs) {
    if (!names_.apply(record.kind, record.payload)) {
      throw Error(ErrorCode::kCorrupt, "a record about names in a log of '" + path_ + "' makes no sense");
    }
    if (record.kind != LogKind::kLoad) return;
    if (const auto load = decode_load(record.payload)) logs.loads.push_back(*load);
  }

  [[nodiscard]] InputFile checkpoint_file(std::uint32_t part) const {
    InputFile file(directory_, path_, CheckpointName{manifest_.checkpoint, part}.text(), kCheckpointMagic);
    if (file.header().number != manifest_.checkpoint || file.header().part != part) {
      file.fail(0, "the header is that of another checkpoint");
    }
    return file;
  }

  // With what the first epoch's logs changed since merged in, if the parts are the same.
  void load_checkpoint() {
    if (manifest_.checkpoint == 0) return;
    const std::uint32_t parts = manifest_.checkpoint_parts;
    const bool merges = !logs_.empty() && logs_[0].parts == parts && parts == arena_.part_count();
    if (merges) replays_.resize(parts);
    std::atomic<std::uint64_t> bytes{0};
    for_each_on_threads(parts, [&](std::size_t index) {
      const auto part = static_cast<std::uint32_t>(index);
      const InputFile file = checkpoint_file(part);
      bytes += file.bytes();
      auto replay = std::make_unique<PartReplay>(*this, Writer{part, parts});
      if (merges) replay->read(logs_[0].extents[index].spans);
      restore_whole(file, replay->restorer, merges ? &*replay->log : nullptr, processors_for_each(parts) > 1);
      if (merges) {
        replays_[index] = std::move(replay);
      } else {
        count(replay->restorer);
      }
    });
    store_relaxed<std::uint64_t>(&arena_.header().durable.checkpoint, manifest_.checkpoint);
    store_relaxed<std::uint64_t>(&arena_.header().durable.checkpoint_bytes, bytes.load());
  }

  // A part's log, of which the first stretch has been taken in.
  struct PartReplay {
    PartReplay(const Recovery& recovery, Writer writer)
        : recovery_(recovery), parts_(writer.parts), restorer(recovery.arena_, recovery.collections_, writer) {}
    void read(std::span<const LogSpan> spans) {
      log.emplace(restorer, recovery_.directory_, recovery_.path_, spans, processors_for_each(parts_));
      (void)log->gather();
    }
    void finish() {
      if (!log) return;
      do log->apply();
      while (log->gather());
    }
    const Recovery& recovery_;
    std::uint32_t parts_;
    Restorer restorer;
    std::optional<Replay> log;
  };

  // Of a file that was written to its end before it counted: anything else is damage.
  void restore_whole(const InputFile& file, Restorer& restorer, Replay* changes, bool ahead) {
    PageFeed feed(file, restorer, changes);
    PageQueue pages(feed, ahead);
    while (const RestoredPage* const page = pages.next()) {
      const bool sensible = page->kind == LogKind::kPage
                                ? page->to == nullptr || restorer.put(*page->to, page->entries, page->appendable)
                                : restorer.apply(page->kind, page->payload);
      if (!sensible) throw_senseless(file, page->offset);
    }
    restorer.settle();
  }

  void replay_epoch(std::size_t index) {
    const EpochLogs& logs = logs_[index];
    // What was loaded came into being here, and was written to by later records only.
    for_each_on_threads(logs.loads.size(),
                        [&](std::size_t i) { load(logs.loads[i], processors_for_each(logs.loads.size()) > 1); });
    if (index > 0) replays_.clear();
    replays_.resize(logs.extents.size());
    for_each_on_threads(logs.extents.size(), [&](std::size_t part) {
      if (!replays_[part]) {
        replays_[part] = std::make_unique<PartReplay>(*this, Writer{static_cast<std::uint32_t>(part), logs.parts});
        replays_[part]->read(logs.extents[part].spans);
      }
      replays_[part]->finish();
      count(replays_[part]->restorer);
    });
  }

  // What the checkpoint has of a list is as of several steps, until the log has put that right.
  void check_lists() {
    for (const auto& [serial, to] : collections_) {
      if (!to.list) continue;
      ListRestorer(arena_, to.record, *to.list, false).finish();
      if (to.list->complete()) continue;
      throw Error(ErrorCode::kCorrupt, "the log of '" + path_ +
                                           "' ends before all is in it that the checkpoint has of '" +
                                           names_.collections().at(serial).name + "'");
    }
  }

  void load(const LoadRecord& record, bool ahead) {
    {
      const std::lock_guard lock(mutex_);
      loads_.insert(record.file);
    }
    if (!collections_.contains(record.serial)) return;  // dropped since
    const InputFile file(directory_, path_, LoadName{record.file}.text(), kLoadMagic);
    if (file.header().number != record.file) file.fail(0, "the header is that of another file");
    Restorer restorer(arena_, collections_, {});
    restore_whole(file, restorer, nullptr, ahead);
    count(restorer);
  }

  void count(const Restorer& restorer) {
    const std::lock_guard lock(mutex_);
    report_.entries += restorer.entries();
  }

  void begin_epoch() {
    DurableState& state = arena_.header().durable;
    // Epochs in which nothing was written are forgotten.
    std::erase_if(manifest_.epochs, [&](const Epoch& epoch) {
      return std::none_of(segments_.begin(), segments_.end(),
                          [&](const auto& log) { return log.first.first == epoch.number; });
    });
    manifest_.next = std::max(manifest_.next, next_);
    state.epoch = manifest_.next++;
    manifest_.seed = arena_.header().hash_seed;
    manifest_.serial = arena_.header().next_serial;
    state.older_epochs = static_cast<std::uint32_t>(manifest_.epochs.size());
    manifest_.epochs.push_back({state.epoch, std::vector<LogStart>(arena_.part_count())});
    manifest_.write(directory_, path_);
    remove_stale_files(directory_, path_, manifest_, [&](std::uint64_t number) { return loads_.contains(number); });
    state.next_file = manifest_.next;
    state.older_log_bytes = report_.log_bytes;
  }

  Arena& arena_;
  int directory_;
  const std::string& path_;
  Manifest manifest_;
  bool has_files_ = false;
  std::uint64_t next_ = 1;
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::vector<std::uint64_t>> segments_;  // by epoch and part
  NameHistory names_;
  RestoredCollections collections_;
  std::vector<EpochLogs> logs_;
  std::vector<std::unique_ptr<PartReplay>> replays_;  // of the epoch in progress
  std::set<std::uint64_t> loads_;                     // named by a log in force
  std::mutex mutex_;
  RecoveryReport report_;
};

}  // namespace

RecoveryReport recover(Arena& arena, int directory, const std::string& path) {
  return Recovery(arena, directory, path).run();
}

void start_logging(Arena& arena, int directory, const std::string& path) {
  OwnedFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own.is_open()) throw Error::from_errno(errno, "cannot open", path);
  arena.set_log(std::make_shared<DurableLog>(arena, std::move(own), path));
}

DurableLog* log_of(const Arena& arena) noexcept { return static_cast<DurableLog*>(arena.log()); }

}  // namespace kv::persist
