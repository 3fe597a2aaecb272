#include "kv_storage/error.hpp"
#include "kv_storage/value.hpp"
#include "memory/arena.hpp"
#include "memory/pins.hpp"

namespace kv {

Pin::Pin(std::shared_ptr<Arena> arena, std::uint32_t part, std::uint32_t block, ByteView bytes) noexcept
    : arena_(std::move(arena)), part_(part), block_(block), bytes_(bytes) {}

Pin::Pin(Pin&& other) noexcept
    : arena_(std::move(other.arena_)), part_(other.part_), block_(other.block_), bytes_(other.bytes_) {}

Pin& Pin::operator=(Pin&& other) noexcept {
  if (this != &other) {
    release();
    arena_ = std::move(other.arena_);
    part_ = other.part_;
    block_ = other.block_;
    bytes_ = other.bytes_;
  }
  return *this;
}

Pin::~Pin() { release(); }

void Pin::release() noexcept {
  if (!arena_) return;
  const std::shared_ptr<Arena> arena = std::move(arena_);
  const Part::PatientScope patient;  // a destructor cannot be interrupted by a signal's handler
  Transaction txn(arena->part(part_));
  pins::unpin(txn, block_, arena->slot());
  txn.commit();
}

}  // namespace kv
