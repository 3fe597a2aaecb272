// Cache: keys to values, bounded in bytes, shared by all threads and processes. Store::cache(name) makes one.
//
// Who leaves when it is full is chosen by S3-FIFO with changes (docs/decisions/cache-policy.md): keys asked for only
// once leave early, and a scan does not wash the others out. A hit changes nothing of the entry: it is a read without a
// lock, like that of a Hash, and two counters. A Cache has no order and is never durable.
//
// What a get returns is what was put last and has not expired. It may return nothing at any time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kv_storage/bytes.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/value.hpp"

namespace kv {

class HashImpl;
class Store;

inline constexpr std::uint64_t kDefaultCacheCapacity = 256'000'000;
inline constexpr std::uint64_t kMinCacheCapacity = 4096;

struct CacheStats {
  std::uint64_t hits;  // of get, take and claim
  std::uint64_t misses;
  std::uint64_t evictions;    // left because room was needed
  std::uint64_t expirations;  // left because their time had come
  std::uint64_t refused;      // puts that stored nothing: larger than the cache's share of a part, or the store is full
  std::uint64_t entries;
  std::uint64_t bytes;  // of the blocks of the entries: at most `capacity`, exactly, but while resize() runs
  std::uint64_t capacity;
};

// The right to compute the value of one key, and the duty to end it by fill() or abandon(). It ends by itself if the
// process dies.
struct CacheLease {
  std::uint64_t hash = 0;
  std::uint64_t ticket = 0;
};

enum class Claim : std::uint8_t {
  kFound,  // the value is there
  kMine,   // it is not, and the caller is to compute it
  kBusy,   // somebody is computing it
};

class Cache {
 public:
  bool get(ByteView key, ValueBuffer& out) const;   // false = absent
  [[nodiscard]] bool contains(ByteView key) const;  // does not count as use

  // False = not stored, and the key is absent: the value is too large, or the store has no memory left for it.
  // Throws kInvalidArgument (key longer than kMaxKeyBytes).
  bool put(ByteView key, const Value& value, std::uint64_t ttl_ms = 0);
  bool erase(ByteView key);
  bool take(ByteView key, ValueBuffer& out);
  void clear();  // statistics go on

  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] CacheStats stats() const;
  // In bytes, divided among the parts. Evicts what does not fit. Throws kInvalidArgument: less than kMinCacheCapacity,
  // more than the store's max_memory.
  void resize(std::uint64_t capacity);
  static void check_capacity(std::uint64_t capacity, std::uint64_t max_memory);  // throws as resize does

  // One computation of a missing key at a time, over all threads and processes:
  //
  //   switch (cache.claim(key, holder, out, lease)) {
  //     case Claim::kFound: return out;
  //     case Claim::kMine:  value = compute(); cache.fill(lease, key, value); return value;   // or abandon(lease)
  //   }
  //
  // claim() waits while another holder computes, and returns what that one stored, or takes its place if it failed or
  // died. It waits as for locks (set_wait_hook). `holder` names the caller within its process, 0 = nobody: a holder
  // that claims what it is computing itself gets Error{kReentry} instead of waiting for ever.
  [[nodiscard]] Claim claim(ByteView key, std::uint64_t holder, ValueBuffer& out, CacheLease& lease);
  // The same without waiting: kBusy, and then wait_for() blocks for at most `ms` until it may be worth asking again.
  [[nodiscard]] Claim try_claim(ByteView key, std::uint64_t holder, ValueBuffer& out, CacheLease& lease);
  void wait_for(ByteView key, std::uint32_t ms) const;
  bool fill(const CacheLease& lease, ByteView key, const Value& value, std::uint64_t ttl_ms = 0);  // as put
  void abandon(const CacheLease& lease);  // whoever waits goes on, and one of them computes

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] std::shared_ptr<Store> store() const;

  // `capacity`: that of a part, should its share of the cache still have to be made.
  Cache(std::shared_ptr<HashImpl> impl, std::uint64_t part_capacity) noexcept
      : impl_(std::move(impl)), part_capacity_(part_capacity) {}

 private:
  struct Steps;
  std::shared_ptr<HashImpl> impl_;
  std::uint64_t part_capacity_;
};

}  // namespace kv
