#include "kv_storage/store.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <map>
#include <mutex>

#include "collections/catalog.hpp"
#include "collections/collection.hpp"
#include "memory/allocator.hpp"
#include "memory/arena.hpp"
#include "memory/pins.hpp"
#include "persist/backup.hpp"
#include "persist/recovery.hpp"
#include "store/csv_loader.hpp"
#include "store/csv_source.hpp"
#include "store/memory_use.hpp"
#include "store/store_impl.hpp"
#include "store/verify.hpp"

namespace kv {
namespace {

constexpr const char* kAttachVariable = "KV_STORAGE_ATTACH";

struct Address {
  int pid;
  int fd;
  std::uint64_t id;
};

[[nodiscard]] Address parse_address(const std::string& text) {
  Address address{};
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&](auto& value, int base, bool last) {
    const auto [next, error] = std::from_chars(at, end, value, base);
    if (error != std::errc() || (last ? next != end : next == end || *next != ':')) {
      throw Error(ErrorCode::kInvalidArgument,
                  "'" + text + "' is not the address of a store (<pid>:<descriptor>:<id>)");
    }
    at = next + (last ? 0 : 1);
  };
  number(address.pid, 10, false);
  number(address.fd, 10, false);
  number(address.id, 16, true);
  return address;
}

constexpr std::uint32_t kSyncIntervalMs = 1000;
constexpr std::uint32_t kMaxSyncIntervalMs = 3'600'000;

void check_sync(const StoreOptions& options) {
  if (!options.sync_interval_ms) return;
  if (*options.sync_interval_ms == 0 || *options.sync_interval_ms > kMaxSyncIntervalMs) {
    throw Error(ErrorCode::kInvalidArgument, "sync_interval = " + std::to_string(*options.sync_interval_ms) +
                                                 " ms is not between 1 ms and one hour");
  }
}

void set_sync(DurableState& state, const StoreOptions& options) noexcept {
  if (options.sync) store_relaxed<std::uint32_t>(&state.sync_mode, static_cast<std::uint32_t>(*options.sync));
  if (options.sync_interval_ms) store_relaxed<std::uint32_t>(&state.sync_interval_ms, *options.sync_interval_ms);
}

// A new arena of a data directory gets its content here, before any other process can see it.
void recover(Attachment& attachment) {
  Arena& arena = *attachment.arena();
  make_root_hash(arena);
  const Directory& directory = attachment.directory();
  persist::recover(arena, directory.fd(), directory.path());
  arena.header().durable.sync_mode = static_cast<std::uint32_t>(SyncMode::kInterval);
  arena.header().durable.sync_interval_ms = kSyncIntervalMs;
  persist::start_logging(arena, directory.fd(), directory.path());
}
void join(Attachment& attachment) {
  Arena& arena = *attachment.arena();
  persist::start_logging(arena, attachment.directory().fd(), attachment.directory().path());
  Catalog(arena).drop_leftovers();
}
constexpr Attachment::Hooks kOpeningHooks = {&recover, &join};

// The bytes of the blocks that each slot's pins keep readable are added to `bytes`. Under the part lock.
void add_pinned_bytes(const Part& part, std::map<std::uint32_t, std::uint64_t>& bytes) {
  for (const pins::Record& record : pins::records(part)) bytes[record.slot] += allocated_bytes(part, record.block);
}

// A process that joined several times is told once.
[[nodiscard]] std::vector<ProcessStats> process_stats(const Arena& arena,
                                                      const std::map<std::uint32_t, std::uint64_t>& pinned) {
  std::map<int, std::uint64_t> bytes;
  for (const Arena::Member& member : arena.members()) {
    const auto found = pinned.find(member.slot);
    bytes[member.pid] += found == pinned.end() ? 0 : found->second;
  }
  std::vector<ProcessStats> processes;
  processes.reserve(bytes.size());
  for (const auto& [pid, pinned_bytes] : bytes) processes.push_back({pid, pinned_bytes});
  return processes;
}

[[nodiscard]] std::string kind_name(CollectionKind kind) {
  switch (kind) {
    case CollectionKind::kHash:
      return "a Hash";
    case CollectionKind::kRecordHash:
      return "a Hash with a schema";
    case CollectionKind::kMap:
      return "a Map";
    case CollectionKind::kSet:
      return "a Set";
    case CollectionKind::kList:
      return "a List";
    case CollectionKind::kCache:
      return "a Cache";
  }
  return "of an unknown kind";
}

struct ProcessStore {
  std::mutex mutex;
  std::shared_ptr<Store> store;
};

// Never destroyed: Python objects that hold it may outlive any destructor of ours.
ProcessStore& process() {
  static auto* const instance = new ProcessStore;
  return *instance;
}

}  // namespace

void make_root_hash(Arena& arena) {
  for (std::uint32_t i = 0; i < arena.part_count(); ++i) {
    Transaction txn(arena.part(i));
    make_root(txn, kRootBinding, CollectionKind::kHash, 0);
    txn.commit();
  }
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

std::shared_ptr<Store> Store::create(const StoreOptions& options) {
  auto arena = Arena::create({.max_memory = options.max_memory, .parts = options.parts});
  arena->header().cache_capacity = options.cache_capacity;
  make_root_hash(*arena);
  return std::shared_ptr<Store>(new Store(std::make_unique<Impl>(std::move(arena))));
}

std::shared_ptr<Store> Store::open(const std::string& path, const StoreOptions& options) {
  check_sync(options);
  auto attachment = Attachment::open(path, {.max_memory = options.max_memory, .parts = options.parts}, kOpeningHooks);
  set_sync(attachment->arena()->header().durable, options);
  std::uint64_t& cache_capacity = attachment->arena()->header().cache_capacity;
  if (load64(&cache_capacity) == 0) store_relaxed<std::uint64_t>(&cache_capacity, options.cache_capacity);
  return std::shared_ptr<Store>(new Store(std::make_unique<Impl>(std::move(attachment))));
}

std::shared_ptr<Store> Store::attach(const std::string& address) {
  if (address.starts_with('/')) return open(address);
  const Address parsed = parse_address(address);
  auto arena = Arena::attach(parsed.pid, parsed.fd, parsed.id);
  Catalog(*arena).drop_leftovers();
  return std::shared_ptr<Store>(new Store(std::make_unique<Impl>(std::move(arena))));
}

std::string Store::path() const {
  const auto attachment = impl().attachment();
  return attachment ? attachment->directory().path() : std::string();
}

bool Store::built() const {
  const auto attachment = impl().attachment();
  return !attachment || attachment->built();
}

std::string Store::address() const {
  if (std::string directory = path(); !directory.empty()) return directory;
  const Arena& arena = *impl().arena;
  char id[17];
  *std::to_chars(id, id + 16, arena.header().id, 16).ptr = '\0';
  return std::to_string(::getpid()) + ":" + std::to_string(arena.fd()) + ":" + id;
}

void Store::set_process_store(std::shared_ptr<Store> store) {
  const std::lock_guard lock(process().mutex);
  process().store = std::move(store);
}

std::shared_ptr<Store> Store::process_store() {
  const std::lock_guard lock(process().mutex);
  std::shared_ptr<Store>& store = process().store;
  if (!store || store->closed()) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): once, under the mutex
    const char* const address = std::getenv(kAttachVariable);
    store = address != nullptr && *address != '\0' ? attach(address) : create();
    // Children started by exec find this store, whichever process of the family made it.
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    ::setenv(kAttachVariable, store->address().c_str(), 1);
  }
  return store;
}

Store::Impl& Store::impl() const {
  if (closed()) throw Error(ErrorCode::kClosed, "the store is closed");
  return *impl_;
}

bool Store::closed() const noexcept { return impl_->closed.load(std::memory_order_relaxed); }
void Store::close() noexcept {
  impl_->closed.store(true, std::memory_order_relaxed);
  impl_->release();
}

Hash Store::root() {
  CatalogRecord record;
  record.binding = kRootBinding;
  return Hash(std::make_shared<HashImpl>(shared_from_this(), impl().arena, std::string(), record));
}

Hash Store::hash(const std::string& name) {
  const CatalogRecord record = impl().catalog.open(name, CollectionKind::kHash, {});
  if (record.kind != CollectionKind::kHash) {
    throw Error(ErrorCode::kTypeMismatch, "the collection '" + name + "' is " + kind_name(record.kind));
  }
  return Hash(std::make_shared<HashImpl>(shared_from_this(), impl().arena, name, record));
}

RecordHash Store::records(const std::string& name, const Schema& schema) {
  const CatalogRecord record = impl().catalog.open(name, CollectionKind::kRecordHash, schema.encode());
  if (record.kind != CollectionKind::kRecordHash || Schema::decode(record.schema) != schema) {
    throw Error(ErrorCode::kTypeMismatch,
                "the collection '" + name + "' is " + kind_name(record.kind) +
                    (record.kind == CollectionKind::kRecordHash ? " other than the one given" : ""));
  }
  return RecordHash(std::make_shared<HashImpl>(shared_from_this(), impl().arena, name, record));
}

Ordered Store::ordered(const std::string& name, CollectionKind kind, KeyType type) {
  const CatalogRecord record = impl().catalog.open(name, kind, {});
  if (record.kind != kind) {
    throw Error(ErrorCode::kTypeMismatch, "the collection '" + name + "' is " + kind_name(record.kind));
  }
  Ordered opened(std::make_shared<HashImpl>(shared_from_this(), impl().arena, name, record));
  if (type != KeyType::kUnknown) opened.fix_key_type(type);
  return opened;
}

List Store::list(const std::string& name) {
  const CatalogRecord record = impl().catalog.open(name, CollectionKind::kList, {});
  if (record.kind != CollectionKind::kList) {
    throw Error(ErrorCode::kTypeMismatch, "the collection '" + name + "' is " + kind_name(record.kind));
  }
  return List(std::make_shared<HashImpl>(shared_from_this(), impl().arena, name, record));
}

namespace {

constexpr const char* kConfiguredCache = "default";

[[nodiscard]] std::uint64_t default_capacity(const std::string& name, const ArenaHeader& header) {
  const bool configured = name == kConfiguredCache && header.cache_capacity != 0;
  return std::min(configured ? header.cache_capacity : kDefaultCacheCapacity, header.max_memory / 2);
}

}  // namespace

Cache Store::cache(const std::string& name, std::uint64_t capacity) {
  Arena& arena = *impl().arena;
  if (capacity != 0) Cache::check_capacity(capacity, arena.header().max_memory);
  const CatalogRecord record = impl().catalog.open(name, CollectionKind::kCache, {});
  if (record.kind != CollectionKind::kCache) {
    throw Error(ErrorCode::kTypeMismatch, "the collection '" + name + "' is " + kind_name(record.kind));
  }
  const std::uint64_t wanted = capacity != 0 ? capacity : default_capacity(name, arena.header());
  Cache cache(std::make_shared<HashImpl>(shared_from_this(), impl().arena, name, record), wanted / arena.part_count());
  const CacheStats made = cache.stats();  // makes what is missing of it
  if (capacity != 0 && made.capacity != capacity / arena.part_count() * arena.part_count()) cache.resize(capacity);
  return cache;
}

std::optional<RecordHash> Store::find_records(const std::string& name) {
  const auto record = impl().catalog.find(name);
  if (!record || record->kind != CollectionKind::kRecordHash) return std::nullopt;
  return RecordHash(std::make_shared<HashImpl>(shared_from_this(), impl().arena, name, *record));
}

std::optional<CollectionKind> Store::kind(const std::string& name) const {
  const auto record = impl().catalog.find(name);
  return record ? std::optional(record->kind) : std::nullopt;
}

std::vector<CollectionInfo> Store::collections() const {
  std::vector<CollectionInfo> infos;
  for (const auto& [name, record] : impl().catalog.all()) {
    if (record.state != CollectionState::kReady) continue;
    std::uint64_t entries = 0;
    for (std::uint32_t i = 0; i < impl().arena->part_count(); ++i) {
      entries += expiry::count(impl().arena->part(i), record.binding);
    }
    infos.push_back({name, record.kind, entries});
  }
  return infos;
}

bool Store::drop(const std::string& name) {
  Catalog::check_name(name);
  return impl().catalog.drop(name);
}

void Store::rename(const std::string& from, const std::string& to, bool replace) {
  Catalog::check_name(from);
  Catalog::check_name(to);
  if (!impl().catalog.rename(from, to, replace)) {
    throw Error(ErrorCode::kNotFound, "there is no collection '" + from + "'");
  }
}

CsvReport Store::load_csv(const CsvOptions& options, const CsvProgress& progress) {
  return kv::load_csv(*this, options, progress);
}

bool Store::holds_csv(const CsvOptions& options) const {
  const auto record = impl().catalog.find(options.into);
  return record && record->kind == CollectionKind::kRecordHash && !record->source.empty() &&
         is_same_csv(options, record->source);
}

void Store::flush() {
  if (persist::DurableLog* const log = persist::log_of(*impl().arena)) log->flush();
}

void Store::checkpoint() {
  if (persist::DurableLog* const log = persist::log_of(*impl().arena)) log->checkpoint();
}

void Store::backup(const std::string& path) {
  persist::DurableLog* const log = persist::log_of(*impl().arena);
  if (log == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, "a store in memory cannot be copied to a directory: it has no log");
  }
  persist::write_backup(*log, path);
}

StoreStats Store::stats() const {
  Arena& arena = *impl().arena;
  arena.reap_dead_slots();
  StoreStats stats{};
  stats.path = path();
  if (const persist::DurableLog* const log = persist::log_of(arena)) stats.durability = log->stats();
  std::map<std::uint32_t, std::uint64_t> pinned;
  stats.max_memory = arena.header().max_memory;
  stats.collections = collections();
  for (std::uint32_t i = 0; i < arena.part_count(); ++i) {
    stats.keys += expiry::count(arena.part(i), kRootBinding);
    const Part& part = arena.part(i);
    const Part::Lock lock(part);
    const PartControl& control = part.control();
    add_pinned_bytes(part, pinned);
    std::uint64_t pins = 0;
    for (const pins::Record& record : pins::records(part)) pins += record.count;
    stats.parts.push_back({control.allocator.used_bytes,
                           control.allocator.committed_chunks * kChunkBytes + control.allocator.table_bytes,
                           control.pins.pinned_bytes, pins, control.transactions, control.recoveries});
  }
  stats.processes = process_stats(arena, pinned);
  return stats;
}

std::vector<MemoryUse> Store::memory_use() const {
  Arena& arena = *impl().arena;
  std::vector<std::pair<std::string, Binding>> bindings = {{"", kRootBinding}};
  for (const auto& [name, record] : impl().catalog.all()) {
    if (record.state == CollectionState::kReady) bindings.emplace_back(name, record.binding);
  }
  std::vector<MemoryUse> uses;
  for (const auto& [name, binding] : bindings) {
    MemoryUse& use = uses.emplace_back(MemoryUse{name, {}});
    for (std::uint32_t i = 0; i < arena.part_count(); ++i) use.part_bytes.push_back(memory_of(arena.part(i), binding));
  }
  return uses;
}

std::vector<std::string> Store::verify() const { return verify_arena(*impl().arena); }

}  // namespace kv
