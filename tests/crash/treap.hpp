// A small transactional structure straight over memory/: a treap (Seidel, Aragon: Randomized search trees, 1996) in one
// part, changed in place by rotations, so that half a change, or a mixture of two, shows.
//
// Each node holds its version twice, and the root block holds the sum of all versions twice.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "memory/transaction.hpp"

namespace kv::crash {

class Treap {
 public:
  // The empty treap of a new part, or the one that another process made there.
  explicit Treap(Part& part) noexcept : part_(part) {}
  static void make(Part& part);

  // Inside a transaction that the caller commits. `payload` goes over to the treap.
  void put(Transaction& txn, std::uint64_t key, std::uint64_t version, Ref payload, std::size_t payload_bytes);
  // Nothing happens if there is no such key.
  void erase(Transaction& txn, std::uint64_t key);

  struct Found {
    std::uint64_t version;
    Ref payload;
    std::size_t payload_bytes;
  };
  [[nodiscard]] std::optional<Found> find(const Transaction& txn, std::uint64_t key) const;

  // A consistent copy of a key's version and up to `room` bytes of its payload. Takes no lock. Throws Violation.
  [[nodiscard]] std::optional<Found> read(std::uint64_t key, char* payload, std::size_t room) const;
  // Walks the whole treap in one section, without a lock. Throws Violation.
  void audit() const;

  // Under the lock: every block that the treap refers to, and what is wrong with it.
  void verify(std::vector<Ref>& blocks, std::vector<std::string>& violations) const;

 private:
  struct Node;
  struct Root;
  class Walk;

  [[nodiscard]] Ref root_ref() const noexcept;
  [[nodiscard]] const Node& node(const Transaction& txn, Ref ref) const noexcept;
  [[nodiscard]] Ref insert(Transaction& txn, Ref into, Ref fresh);
  [[nodiscard]] Ref remove(Transaction& txn, Ref from, std::uint64_t key);
  [[nodiscard]] Ref merge(Transaction& txn, Ref left, Ref right);
  void add_to_root(Transaction& txn, std::int64_t nodes, std::uint64_t versions);

  Part& part_;
};

}  // namespace kv::crash
