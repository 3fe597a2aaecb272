// What a Store handle owns.
#pragma once

#include <atomic>
#include <memory>

#include "collections/catalog.hpp"
#include "kv_storage/store.hpp"
#include "memory/arena.hpp"

namespace kv {

struct Store::Impl {
  explicit Impl(std::shared_ptr<Arena> shared) : arena(std::move(shared)), catalog(*arena) {}

  std::shared_ptr<Arena> arena;
  Catalog catalog;
  std::atomic<bool> closed{false};
};

}  // namespace kv
