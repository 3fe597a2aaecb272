#include "memory/arena.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <vector>

#include "kv_storage/error.hpp"
#include "kv_storage/memory_limit.hpp"
#include "kv_storage/owned_fd.hpp"
#include "memory/clock.hpp"
#include "memory/pins.hpp"
#include "memory/system.hpp"

namespace kv {

// pthread_atfork(3) handlers over all arenas of this process. Registered once, by the first arena.
class ForkHandlers {
 public:
  static void add(Arena* arena) {
    static std::once_flag registered;
    std::call_once(registered, [] { ::pthread_atfork(&before, &parent, &child); });
    const std::lock_guard lock(mutex());
    arenas().push_back(arena);
  }
  static void remove(Arena* arena) noexcept {
    const std::lock_guard lock(mutex());
    std::erase(arenas(), arena);
  }

 private:
  // Never destroyed: a fork may come as late as an exit handler.
  static std::mutex& mutex() {
    static auto* const instance = new std::mutex;
    return *instance;
  }
  static std::vector<Arena*>& arenas() {
    static auto* const instance = new std::vector<Arena*>;
    return *instance;
  }
  // The mutex stays locked over the fork, so that neither process sees the list half changed.
  static void before() {
    mutex().lock();
    for (Arena* arena : arenas()) arena->before_fork();
  }
  static void parent() {
    for (Arena* arena : arenas()) arena->after_fork_in_parent();
    mutex().unlock();
  }
  static void child() {
    for (Arena* arena : arenas()) arena->after_fork_in_child();
    mutex().unlock();
  }
};

namespace {

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) noexcept {
  return (value + to - 1) / to * to;
}

void init_robust_mutex(pthread_mutex_t* mutex) {
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  const int result = ::pthread_mutex_init(mutex, &attributes);
  ::pthread_mutexattr_destroy(&attributes);
  if (result != 0) throw Error::from_errno(result, "cannot make a robust mutex");
}

// Sizes of a new arena. `slice` is what one part needs if all data fall into it.
struct Geometry {
  std::uint64_t max_memory;
  std::uint32_t parts;
  std::uint64_t slice_offset;
  std::uint64_t slice_bytes;
  [[nodiscard]] std::uint64_t total_bytes() const noexcept { return slice_offset + parts * slice_bytes; }
};

Geometry plan(const ArenaOptions& options) {
  constexpr std::uint64_t kMinMemory = 4 * 1024 * 1024;
  constexpr std::uint64_t kSliceStep = 2 * 1024 * 1024;
  Geometry g{};
  g.max_memory = options.max_memory != 0 ? options.max_memory : system::memory_limit() / 10 * 6;
  if (g.max_memory < kMinMemory) {
    throw Error(ErrorCode::kInvalidArgument, "max_memory = " + std::to_string(g.max_memory) +
                                                 " is too small: at least " + std::to_string(kMinMemory) +
                                                 " bytes are needed");
  }
  if (options.parts > kMaxParts) {
    throw Error(ErrorCode::kInvalidArgument,
                "parts = " + std::to_string(options.parts) + " is not between 1 and " + std::to_string(kMaxParts));
  }
  // The chunk table takes 1/512 of a slice; one more step for rounding.
  const std::uint64_t wanted_slice = g.max_memory + g.max_memory / 256 + kSliceStep;
  const std::uint64_t needed_parts = (wanted_slice + kMaxSliceBytes - 1) / kMaxSliceBytes;
  if (needed_parts > kMaxParts)
    throw Error(ErrorCode::kInvalidArgument, "max_memory is larger than 64 parts of 32 GiB");
  g.parts = options.parts != 0 ? options.parts : static_cast<std::uint32_t>(needed_parts);
  g.slice_bytes = std::min(round_up(wanted_slice, kSliceStep), kMaxSliceBytes);
  g.slice_offset = round_up(kHeaderBytes + g.parts * sizeof(PartControl), kSliceStep);
  return g;
}

std::byte* map_arena(int fd, std::uint64_t bytes) {
  void* const base = system::map_shared(fd, bytes);
  if (base == MAP_FAILED) {
    throw Error::from_errno(errno, "cannot reserve " + std::to_string(bytes) +
                                       " bytes of address space for the store (lower max_memory, or raise ulimit -v)");
  }
  return static_cast<std::byte*>(base);
}

void init_control(PartControl& control, const Geometry& g) {
  init_robust_mutex(&control.mutex);
  init_robust_mutex(&control.log.sync_mutex);
  control.expiry = {kNeverDue, kNeverDue, 0};
  AllocatorState& state = control.allocator;
  state.chunk_count = static_cast<std::uint32_t>(g.slice_bytes / kChunkBytes);
  state.frontier = static_cast<std::uint32_t>(
      (std::uint64_t{state.chunk_count} * sizeof(ChunkEntry) + kChunkBytes - 1) / kChunkBytes);
}

}  // namespace

std::shared_ptr<Arena> Arena::create(const ArenaOptions& options) {
  const Geometry g = plan(options);
  OwnedFd fd(system::memfd_create("kv_storage"));
  if (fd.get() < 0) throw Error::from_errno(errno, "cannot make the store's memory (memfd_create)");
  if (system::truncate(fd.get(), g.total_bytes()) != 0) {
    throw Error::from_errno(errno, "cannot size the store's memory to " + std::to_string(g.total_bytes()) +
                                       " bytes (lower max_memory, or raise ulimit -f)");
  }
  if (system::seal_size(fd.get()) != 0) throw Error::from_errno(errno, "cannot seal the store's memory");
  if (system::allocate(fd.get(), 0, g.slice_offset) != 0) {
    throw Error(ErrorCode::kOverCapacity, "the system has no memory for a new store");
  }
  std::byte* const base = map_arena(fd.get(), g.total_bytes());
  auto* const header = new (base) ArenaHeader{};
  header->layout_version = kLayoutVersion;
  header->parts = g.parts;
  header->id = system::random64();
  header->hash_seed = system::random64();
  header->total_bytes = g.total_bytes();
  header->slice_offset = g.slice_offset;
  header->slice_bytes = g.slice_bytes;
  header->max_memory = g.max_memory;
  header->next_serial = 1;  // 0 is the root Hash
  header->device = options.device;
  header->inode = options.inode;
  auto* const controls = reinterpret_cast<PartControl*>(base + kHeaderBytes);
  for (std::uint32_t i = 0; i < g.parts; ++i) init_control(*new (controls + i) PartControl{}, g);
  init_robust_mutex(&header->durable.files_mutex);
  header->magic = kArenaMagic;

  std::shared_ptr<Arena> arena(new Arena(fd.release(), base, g.total_bytes()));
  arena->acquire_slot();
  ForkHandlers::add(arena.get());
  return arena;
}

std::shared_ptr<Arena> Arena::attach(int pid, int fd_number, std::uint64_t id) {
  const std::string holder = "the store of process " + std::to_string(pid);
  OwnedFd fd(system::open_process_fd(pid, fd_number));
  if (fd.get() < 0) {
    throw Error(ErrorCode::kBusy, "cannot reach " + holder + ": " + Error::from_errno(errno, "open").what());
  }
  struct stat status {};
  ArenaHeader header{};
  if (::fstat(fd.get(), &status) != 0 || ::pread(fd.get(), &header, sizeof header, 0) != sizeof header ||
      header.magic != kArenaMagic || header.id != id) {
    throw Error(ErrorCode::kBusy, "cannot reach " + holder + ": it is gone, and its descriptor is something else now");
  }
  if (header.layout_version != kLayoutVersion || static_cast<std::uint64_t>(status.st_size) != header.total_bytes) {
    throw Error(ErrorCode::kBusy, "cannot join " + holder + ": it was made by another version (memory layout " +
                                      std::to_string(header.layout_version) + ", this is " +
                                      std::to_string(kLayoutVersion) + ")");
  }
  std::byte* const base = map_arena(fd.get(), header.total_bytes);
  std::shared_ptr<Arena> arena(new Arena(fd.release(), base, header.total_bytes));
  arena->acquire_slot();
  ForkHandlers::add(arena.get());
  return arena;
}

Arena::Arena(int fd, std::byte* base, std::uint64_t bytes) : fd_(fd), base_(base), bytes_(bytes) {
  for (std::uint32_t i = 0; i < header().parts; ++i) parts_.emplace_back(*this, i);
}

Arena::~Arena() {
  ForkHandlers::remove(this);
  if (slot_fd_ >= 0) name_slot(false);
  ::munmap(base_, bytes_);
  if (slot_fd_ >= 0) ::close(slot_fd_);
  ::close(fd_);
}

// A writer may have died while this process had no log yet.
void Arena::set_log(std::shared_ptr<LogSink> log) {
  log_ = std::move(log);
  const Part::PatientScope patient;
  for (const Part& part : parts_) {
    const Part::Lock lock(part);
    log_->retract(part);
  }
}

std::uint64_t Arena::committed_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const Part& part : parts_) {
    const AllocatorState& state = part.control().allocator;
    bytes += load64(&state.committed_chunks) * kChunkBytes + load64(&state.table_bytes);
  }
  return bytes;
}

void Arena::acquire_slot() {
  OwnedFd fd(system::reopen(fd_));
  if (fd.get() < 0) throw Error::from_errno(errno, "cannot open the store's memory again (is /proc mounted?)");
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    if (system::lock_byte(fd.get(), slot) == 0) {
      slot_fd_ = fd.release();
      slot_ = slot;
      name_slot(true);
      release_slot_pins(slot);  // of an owner that died
      return;
    }
    if (errno != EAGAIN && errno != EACCES) throw Error::from_errno(errno, "cannot lock a slot of the store");
  }
  throw Error(ErrorCode::kBusy, std::to_string(kMaxSlots) + " processes use this store already");
}

// A slot that parent and child share (see before_fork) keeps the name of whoever wrote it last.
void Arena::name_slot(bool attached) noexcept {
  const auto own = static_cast<std::uint32_t>(::getpid());
  std::uint32_t& pid = header().slot_pids[slot_];
  if (attached) {
    __atomic_store_n(&pid, own, __ATOMIC_RELAXED);
  } else if (__atomic_load_n(&pid, __ATOMIC_RELAXED) == own) {
    __atomic_store_n(&pid, 0, __ATOMIC_RELAXED);
  }
}

std::vector<Arena::Member> Arena::members() const {
  std::vector<Member> found;
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    const std::uint32_t pid = __atomic_load_n(&header().slot_pids[slot], __ATOMIC_RELAXED);
    if (pid == 0 || (slot != slot_ && !system::byte_is_locked(slot_fd_, slot))) continue;
    found.push_back({slot, static_cast<int>(pid)});
  }
  return found;
}

void Arena::release_slot_pins(std::uint32_t slot) {
  for (Part& part : parts_) {
    if (load64(&part.control().pins.records) == 0) continue;
    Transaction txn(part);
    pins::release_slot(txn, slot);
  }
}

void Arena::reap_if_due() {
  if (!reap_due_.load(std::memory_order_relaxed) || !reap_due_.exchange(false)) return;
  const Part::PatientScope patient;
  try {
    reap_dead_slots();
  } catch (const Error&) {  // housekeeping in passing must not fail the caller's operation; it comes round again
  }
}

void Arena::reap_dead_slots() {
  std::set<std::uint32_t> slots;
  for (const Part& part : parts_) {
    const Part::Lock lock(part);
    for (const pins::Record& record : pins::records(part)) slots.insert(record.slot);
  }
  slots.erase(slot_);
  if (slots.empty()) return;
  const OwnedFd fd(system::reopen(fd_));
  if (fd.get() < 0) return;
  for (const std::uint32_t slot : slots) {
    // Holding the lock keeps a newcomer from taking the slot, and pinning in it, while its old pins are released.
    if (system::lock_byte(fd.get(), slot) == 0) release_slot_pins(slot);
  }
}

void Arena::before_fork() noexcept {
  const Part::PatientScope patient;
  child_slot_fd_ = -1;
  child_slot_ = slot_;
  try {
    OwnedFd fd(system::reopen(fd_));
    if (fd.get() < 0) throw Error::from_errno(errno, "open");
    std::uint32_t slot = 0;
    while (slot < kMaxSlots && system::lock_byte(fd.get(), slot) != 0) ++slot;
    if (slot == kMaxSlots) throw Error(ErrorCode::kBusy, "no slot left");
    release_slot_pins(slot);
    for (Part& part : parts_) {
      if (load64(&part.control().pins.records) == 0) continue;
      Transaction txn(part);
      pins::copy_slot(txn, slot_, slot);
    }
    child_slot_ = slot;
    child_slot_fd_ = fd.release();
  } catch (const std::exception&) {
    // No slot or no memory: parent and child share this one, alive while either lives, and every pin counts twice.
    for (Part& part : parts_) {
      Transaction txn(part);
      pins::double_counts(txn, slot_);
    }
  }
}

void Arena::after_fork_in_parent() noexcept {
  if (child_slot_fd_ >= 0) ::close(child_slot_fd_);  // the child has it, and its lock
  child_slot_fd_ = -1;
}

void Arena::after_fork_in_child() noexcept {
  shares_slot_ = child_slot_fd_ < 0;
  if (shares_slot_) return;
  ::close(slot_fd_);  // the parent's
  slot_fd_ = std::exchange(child_slot_fd_, -1);
  slot_ = child_slot_;
  name_slot(true);
}

}  // namespace kv
