// What the workloads over a kv::Store have in common: the store, the refusals of a full one, and what must hold of it
// when nobody writes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv_storage/store.hpp"
#include "workload.hpp"

namespace kv::crash {

class StoreWorkload : public Workload {
 public:
  StoreWorkload(const WorkloadOptions& options, Scoreboard& scoreboard);

  void write(std::uint32_t writer, Random& random) final;
  void settle(std::uint32_t writer) override;
  [[nodiscard]] std::vector<std::string> verify() override;
  [[nodiscard]] std::vector<std::string> verify_at_rest() final;
  [[nodiscard]] std::string address() const final { return store_->address(); }
  [[nodiscard]] std::uint64_t recoveries() const final;

 protected:
  // write(), but for a full store, which it may leave by Error{kOverCapacity}.
  virtual void change(std::uint32_t writer, Random& random) = 0;
  // What a writer's key holds now; nothing if it is absent.
  [[nodiscard]] virtual std::optional<std::uint64_t> current_version(std::uint32_t writer, std::uint32_t number) = 0;
  // At rest: releases what this process holds, drops what is not the oracle's.
  virtual void let_go() = 0;
  // At rest: empties what is the oracle's.
  virtual void clear() = 0;

  // A key's payload of that version as a value; `use` is called with it.
  template <class Use>
  static auto with_value(std::uint64_t key, std::uint64_t version, Use&& use) {
    std::vector<char> content(Payload::size(key, version));
    Payload::fill(content.data(), content.size(), key, version);
    return use(Value{ValueType::kBytes, {content.data(), content.size()}});
  }
  [[nodiscard]] static std::uint64_t version_in(ByteView bytes, std::uint64_t key) {
    return Payload::version_in(bytes.data(), bytes.size(), key);
  }

  Scoreboard& scoreboard_;
  std::uint32_t writers_;
  std::shared_ptr<Store> store_;
};

}  // namespace kv::crash
