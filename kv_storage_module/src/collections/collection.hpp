// What all handles to a collection share: finding its roots, and running sections and transactions on them.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "collections/catalog.hpp"
#include "collections/expiry.hpp"
#include "collections/roots.hpp"
#include "index/key_hash.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/schema.hpp"
#include "kv_storage/store.hpp"
#include "memory/arena.hpp"

namespace kv {

class HashImpl {
 public:
  HashImpl(std::shared_ptr<Store> store, std::shared_ptr<Arena> arena, std::string name, const CatalogRecord& record);

  // A handle of what the name stands for now: it throws Error{kReplaced} once that is something else.
  [[nodiscard]] std::shared_ptr<HashImpl> fixed() const;
  [[nodiscard]] std::uint32_t serial() const { return current_bound().binding().serial; }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::shared_ptr<Store>& store() const noexcept { return store_; }
  [[nodiscard]] const std::shared_ptr<Arena>& arena() const noexcept { return arena_; }
  [[nodiscard]] const Schema& schema() const noexcept { return schema_; }
  [[nodiscard]] CollectionKind kind() const noexcept { return kind_; }
  // Whether all of it lies in its home part. What lies in the others then is an empty root.
  [[nodiscard]] bool whole() const noexcept {
    return kind_ != CollectionKind::kHash && kind_ != CollectionKind::kCache;
  }
  [[nodiscard]] std::uint32_t part_count() const noexcept { return arena_->part_count(); }
  // Into how many slices, each in one part, the keys are divided.
  [[nodiscard]] std::uint32_t slice_count() const noexcept { return whole() ? 1 : part_count(); }
  [[nodiscard]] std::uint32_t slice_of(std::uint64_t hash) const noexcept {
    return whole() ? 0 : part_of_hash(hash, part_count());
  }
  [[nodiscard]] Part& part(std::uint32_t index) const noexcept { return arena_->part(index); }

  [[nodiscard]] std::uint64_t hash(ByteView key) const noexcept { return hash_key(key, arena_->header().hash_seed); }

  // Where a key lies, in a collection that is not whole.
  [[nodiscard]] Part& part_of(std::uint64_t hash) const noexcept { return part(slice_of(hash)); }

  // Runs section(root) in an optimistic section of `part`. The handle follows its name: if the collection was replaced
  // (rename, load_csv) it is bound anew first. Throws Error{kClosed} if the store was closed or the name is gone.
  template <class Section>
  auto read(const Part& part, Section&& section) const {
    return read_in([&](const Bound&) -> const Part& { return part; }, std::forward<Section>(section));
  }
  // The same in the part where a slice lies; section(part, root).
  template <class Section>
  auto read_slice(std::uint32_t slice, Section&& section) const {
    if (whole()) return read_home(std::forward<Section>(section));
    const Part& at = part(slice);
    return read(at, [&](const CollectionRoot& root) { return section(at, root); });
  }
  template <class Section>
  auto read_key(std::uint64_t hash, Section&& section) const {
    return read_slice(slice_of(hash), std::forward<Section>(section));
  }
  // One try of section(part, root), which returns an optional and looks at this key only (Part::read_stripe).
  template <class Section>
  auto read_stripe(std::uint64_t hash, Section&& section) const {
    const Bound bound = current_bound();
    const Part& at = part(whole() ? bound.home_part() : slice_of(hash));
    return at.read_stripe(stripe_of_hash(hash), [&] { return in_root(at, bound, section); });
  }
  // The same for a section that answers for its stripes itself (Part::read_wide).
  template <class Section>
  auto read_wide(std::uint32_t slice, Section&& section) const {
    const Bound bound = current_bound();
    const Part& at = part(whole() ? bound.home_part() : slice);
    return at.read_wide([&] { return in_root(at, bound, section); });
  }
  // The same in the one part that a collection lives in which is whole.
  template <class Section>
  auto read_home(Section&& section) const {
    const Part* home = nullptr;
    return read_in([&](const Bound& bound) -> const Part& { return *(home = &part(bound.home_part())); },
                   [&](const CollectionRoot& root) { return section(*home, root); });
  }

  // The same, once nothing of the collection in this part has expired that is not reclaimed: what the section counts
  // are entries that a reader would see. The one way in which reading takes the lock, and only when something is due.
  template <class Section>
  auto read_settled(Part& part, Section&& section) const {
    return settled([&](auto&& run) { return read(part, run); }, [&](auto&& run) { write(part, run); }, section);
  }
  template <class Section>
  auto read_home_settled(Section&& section) const {
    return settled(
        [&](auto&& run) { return read_home([&](const Part&, const CollectionRoot& root) { return run(root); }); },
        [&](auto&& run) { write_home(run); }, section);
  }

  template <class Section>
  auto read_slice_settled(std::uint32_t slice, Section&& section) const {
    const Part* at = nullptr;
    const auto run_section = [&](const CollectionRoot& root) { return section(*at, root); };
    return settled(
        [&](auto&& run) {
          return read_slice(slice, [&](const Part& part, const CollectionRoot& root) {
            at = &part;
            return run(root);
          });
        },
        [&](auto&& run) { write_slice(slice, run); }, run_section);
  }

  // Runs step(transaction, root[, binding]) under the lock of `part`; what it did not commit is rolled back, and what
  // it did is as safe on return as the store's mode promises. First, some of what has expired in the part is reclaimed.
  // If there is no memory for the step, caches give way and it runs again: so what it has done is what it committed,
  // and nothing else.
  template <class Step>
  auto write(Part& part, Step&& step) const {
    return write_in([&](const Bound&) -> Part& { return part; }, std::forward<Step>(step));
  }
  template <class Step>
  auto write_slice(std::uint32_t slice, Step&& step) const {
    return write_in([&](const Bound& bound) -> Part& { return part(whole() ? bound.home_part() : slice); },
                    std::forward<Step>(step));
  }
  template <class Step>
  auto write_key(std::uint64_t hash, Step&& step) const {
    return write_slice(slice_of(hash), std::forward<Step>(step));
  }
  template <class Step>
  auto write_home(Step&& step) const {
    return write_in([&](const Bound& bound) -> Part& { return part(bound.home_part()); }, std::forward<Step>(step));
  }

 private:
  // Home part, slot and serial in one word, so that they are read together and travel in a register.
  class Bound {
   public:
    static std::uint64_t pack(const CatalogRecord& record) noexcept {
      return (std::uint64_t{record.home_part} << kSlotBits | record.binding.slot) << 32 | record.binding.serial;
    }
    explicit Bound(std::uint64_t packed) noexcept : packed_(packed) {}
    [[nodiscard]] std::uint64_t packed() const noexcept { return packed_; }
    [[nodiscard]] Binding binding() const noexcept {
      return {static_cast<std::uint32_t>(packed_ >> 32) & ((1U << kSlotBits) - 1), static_cast<std::uint32_t>(packed_)};
    }
    [[nodiscard]] std::uint32_t home_part() const noexcept {
      return static_cast<std::uint32_t>(packed_ >> (32 + kSlotBits));
    }

   private:
    static constexpr unsigned kSlotBits = 26;
    static_assert(kMaxParts <= 1U << (32 - kSlotBits));

    std::uint64_t packed_;
  };

  HashImpl(const HashImpl& other, Bound bound);  // fixed

  template <class Section>
  static auto in_root(const Part& part, const Bound& bound, Section& section) {
    const CollectionRoot* root = find_root(part, bound.binding());
    return root != nullptr ? section(part, *root) : decltype(section(part, *root)){};
  }
  template <class Choose, class Section>
  auto read_in(Choose&& choose, Section&& section) const {
    for (;;) {
      const Bound bound = current_bound();
      const Part& part = choose(bound);
      auto result = part.read([&] {
        using Result = std::optional<std::invoke_result_t<Section&, const CollectionRoot&>>;
        const CollectionRoot* root = find_root(part, bound.binding());
        return root != nullptr ? Result(std::in_place, section(*root)) : Result();
      });
      if (result) return *std::move(result);
      bind_again();
    }
  }
  template <class Choose, class Step>
  auto write_in(Choose&& choose, Step&& step) const {
    auto result = write_unsettled(std::forward<Choose>(choose), std::forward<Step>(step));
    if (LogSink* const log = arena_->log()) [[unlikely]]
      log->settle();
    return result;
  }
  template <class Choose, class Step>
  auto write_unsettled(Choose&& choose, Step&& step) const {
    for (;;) {
      const Bound bound = current_bound();
      Part& chosen = choose(bound);
      try {
        Transaction txn(chosen);
        CollectionRoot* const root = find_root(txn, bound.binding());
        if (root != nullptr) {
          expiry::reclaim_in_passing(txn, *root);
          if constexpr (std::is_invocable_v<Step, Transaction&, CollectionRoot&, Binding>) {
            return step(txn, *root, bound.binding());
          } else {
            return step(txn, *root);
          }
        }
        bind_again();
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kOverCapacity || !caches_gave_way(chosen)) throw;
      }
    }
  }

  template <class Read, class Write, class Section>
  static auto settled(Read&& read_root, Write&& write_root, Section&& section) {
    for (CallTime time;;) {
      auto result = read_root([&](const CollectionRoot& root) {
        using Result = std::optional<std::invoke_result_t<Section&, const CollectionRoot&>>;
        return expiry::settled(root, time) ? Result(std::in_place, section(root)) : Result();
      });
      if (result) return *std::move(result);
      write_root([&](Transaction& txn, CollectionRoot& root) {
        return expiry::reclaim(txn, root, time, expiry::kSettleEntries);
      });
    }
  }

  [[nodiscard]] Bound current_bound() const;
  void bind_again() const { epoch_.store(kUnbound, std::memory_order_relaxed); }
  void bind() const;

  [[nodiscard]] bool caches_gave_way(Part& part) const;

  static constexpr std::uint64_t kUnbound = ~std::uint64_t{0};

  std::shared_ptr<Store> store_;
  std::shared_ptr<Arena> arena_;
  std::string name_;
  CollectionKind kind_;
  Schema schema_;
  std::string encoded_schema_;
  bool fixed_ = false;
  mutable std::atomic<std::uint64_t> epoch_{kUnbound};  // of the catalog when the name was last looked up
  mutable std::atomic<std::uint64_t> bound_;            // home part, slot, serial, packed: read together
};

// What lies behind a handle: for layers above that read collections as they lie.
struct HandleAccess {
  template <class Handle>
  [[nodiscard]] static const std::shared_ptr<HashImpl>& impl(const Handle& handle) noexcept {
    return handle.impl_;
  }
};

}  // namespace kv
