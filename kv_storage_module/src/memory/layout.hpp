// What lies where in the shared memory of an arena. Every process maps the same file, at any address.
//
//   0            ArenaHeader            two pages
//   8 KiB        PartControl[parts]     locks, sequence numbers, journals, allocator state: never moved, never freed
//   slice_offset slice of part 0        chunk table, then chunks of 16 KiB that the allocator hands out
//                slice of part 1 ...
//
// All fields that a transaction changes are naturally aligned and lie in 8-byte words, the unit of the undo journal.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "memory/size_classes.hpp"

namespace kv {

// A reference to a block: its distance from the start of the part's slice, in granules. Valid in every process.
using Ref = std::uint32_t;
inline constexpr Ref kNullRef = 0;
inline constexpr std::size_t kGranule = 8;
inline constexpr std::uint64_t kMaxSliceBytes = (std::uint64_t{1} << 32) * kGranule;  // 32 GiB

inline constexpr std::size_t kChunkBytes = 16 * 1024;
static_assert(kChunkBytes == kLargeBlockStep);
inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::uint32_t kNoChunk = 0;  // chunk 0 belongs to the chunk table, so 0 can mean "none"

inline constexpr std::uint64_t kArenaMagic = 0x31414e455241564b;  // "KVARENA1"
// Changes whenever anything in this file, the node formats or the entry format changes.
inline constexpr std::uint32_t kLayoutVersion = 9;

inline constexpr std::uint32_t kMaxParts = 64;
inline constexpr std::uint32_t kMaxSlots = 1024;  // processes attached at one time
inline constexpr std::uint32_t kStripes = 1024;   // of a part's keys, by hash

// What the processes of a durable store share about its files (persist/).
struct DurableState {
  std::uint64_t epoch;      // names the log files written into since this arena was built; 0 = nothing is written
  std::uint32_t sync_mode;  // SyncMode
  std::uint32_t sync_interval_ms;
  std::uint64_t next_file;    // number of the next checkpoint or load file; changes under `files_mutex`
  std::uint64_t catalog_end;  // behind the last record about names in the log of part 0; journaled
  std::uint64_t checkpoint;   // number of the one in force; 0 = none
  std::uint64_t checkpoint_bytes;
  std::uint64_t checkpoint_ms;              // wall clock when it was complete
  std::uint32_t checkpoint_failure;         // errno of the last one, if it failed; 0 = it did not
  std::uint32_t older_epochs;               // arenas before this one that wrote logs which no checkpoint covers
  std::uint64_t older_log_bytes;            // their bytes
  std::uint64_t last_sync_ms;               // CLOCK_MONOTONIC
  std::uint32_t failure;                    // errno for which the log is not trusted any more; 0 = none
  std::uint32_t failure_call;               // persist::FileCall
  std::uint64_t failure_ms;                 // wall clock
  alignas(64) pthread_mutex_t files_mutex;  // robust: held by whoever writes a checkpoint or the manifest
};

struct ArenaHeader {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t parts;
  std::uint64_t id;              // random; tells one arena from another
  std::uint64_t hash_seed;       // random; keys come from requests, so bucket choice must not be predictable
  std::uint64_t total_bytes;     // of the file
  std::uint64_t slice_offset;    // of part 0
  std::uint64_t slice_bytes;     // of each part
  std::uint64_t max_memory;      // upper bound of committed bytes over all parts
  std::uint32_t next_serial;     // of the next collection; changes under the lock of part 0
  std::uint64_t cache_capacity;  // of the cache `default` unless its maker says otherwise; 0 = none was configured
  std::uint64_t device;          // of the data directory, and its inode; 0 = a store without one
  std::uint64_t inode;
  // Who took the slot last, as the PID namespace of that process counts. Each word is written by the slot's owner.
  std::uint32_t slot_pids[kMaxSlots];
  DurableState durable;
};
inline constexpr std::size_t kHeaderBytes = 2 * kPageBytes;
static_assert(sizeof(ArenaHeader) <= kHeaderBytes);

// State of a chunk, kept at the first chunk of a run, at the last of a free or large run, and at every chunk of a small
// one.
enum class ChunkState : std::uint8_t {
  kNever = 0,    // beyond the frontier: never handed out, not committed
  kFree = 1,     // committed, in a free list
  kPunched = 2,  // in a free list, its pages given back to the system
  kSmall = 3,    // a run of equal blocks with a bitmap at its start
  kLarge = 4,    // one block
};

struct ChunkEntry {
  std::uint8_t state;       // ChunkState
  std::uint8_t size_class;  // of a small run
  std::uint16_t reserved;
  std::uint32_t head;  // first chunk of the run
  std::uint32_t used;  // small: blocks handed out
  std::uint32_t hint;  // small: no free block in the bitmap words before this one
  std::uint32_t prev;  // neighbours in the list of runs with a free block, or of free runs of like length
  std::uint32_t next;
  std::uint32_t length;  // chunks in the run
  std::uint32_t reserved2;
};
static_assert(sizeof(ChunkEntry) == 32);

// Free runs of 1..31 chunks have a list each; longer ones share a list per power of two.
inline constexpr std::size_t kRunBins = 31 + 18;

struct AllocatorState {
  std::uint64_t used_bytes;                // blocks handed out, at the size of their class
  std::uint64_t committed_chunks;          // all chunks but kNever and kPunched
  std::uint64_t table_bytes;               // of the chunk table, committed
  std::uint32_t frontier;                  // first chunk never handed out
  std::uint32_t chunk_count;               // in the slice
  std::uint32_t small_runs[kSizeClasses];  // first run of the class that has a free block
  std::uint32_t free_runs[kRunBins];       // first committed free run of the bin
  std::uint32_t punched_runs[kRunBins];
  std::uint64_t free_chunks;  // committed and in a free list
};

struct PinState {
  Ref table;                   // block of PinRecord[capacity], open addressing; null while there was never a pin
  std::uint32_t capacity;      // power of two
  std::uint64_t records;       // in use
  std::uint64_t pinned_bytes;  // of orphans: blocks freed while pinned
};

// When the part's writers have to look for something that expired (collections/expiry.hpp). Times are lower bounds,
// kNeverDue if there is nothing.
struct ExpiryState {
  std::uint64_t next_due_ms;  // over all collections
  std::uint64_t pass_due_ms;  // over those before `slot` in the search in progress, and all due times set during it
  std::uint64_t slot;         // where the search goes on
};

// The part's log. Positions count the bytes of records since the arena was built.
struct LogState {
  std::uint64_t tail;             // where the next record goes; this and the next four are journaled
  std::uint64_t segment;          // number of the file it goes to; 0 = none was made yet
  std::uint64_t segment_seed;     // in that file's header: tells it from one of that number that was made in vain
  std::uint64_t segment_first;    // position of that file's first record
  std::uint64_t segment_bytes;    // size of that file
  std::uint64_t durable;          // on disk up to here
  std::uint64_t synced;           // all segments before this one are on disk whole
  std::uint64_t kept;             // segments before this one may be gone: a checkpoint covers them
  std::uint64_t checkpoint_tail;  // position at which the checkpoint in force began
  pthread_mutex_t sync_mutex;     // robust: held by the one who syncs; guards `durable`, `synced` and the next ones
  // Hints for group commit (persist/group_commit.hpp), which whoever is killed may leave at any value.
  std::uint64_t arrivals;  // waits for a sync that have ever begun; changed by all
  std::uint64_t served;    // `arrivals` when the last sync began
  std::uint64_t expected;  // arrivals that the next sync is likely to serve, if it waits a little
  std::uint64_t sync_ns;   // how long the last sync took
  std::uint32_t futile;    // how often in a row waiting was in vain
  std::uint32_t skip;      // syncs that will not wait
};

struct JournalEntry {
  std::uint64_t offset;  // of the word in the file
  std::uint64_t old_word;
};
inline constexpr std::size_t kJournalBytes = 64 * 1024;
inline constexpr std::size_t kJournalEntries = kJournalBytes / sizeof(JournalEntry);

struct PartControl {
  alignas(64) pthread_mutex_t mutex;  // process-shared, robust

  // Readers load the next lines and nothing else of the control block. Each transaction changes the first of them.
  alignas(64) std::uint64_t sequence;  // odd while a transaction is changing reachable memory
  // Of this one, which every reader loads, few do: those that are not confined to a stripe.
  alignas(64) std::uint64_t wide_sequence;  // odd while such a transaction is changing reachable memory
  std::uint64_t directory_epoch;            // changes when a collection is made, renamed or dropped
  Ref directory;                            // table: slot -> CollectionRoot (collections/roots.hpp)
  Ref catalog;                              // part 0 only, root node of the index: name -> CatalogRecord
  Ref trash;                                // list of detached CollectionRoots whose contents wait to be freed
  Ref cache_sides;                          // list of hit counters of caches, never freed (collections/cache_state.hpp)

  alignas(64) std::uint64_t stripes[kStripes];  // odd while a transaction confined to the stripe is under way

  alignas(64) std::uint64_t journal_count;
  std::uint64_t transactions;
  std::uint64_t recoveries;
  ExpiryState expiry;
  AllocatorState allocator;
  PinState pins;
  LogState log;
  alignas(64) JournalEntry journal[kJournalEntries];
};

}  // namespace kv
