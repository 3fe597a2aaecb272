// Store: one arena of off-heap memory, the root Hash in it, and named collections.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv_storage/cache.hpp"
#include "kv_storage/csv.hpp"
#include "kv_storage/hash.hpp"
#include "kv_storage/list.hpp"
#include "kv_storage/memory_limit.hpp"
#include "kv_storage/ordered.hpp"
#include "kv_storage/schema.hpp"

namespace kv {

// When what was written to a store with a data directory is on disk. Whatever the mode, killing every process loses
// nothing: these differ in what a power failure may take.
enum class SyncMode : std::uint32_t {  // kept in shared memory
  kOff = 1,                            // what was written since the last flush or checkpoint; closing writes one
  kInterval = 2,                       // what was written in the last sync interval
  kAlways = 3,                         // nothing: a write returns when it is on disk
};

struct StoreOptions {
  // Upper bound of memory the store may commit, in bytes. 0 = 60 % of the smaller of RAM and the cgroup's limit.
  std::uint64_t max_memory = 0;
  // Into how many parts a Hash is split, 1 to 64. 0 = automatic: 1, or as many as max_memory needs (32 GiB a part).
  std::uint32_t parts = 0;
  // Capacity of the cache `default` if whoever opens it first gives none, in bytes. 0 = kDefaultCacheCapacity.
  std::uint64_t cache_capacity = 0;
  // Of a store with a data directory. None = as it is; of one that nobody has open, kInterval and one second.
  std::optional<SyncMode> sync;
  std::optional<std::uint32_t> sync_interval_ms;  // 1 to 3,600,000
};

enum class CollectionKind : std::uint8_t {  // stored: the numbers are frozen
  kHash = 1,
  kRecordHash = 2,
  kMap = 3,
  kSet = 4,
  kList = 5,
  kCache = 6,
};

struct CollectionInfo {
  std::string name;
  CollectionKind kind;
  std::uint64_t entries;
};

// The blocks that a collection is made of, each at the size of its size class.
struct MemoryUse {
  std::string name;  // "" = the root
  std::vector<std::uint64_t> part_bytes;
};

struct PartStats {
  std::uint64_t used_bytes;       // blocks handed out, each at the size of its size class
  std::uint64_t committed_bytes;  // pages taken from the system and not given back
  std::uint64_t pinned_bytes;     // of blocks kept only by pins: replaced or deleted, still being looked at
  std::uint64_t pins;             // live pins of all processes
  std::uint64_t transactions;     // committed since the arena was made
  std::uint64_t recoveries;       // a writer died inside a transaction, and it was undone
};

struct ProcessStats {
  int pid;                     // as the PID namespace of that process counts
  std::uint64_t pinned_bytes;  // of the blocks its pins keep readable, live ones included
};

// Of a store with a data directory.
struct DurabilityStats {
  SyncMode sync;
  std::uint32_t sync_interval_ms;
  std::uint64_t log_bytes;         // of logs that no checkpoint covers
  std::uint64_t unsynced_bytes;    // of them, not known to be on disk
  std::uint64_t checkpoint;        // number of the one in force; 0 = none
  std::uint64_t checkpoint_bytes;  // its size
  std::uint64_t checkpoint_ms;     // wall clock when it was complete; 0 = before the store was opened
  int checkpoint_error;            // errno, if the last attempt at one failed; 0 = it did not
  std::string failure;             // why nothing can be written any more; empty = nothing is wrong
  std::uint64_t failure_ms;        // wall clock
};

struct StoreStats {
  std::optional<DurabilityStats> durability;
  std::string path;                     // of the data directory; empty = none
  std::vector<ProcessStats> processes;  // attached now, by pid
  std::uint64_t max_memory;
  std::uint64_t keys;  // of the root Hash
  std::vector<PartStats> parts;
  std::vector<CollectionInfo> collections;
};

class Store : public std::enable_shared_from_this<Store> {
 public:
  // A new memory-only store. It lives until its last handle in the last process sharing it is gone.
  // Throws Error{kOverCapacity, kIo, kInvalidArgument}.
  static std::shared_ptr<Store> create(const StoreOptions& options = {});

  // The store of the data directory at `path`, made with mode 0700 if missing (not its parents). Equal directories
  // (device and inode) are the same live store in every process of this user: joined through any process that has it,
  // whatever that process is doing, else built with `options`. Waits while another process is opening it.
  // The share of the directory is given back when the last handle in this process is closed or gone.
  // Throws Error{kInvalidArgument, kIo, kOverCapacity, kInterrupted}; kBusy names the processes that hold the store and
  // cannot be reached (another user, PID namespace or memory layout), and then nothing is built.
  static std::shared_ptr<Store> open(const std::string& path, const StoreOptions& options = {});

  // The store of this process family: what `set_process_store` set, else what the parent process shares through
  // KV_STORAGE_ATTACH in the environment, else a new one with default options. Never two for one family.
  static std::shared_ptr<Store> process_store();
  static void set_process_store(std::shared_ptr<Store> store);
  // Joins the arena of another process of this user: `address` as made by `address()`. Throws Error{kBusy} naming why
  // not.
  static std::shared_ptr<Store> attach(const std::string& address);
  // "<pid>:<descriptor>:<random id>", or the path of the data directory.
  [[nodiscard]] std::string address() const;
  [[nodiscard]] std::string path() const;  // of the data directory, absolute; empty = a store in memory
  // Whether this process built the memory, so that it is empty but for what was recovered; false = it joined others.
  [[nodiscard]] bool built() const;

  [[nodiscard]] Hash root();
  // Opens or creates. Throws Error{kTypeMismatch} if `name` is a collection of another kind (or another schema).
  [[nodiscard]] Hash hash(const std::string& name);
  [[nodiscard]] RecordHash records(const std::string& name, const Schema& schema);  // its schema() has the layout
  // Opens an existing schema collection; nullopt if there is none of that name.
  [[nodiscard]] std::optional<RecordHash> find_records(const std::string& name);
  // A Map or a Set. With a key type, that becomes the collection's if it has none yet.
  [[nodiscard]] Ordered ordered(const std::string& name, CollectionKind kind, KeyType type = KeyType::kUnknown);
  [[nodiscard]] List list(const std::string& name);
  // Opens or creates. A capacity given is the cache's from now on, also if it exists; 0 = as it is, and for a new one
  // that of StoreOptions for the name `default`, else kDefaultCacheCapacity (at most half of max_memory).
  // Throws also Error{kInvalidArgument}: see Cache::resize.
  [[nodiscard]] Cache cache(const std::string& name, std::uint64_t capacity = 0);
  [[nodiscard]] std::optional<CollectionKind> kind(const std::string& name) const;
  [[nodiscard]] std::vector<CollectionInfo> collections() const;
  bool drop(const std::string& name);  // false = there was none
  // Throws kNotFound (no `from`), kInvalidArgument (`to` exists and !replace). Readers see the old or the new one.
  void rename(const std::string& from, const std::string& to, bool replace);

  // Loads a CSV file into a schema collection, replacing it in one step when complete (csv.hpp).
  CsvReport load_csv(const CsvOptions& options, const CsvProgress& progress = {});
  // Whether the collection `options.into` was loaded from this very file (size and time, else the contents) with these
  // options, so that loading it again can be left out. What was written to it since does not matter. Always false for a
  // store in memory.
  [[nodiscard]] bool holds_csv(const CsvOptions& options) const;

  // Everything written before the call is on disk on return. Nothing to do for a store in memory.
  // Throws Error{kIo, kInterrupted}.
  void flush();
  // Writes what the store holds to files beside the log, which begins anew; others read and write meanwhile.
  // Throws Error{kIo, kInterrupted}; then the checkpoint before stays in force. Nothing to do for a store in memory.
  void checkpoint();
  // Writes a copy of the store to a new data directory at `path`, while others read and write: what the store held at
  // an instant before the return (with several parts and writers that never pause, each part at its own). It is there
  // whole or not at all. Caches are left out. Throws Error{kInvalidArgument} if something is at `path` other than an
  // empty directory, or if this store is in memory; kIo, kInterrupted.
  void backup(const std::string& path);

  [[nodiscard]] StoreStats stats() const;
  // The memory of the root and of each collection. Walks all of them, each part's under its lock: writers there wait,
  // as for verify(), some 100 ms for a million entries.
  [[nodiscard]] std::vector<MemoryUse> memory_use() const;
  // Walks every structure and re-counts memory; one line per violation found, empty = sound. Takes the part locks.
  [[nodiscard]] std::vector<std::string> verify() const;

  void close() noexcept;  // this handle; later calls throw kClosed. Pins stay readable.
  [[nodiscard]] bool closed() const noexcept;
  ~Store();

  struct Impl;
  [[nodiscard]] Impl& impl() const;  // throws kClosed

 private:
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// How a thread waits for a part lock held by another. `try_wait(context)` blocks for at most some 50 ms and says
// whether it got the lock; the hook calls it until it did, and may do other things between (the Python layer releases
// the GIL and checks signals). It may throw: then the operation has not begun. Set once, before threads start.
using WaitHook = void (*)(bool (*try_wait)(void*), void* context);
void set_wait_hook(WaitHook hook) noexcept;

}  // namespace kv
