#include "persist/durable_log.hpp"

#include <fcntl.h>
#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <vector>

#include "kv_storage/error.hpp"
#include "memory/clock.hpp"
#include "memory/system.hpp"
#include "memory/transaction.hpp"
#include "persist/checkpoint.hpp"
#include "persist/group_commit.hpp"

namespace kv::persist {
namespace {

constexpr std::uint64_t kFirstSegmentBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kSegmentBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kPageBytesOfFile = 4096;

// Defined only for the negative control of tests/crash/durable_storm.cpp, which must find it out: the record follows
// its commit instead of preceding it.
#if defined(KV_TEST_LATE_RECORD)
constexpr bool kRecordFirst = false;
#else
constexpr bool kRecordFirst = true;
#endif

// What this thread has appended and not yet settled.
struct Unsettled {
  const DurableLog* log = nullptr;
  std::uint64_t parts = 0;  // a bit for each
  std::array<std::uint64_t, kMaxParts> ends{};
};
thread_local Unsettled unsettled;

// pthread_atfork(3) handlers over all logs of this process. Registered once, by the first one.
class ForkedLogs {
 public:
  static void add(DurableLog* log) {
    static std::once_flag registered;
    std::call_once(registered, [] {
      ::pthread_atfork(&before, &parent, &child);
      std::atexit(&at_exit);
    });
    const std::lock_guard lock(mutex());
    logs().push_back(log);
  }
  static void remove(DurableLog* log) noexcept {
    const std::lock_guard lock(mutex());
    std::erase(logs(), log);
  }

 private:
  // Never destroyed: a fork may come as late as an exit handler.
  static std::mutex& mutex() {
    static auto* const instance = new std::mutex;
    return *instance;
  }
  static std::vector<DurableLog*>& logs() {
    static auto* const instance = new std::vector<DurableLog*>;
    return *instance;
  }
  static void before() {
    mutex().lock();
    for (DurableLog* log : logs()) log->before_fork();
  }
  static void after(bool in_child) {
    for (DurableLog* log : logs()) log->after_fork(in_child);
    mutex().unlock();
  }
  // Of stores that nobody closed.
  static void at_exit() {
    const std::lock_guard lock(mutex());
    for (DurableLog* log : logs()) log->rest();
  }
  static void parent() { after(false); }
  static void child() { after(true); }
};

}  // namespace

DurableLog::DurableLog(Arena& arena, OwnedFd directory, std::string path)
    : arena_(arena), directory_(std::move(directory)), path_(std::move(path)), background_(*this) {
  ForkedLogs::add(this);
}

DurableLog::~DurableLog() {
  background_.stop();
  ForkedLogs::remove(this);
}

SyncMode DurableLog::mode() const noexcept { return static_cast<SyncMode>(load32(&state().sync_mode)); }

// ---- Appending ----

void DurableLog::throw_failure() const {
  throw Error::from_errno(static_cast<int>(load32(&state().failure)),
                          std::string("the log could not be written before (") +
                              name_of(static_cast<FileCall>(load32(&state().failure_call))) +
                              "), and nothing can be until the store is closed by all processes and opened again",
                          path_);
}

void DurableLog::check_trusted() const {
  if (load32(&state().failure) != 0) [[unlikely]]
    throw_failure();
}

void DurableLog::check_writable() const {
  check_trusted();
  if (closed_.load(std::memory_order_relaxed)) [[unlikely]]
    throw Error(ErrorCode::kClosed, "the store is closed");
}

// The first failure is the one that is told.
void DurableLog::fail(FileCall call, int error) noexcept {
  std::uint32_t none = 0;
  const auto code = static_cast<std::uint32_t>(error != 0 ? error : EIO);
  if (!__atomic_compare_exchange_n(&state().failure, &none, code, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return;
  store_relaxed<std::uint32_t>(&state().failure_call, static_cast<std::uint32_t>(call));
  store_relaxed<std::uint64_t>(&state().failure_ms, wall_clock_ms());
}

void DurableLog::append(Transaction& txn, std::uint8_t kind, std::span<const ByteView> pieces) {
  check_writable();
  LogState& log = txn.control().log;
  std::uint64_t payload_bytes = 0;
  for (const ByteView piece : pieces) payload_bytes += piece.size();
  const std::uint64_t bytes = record_bytes(payload_bytes);
  if (log.segment == 0 || kFileHeaderBytes + (log.tail - log.segment_first) + bytes > log.segment_bytes) {
    start_segment(txn, bytes);
  }
  const RecordHeader header{0, RecordHeader::pack(kind, payload_bytes), load64(&log.durable)};
  Segment& segment = current_segment(txn.part());
  const std::uint64_t position = log.tail;
  if (!kRecordFirst) {
    txn.store64(&log.tail, position + bytes);
    txn.commit();
  }
  try {
    segment.write(kFileHeaderBytes + (position - log.segment_first), position, header, pieces);
  } catch (const Error& error) {
    // With no room nothing has happened: the place is written again. Anything else leaves pages in an unknown state.
    if (error.os_error() != ENOSPC && error.os_error() != EDQUOT) fail(FileCall::kWrite, error.os_error());
    throw;
  }
  if (kRecordFirst) txn.store64(&log.tail, position + bytes);
  const std::uint32_t part = txn.part().index();
  if (unsettled.log != this) {
    unsettled.log = this;
    unsettled.parts = 0;
  }
  unsettled.parts |= std::uint64_t{1} << part;
  unsettled.ends[part] = log.tail;
}

// In the transaction: if it is undone, the file is made again by whoever needs it next.
void DurableLog::start_segment(Transaction& txn, std::uint64_t record_bytes) {
  LogState& log = txn.control().log;
  FileHeader header{};
  header.magic = kLogMagic;
  header.version = kFormatVersion;
  header.part = txn.part().index();
  header.epoch = state().epoch;
  header.number = log.segment + 1;
  header.first = log.tail;
  header.seed = system::random64();
  header.boot = files().boot();
  header.seal();
  const std::uint64_t usual = std::clamp(2 * log.segment_bytes, kFirstSegmentBytes, kSegmentBytes);
  const std::uint64_t needed =
      (kFileHeaderBytes + record_bytes + kPageBytesOfFile - 1) / kPageBytesOfFile * kPageBytesOfFile;
  const std::uint64_t bytes = std::max(usual, needed);
  segments_[txn.part().index()].create(directory_.get(), path_, header, bytes);
  txn.store64(&log.segment, header.number);
  txn.store64(&log.segment_seed, header.seed);
  txn.store64(&log.segment_first, log.tail);
  txn.store64(&log.segment_bytes, bytes);
}

// What this process has open may be a file that its transaction, or its parent's, was undone with; another process has
// made one of that number anew since, and removed that one.
Segment& DurableLog::current_segment(const Part& part) {
  const LogState& log = part.control().log;
  Segment& segment = segments_[part.index()];
  if (segment.number() != log.segment || segment.seed() != log.segment_seed) [[unlikely]] {
    segment.open(directory_.get(), path_, {state().epoch, part.index(), log.segment}, log.segment_bytes);
  }
  return segment;
}

void DurableLog::retract(const Part& part) noexcept {
  const LogState& log = part.control().log;
  try {
    if (log.segment != 0) current_segment(part).blank(kFileHeaderBytes + (log.tail - log.segment_first));
  } catch (const Error&) {  // it stays, and may be read again: a write that nobody was told of
  }
}

// ---- Waiting ----

void DurableLog::settle() {
  if (unsettled.log != this || unsettled.parts == 0) return;
  const SyncMode sync = mode();
  if (sync == SyncMode::kAlways) {
    if (WriteBatch::active()) return;
    std::uint64_t parts = unsettled.parts;
    unsettled.parts = 0;
    for (; parts != 0; parts &= parts - 1) {
      const auto index = static_cast<std::uint32_t>(__builtin_ctzll(parts));
      wait_until_durable(arena_.part(index), unsettled.ends[index]);
    }
    // A collection that others can see already may not be on disk yet.
    wait_until_durable(arena_.part(0), load64(&state().catalog_end));
  }
  unsettled.parts = 0;
  const bool due = checkpoint_is_due();
  if (sync == SyncMode::kInterval || due) background_.ensure_running();
  if (due) hold_back_writers();
}

// Those who write faster than checkpoints are written wait for the one in progress.
void DurableLog::hold_back_writers() {
  constexpr std::uint64_t kPatience = 4;
  if (log_bytes() <= kPatience * log_limit() || WriteBatch::active()) return;
  const FilesLock lock(*this);
}

namespace {

struct SliceWait {
  pthread_mutex_t* mutex;
  int result;
};
bool lock_slice(void* context) {
  auto* wait = static_cast<SliceWait*>(context);
  wait->result = lock_within_slice(wait->mutex);
  return wait->result != ETIMEDOUT;
}

// Holds one of the robust mutexes of the arena, whose owner may have died: what they guard is valid at any instant.
class RobustLock {
 public:
  explicit RobustLock(pthread_mutex_t* mutex) : mutex_(mutex) {
    SliceWait wait{mutex, ::pthread_mutex_trylock(mutex)};
    if (wait.result == EBUSY) wait_until(lock_slice, &wait);
    if (wait.result == EOWNERDEAD) wait.result = ::pthread_mutex_consistent(mutex);
    if (wait.result != 0) throw Error::from_errno(wait.result, "cannot lock the log of the store");
  }
  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;
  ~RobustLock() { ::pthread_mutex_unlock(mutex_); }

 private:
  pthread_mutex_t* mutex_;
};

}  // namespace

// Who gets the mutex syncs for all that wait for it, and they find it done.
void DurableLog::wait_until_durable(Part& part, std::uint64_t end) {
  LogState& log = part.control().log;
  if (load64(&log.durable) >= end) return;
  GroupCommit(log).arrive();
  struct Attempt {
    DurableLog& log;
    Part& part;
    std::uint64_t end;
    std::exception_ptr failure;
  } attempt{*this, part, end, nullptr};
  // The hook gives up the GIL before it calls, and so it is given up while the disk works.
  wait_until(
      [](void* context) {
        auto& self = *static_cast<Attempt*>(context);
        LogState& state = self.part.control().log;
        GroupCommit group(state);
        int result = group.spin(self.end);
        if (result == EBUSY) {
          if (load64(&state.durable) >= self.end) return true;
          result = lock_within_slice(&state.sync_mutex);
        }
        if (result == ETIMEDOUT) return load64(&state.durable) >= self.end;
        if (result == EOWNERDEAD) result = ::pthread_mutex_consistent(&state.sync_mutex);
        try {
          if (result != 0) throw Error::from_errno(result, "cannot lock the log of the store");
          if (load64(&state.durable) < self.end) {
            group.before_sync();
            self.log.sync_part(self.part);
            group.after_sync();
          }
        } catch (...) {
          self.failure = std::current_exception();
        }
        if (result == 0) ::pthread_mutex_unlock(&state.sync_mutex);
        return true;
      },
      &attempt);
  if (attempt.failure) std::rethrow_exception(attempt.failure);
}

// Under the part's sync mutex, and not its lock: writers go on meanwhile.
void DurableLog::sync_part(Part& part) {
  if (load32(&state().failure) != 0) throw_failure();
  LogState& log = part.control().log;
  std::uint64_t end = 0;
  std::uint64_t last = 0;
  {
    const Part::PatientScope patient;
    const Part::Lock lock(part);
    end = log.tail;
    last = log.segment;
  }
  if (end == load64(&log.durable)) return;
  const auto must = [&](FileCall call, int result) {
    if (result >= 0) return;
    fail(call, errno);
    throw_failure();
  };
  for (std::uint64_t number = std::max({log.synced, load64(&log.kept), std::uint64_t{1}}); number <= last; ++number) {
    const int fd = segment_to_sync(part, number);
    if (fd < 0 && errno == ENOENT && number < load64(&log.kept)) continue;  // a checkpoint has just covered it
    must(FileCall::kOpen, fd);
    must(FileCall::kSyncData, files().sync_data(fd));
  }
  if (log.synced != last) must(FileCall::kSync, files().sync(directory_.get()));
  store_relaxed<std::uint64_t>(&log.synced, last);
  store_relaxed<std::uint64_t>(&log.durable, end);
}

int DurableLog::segment_to_sync(const Part& part, std::uint64_t number) {
  SyncFile& file = sync_files_[part.index()];
  if (file.number != number) {
    file.number = 0;
    const LogName name{state().epoch, part.index(), number};
    file.fd = OwnedFd(files().open(directory_.get(), name.text().c_str(), O_RDWR));
    if (!file.fd.is_open()) return -1;
    file.number = number;
  }
  return file.fd.get();
}

void DurableLog::sync_all() {
  store_relaxed<std::uint64_t>(&state().last_sync_ms, monotonic_ms());
  for (std::uint32_t i = 0; i < arena_.part_count(); ++i) {
    Part& part = arena_.part(i);
    if (load64(&part.control().log.tail) == load64(&part.control().log.durable)) continue;
    const RobustLock lock(&part.control().log.sync_mutex);
    sync_part(part);
  }
}

void DurableLog::flush() {
  for (std::uint32_t i = 0; i < arena_.part_count(); ++i) {
    Part& part = arena_.part(i);
    std::uint64_t end = 0;
    {
      const Part::Lock lock(part);
      end = part.control().log.tail;
    }
    wait_until_durable(part, end);
  }
}

// ---- Files ----

DurableLog::FilesLock::FilesLock(DurableLog& log) : log_(log) {
  pthread_mutex_t* const mutex = &log.state().files_mutex;
  SliceWait wait{mutex, ::pthread_mutex_trylock(mutex)};
  if (wait.result == EBUSY) wait_until(lock_slice, &wait);
  locked(wait.result);
}
DurableLog::FilesLock::FilesLock(DurableLog& log, std::try_to_lock_t) : log_(log) {
  locked(::pthread_mutex_trylock(&log.state().files_mutex));
}
void DurableLog::FilesLock::locked(int result) {
  if (result == EOWNERDEAD) result = ::pthread_mutex_consistent(&log_.state().files_mutex);
  if (result != 0) throw Error::from_errno(result, "cannot lock the files of the store");
}
DurableLog::FilesLock::~FilesLock() { ::pthread_mutex_unlock(&log_.state().files_mutex); }
std::uint64_t DurableLog::FilesLock::next_number() const noexcept {
  return __atomic_fetch_add(&log_.state().next_file, 1, __ATOMIC_RELAXED);
}

std::uint64_t DurableLog::log_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < arena_.part_count(); ++i) {
    const LogState& log = arena_.part(i).control().log;
    bytes += load64(&log.tail) - load64(&log.checkpoint_tail);
  }
  return bytes + load64(&state().older_log_bytes);
}

std::uint64_t DurableLog::log_limit() const noexcept {
  constexpr std::uint64_t kLeast = std::uint64_t{64} << 20;
  return std::max(kLeast, load64(&state().checkpoint_bytes));
}

bool DurableLog::checkpoint_is_due() const noexcept {
  constexpr std::uint32_t kManyEpochs = 16;
  return log_bytes() > log_limit() || load32(&state().older_epochs) > kManyEpochs;
}

void DurableLog::checkpoint() {
  const FilesLock lock(*this);
  checkpoint(lock, [] { return false; });
}

void DurableLog::try_checkpoint(const std::function<bool()>& stop) {
  const FilesLock lock(*this, std::try_to_lock);
  checkpoint(lock, stop);
}

void DurableLog::checkpoint(const FilesLock& lock, const std::function<bool()>& stop) {
  if (load32(&state().failure) != 0) throw_failure();
  try {
    write_checkpoint(*this, lock.next_number(), stop);
    store_relaxed<std::uint32_t>(&state().checkpoint_failure, 0);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kIo) {
      store_relaxed<std::uint32_t>(&state().checkpoint_failure, static_cast<std::uint32_t>(error.os_error()));
    }
    throw;
  }
}

DurabilityStats DurableLog::stats() const {
  DurabilityStats stats{};
  const DurableState& shared = state();
  stats.sync = mode();
  stats.sync_interval_ms = load32(&shared.sync_interval_ms);
  stats.log_bytes = log_bytes();
  for (std::uint32_t i = 0; i < arena_.part_count(); ++i) {
    const LogState& log = arena_.part(i).control().log;
    const std::uint64_t durable = load64(&log.durable);
    stats.unsynced_bytes += std::max(load64(&log.tail), durable) - durable;
  }
  stats.checkpoint = load64(&shared.checkpoint);
  stats.checkpoint_bytes = load64(&shared.checkpoint_bytes);
  stats.checkpoint_ms = load64(&shared.checkpoint_ms);
  stats.checkpoint_error = static_cast<int>(load32(&shared.checkpoint_failure));
  if (load32(&shared.failure) != 0) {
    stats.failure = Error::from_errno(static_cast<int>(load32(&shared.failure)),
                                      name_of(static_cast<FileCall>(load32(&shared.failure_call))))
                        .what();
    stats.failure_ms = load64(&shared.failure_ms);
  }
  return stats;
}

// ---- Ending ----

void DurableLog::close() noexcept {
  const Part::PatientScope patient;
  background_.stop();
  closed_.store(true);
  try {
    for (std::uint32_t i = 0; i < arena_.part_count(); ++i) {
      const Part::Lock lock(arena_.part(i));  // whoever was appending is done
    }
    if (mode() != SyncMode::kOff && load32(&state().failure) == 0) sync_all();
  } catch (const std::exception&) {  // a failed sync is in the shared state; recovery reads what there is
  }
}

void DurableLog::finish() noexcept {
  const Part::PatientScope patient;
  try {
    if (load32(&state().failure) != 0) return;
    if ((mode() == SyncMode::kOff && log_bytes() != 0) || checkpoint_is_due()) checkpoint();
    for (std::uint32_t i = 0; i < arena_.part_count(); ++i) {
      const LogState& log = arena_.part(i).control().log;
      segments_[i].close();
      if (log.segment == 0 || log.segment < log.kept) continue;
      const OwnedFd fd(files().open(directory_.get(), LogName{state().epoch, i, log.segment}.text().c_str(), O_RDWR));
      if (fd.is_open()) (void)files().truncate(fd.get(), kFileHeaderBytes + (log.tail - log.segment_first));
    }
  } catch (const std::exception&) {  // the logs are as good
  }
}

// Ends the thread. What it would have synced is synced.
void DurableLog::rest() noexcept {
  const Part::PatientScope patient;
  if (background_.stop() && mode() == SyncMode::kInterval && load32(&state().failure) == 0) {
    try {
      sync_all();                      // the next write may be long in coming
    } catch (const std::exception&) {  // it is in the shared state
    }
  }
}

void DurableLog::before_fork() noexcept {
  rest();
  background_.before_fork();
}

void DurableLog::after_fork(bool in_child) noexcept {
  background_.after_fork();
  if (!in_child) return;
  for (Segment& segment : segments_) segment.forget_if_torn();
  for (SyncFile& file : sync_files_) {
    if (file.number == 0) (void)file.fd.release();
  }
}

}  // namespace kv::persist
