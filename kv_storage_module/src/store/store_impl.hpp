// What a Store handle owns.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "collections/catalog.hpp"
#include "kv_storage/store.hpp"
#include "memory/arena.hpp"
#include "store/attachment.hpp"

namespace kv {

// The root Hash: a root with serial 0 in slot 0 of every part, not in the catalog.
void make_root_hash(Arena& arena);

struct Store::Impl {
  explicit Impl(std::shared_ptr<Arena> shared) : arena(std::move(shared)), catalog(*arena) {}

  explicit Impl(std::shared_ptr<Attachment> opened)
      : arena(opened->arena()), catalog(*arena), attachment_(std::move(opened)) {}

  // The share of the data directory; null for a store in memory, and after release().
  [[nodiscard]] std::shared_ptr<Attachment> attachment() const {
    const std::lock_guard lock(attachment_mutex_);
    return attachment_;
  }
  void release() noexcept {
    std::shared_ptr<Attachment> last;  // given back without the mutex
    const std::lock_guard lock(attachment_mutex_);
    last.swap(attachment_);
  }

  std::shared_ptr<Arena> arena;
  Catalog catalog;
  std::atomic<bool> closed{false};

 private:
  mutable std::mutex attachment_mutex_;
  std::shared_ptr<Attachment> attachment_;
};

}  // namespace kv
