// An index under test beside the std::map that says what must be in it.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "index/key_index.hpp"
#include "kv_storage/error.hpp"
#include "support/memory_check.hpp"

namespace kv::test {

// A word that transactions can store to, standing for the root word of a collection.
inline void* root_word(Part& part) { return &part.control().directory; }
inline Ref root_of(Part& part) { return load32(root_word(part)); }

inline Ref make_entry(Transaction& txn, ByteView key, ByteView value = {}) {
  const EntryHeader header{kEntryKind, ValueType::kBytes, static_cast<std::uint16_t>(key.size()),
                           static_cast<std::uint32_t>(value.size())};
  const Ref ref = txn.allocate(header.total_bytes());
  std::byte* const at = txn.fresh(ref);
  store_relaxed<std::uint64_t>(at, header.encode());
  copy_in(at + kEntryHeaderBytes, key.data(), key.size());
  copy_in(at + header.value_offset(), value.data(), value.size());
  return ref;
}

inline ByteView value_of(const Part& part, Ref entry) {
  const std::byte* at = part.at(entry, kEntryHeaderBytes);
  const EntryHeader header = EntryHeader::load(at);
  return {reinterpret_cast<const char*>(at) + header.value_offset(), header.value_bytes};
}

// Returns whether the key was new.
inline bool put(Transaction& txn, ByteView key, ByteView value = {}) {
  const Ref entry = make_entry(txn, key, value);
  Ref replaced;
  try {
    replaced = insert(txn, root_word(txn.part()), entry);
  } catch (...) {
    txn.free(entry);
    throw;
  }
  if (replaced != kNullRef) txn.free(replaced);
  return replaced == kNullRef;
}

inline bool remove(Transaction& txn, ByteView key) {
  const Ref entry = erase(txn, root_word(txn.part()), key);
  if (entry != kNullRef) txn.free(entry);
  return entry != kNullRef;
}

// Everything a rollback has to restore: the blocks in use, and what is in them.
inline std::map<Ref, std::string> image_of(Part& part) {
  std::map<Ref, std::string> image;
  for (const auto& [ref, bytes] : blocks_in_use(part)) {
    std::string& content = image[ref];
    content.resize(bytes);
    copy_out(content.data(), part.slice() + std::uint64_t{ref} * kGranule, bytes);
  }
  image[kNullRef] = std::to_string(root_of(part));
  return image;
}

// Holds all memory of a part that is left, down to the smallest block.
class MemoryHog {
 public:
  explicit MemoryHog(Part& part) : part_(part) {
    Transaction txn(part);
    fill(txn);
  }
  void fill(Transaction& txn) const {
    for (std::size_t bytes = 1 << 20; bytes >= kMinBlockBytes; bytes = bytes > 1024 ? bytes / 2 : bytes - 8) {
      try {
        for (;;) {
          held_.push_back(txn.allocate(bytes));
          txn.commit();
        }
      } catch (const Error&) {
      }
    }
  }
  void release() const {
    Transaction txn(part_);
    for (const Ref block : held_) {
      txn.free(block);
      txn.commit();
    }
    held_.clear();
  }

 private:
  Part& part_;
  mutable std::vector<Ref> held_;
};

}  // namespace kv::test
