// Where the changes of a durable store go: a log below the collections, which know no files.
//
// A transaction that changes what has to survive appends one record of the result (collections/log_records.hpp) before
// it commits. The place where the next record goes, LogState::tail, is a journaled word: of a transaction that is
// undone, by an exception or after a death, the record lies behind the tail and is overwritten. So a record is appended
// last, at most one in each step of a transaction; then nothing can fail any more but the process.
#pragma once

#include <cstdint>
#include <span>

#include "kv_storage/bytes.hpp"

namespace kv {

class Part;
class Transaction;

class LogSink {
 public:
  LogSink() = default;
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;
  virtual ~LogSink() = default;

  // Under the part lock: appends a record whose payload is `pieces` end to end. Throws Error{kIo} if there is no room
  // on the disk, or the log cannot be trusted any more; Error{kClosed}. Then the transaction is to be rolled back.
  virtual void append(Transaction& txn, std::uint8_t kind, std::span<const ByteView> pieces) = 0;
  // Under the part lock, after a dead writer's transaction was undone: makes sure that its record is not read again.
  virtual void retract(const Part& part) noexcept = 0;
  // With no part lock held: returns when what this thread appended is as safe as the store's mode promises. Throws
  // Error{kIo, kInterrupted}: then it is done, but not known to be on disk.
  virtual void settle() = 0;
};

// While one lives, this thread's writes do not wait for the disk one by one, but together in settle_all().
class WriteBatch {
 public:
  explicit WriteBatch(LogSink* log) noexcept : log_(log) { ++depth(); }
  WriteBatch(const WriteBatch&) = delete;
  WriteBatch& operator=(const WriteBatch&) = delete;
  ~WriteBatch() {
    if (!ended_) --depth();
  }
  void settle_all() {
    ended_ = true;
    if (--depth() == 0 && log_ != nullptr) log_->settle();
  }
  [[nodiscard]] static bool active() noexcept { return depth() > 0; }

 private:
  [[nodiscard]] static int& depth() noexcept {
    thread_local int depth = 0;
    return depth;
  }

  LogSink* log_;
  bool ended_ = false;
};

}  // namespace kv
