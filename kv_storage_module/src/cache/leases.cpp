#include "cache/leases.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

#include "memory/system.hpp"

namespace kv::leases {
namespace {

[[nodiscard]] std::uint32_t own_pid() noexcept { return static_cast<std::uint32_t>(::getpid()); }

}  // namespace

const LeaseRecord& at(const Transaction& txn, Ref lease) noexcept {
  return *reinterpret_cast<const LeaseRecord*>(txn.at(lease));
}

Ref find(Transaction& txn, const CacheState& state, std::uint64_t hash) noexcept {
  Ref lease = state.leases;
  while (lease != kNullRef && at(txn, lease).hash != hash) lease = at(txn, lease).next;
  return lease;
}

// The slot's lock goes with the process. A newcomer may have the slot again by then, but says so with its pid.
bool holder_lives(const Arena& arena, const LeaseRecord& lease) noexcept {
  if (load32(&arena.header().slot_pids[lease.slot]) != lease.pid) return false;
  return lease.slot == arena.slot() || system::byte_is_locked(arena.slot_fd(), lease.slot);
}

bool is_held_by(const Arena& arena, const LeaseRecord& lease, std::uint64_t holder) noexcept {
  return holder != 0 && lease.slot == arena.slot() && lease.pid == own_pid() && lease.holder == holder;
}

std::uint64_t grant(Transaction& txn, CacheState& state, Ref lease, std::uint64_t hash, std::uint64_t holder) {
  LeaseRecord made{};
  made.hash = hash;
  made.ticket = state.tickets + 1;
  made.holder = holder;
  made.slot = txn.part().arena().slot();
  made.pid = own_pid();
  if (lease == kNullRef) {
    made.next = state.leases;
    const Ref block = txn.allocate(sizeof made);
    copy_in(txn.fresh(block), &made, sizeof made);
    txn.store32(&state.leases, block);
  } else {
    made.next = at(txn, lease).next;
    txn.write(lease, 0, &made, sizeof made);
  }
  txn.store64(&state.tickets, made.ticket);
  return made.ticket;
}

bool end(Transaction& txn, CacheState& state, std::uint64_t hash, std::uint64_t ticket) {
  Ref* link = &state.leases;
  while (*link != kNullRef) {
    const Ref lease = *link;
    auto& record = *reinterpret_cast<LeaseRecord*>(txn.fresh(lease));
    if (record.hash == hash && record.ticket == ticket && record.pid == own_pid()) {
      txn.store32(link, record.next);
      txn.free(lease);
      return true;
    }
    link = &record.next;
  }
  return false;
}

void wake_all(CacheSide& side) noexcept {
  __atomic_fetch_add(&side.wake, 1, __ATOMIC_RELEASE);
  ::syscall(SYS_futex, &side.wake, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool sleep(const CacheSide& side, std::uint32_t seen, std::uint32_t ms) noexcept {
  const timespec limit{static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000) * 1'000'000};
  ::syscall(SYS_futex, &side.wake, FUTEX_WAIT, seen, &limit, nullptr, 0);
  return __atomic_load_n(&side.wake, __ATOMIC_ACQUIRE) != seen;
}

}  // namespace kv::leases
