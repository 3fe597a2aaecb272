// A lease: the right to compute the value of one key, held by one thread of one process while it computes. One block
// for each, in a list from CacheState::leases; there are as many as computations running in the part, so the list is
// short.
#pragma once

#include <cstdint>

#include "memory/layout.hpp"

namespace kv {

struct LeaseRecord {
  std::uint64_t hash;    // of the key. Two keys with one hash wait for each other, and that is all.
  std::uint64_t ticket;  // names the lease; never given out twice by a part's cache
  std::uint64_t holder;  // the thread, or whatever the holder goes by; 0 = anonymous
  std::uint32_t slot;    // of the process: its lock is the proof of life (memory/arena.hpp)
  std::uint32_t pid;     // tells the holder from a newcomer that was given its slot
  Ref next;
  std::uint32_t reserved;
};

}  // namespace kv
