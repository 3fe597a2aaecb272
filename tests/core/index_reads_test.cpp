// What optimistic readers of the index may meet: writers in between, and memory that is not what it was.
#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "index/cursor.hpp"
#include "index/lookaside.hpp"
#include "support/index_model.hpp"
#include "support/key_sets.hpp"

namespace kv::test {
namespace {

constexpr std::uint64_t kSeed = 1;

// Makes reads past the end of part 0 fail, as long as it lives: the slice of part 1 begins there.
class Guard {
 public:
  explicit Guard(Arena& arena) : next_(arena.part(1).slice()), bytes_(arena.header().slice_bytes) {
    REQUIRE(next_ == arena.part(0).slice() + bytes_);
    REQUIRE(::mprotect(next_, bytes_, PROT_NONE) == 0);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { ::mprotect(next_, bytes_, PROT_READ | PROT_WRITE); }

 private:
  std::byte* next_;
  std::uint64_t bytes_;
};

// Overwrites words of live blocks and puts them back.
class Corruption {
 public:
  Corruption(Part& part, const std::vector<std::pair<Ref, std::size_t>>& blocks, Random& random) : part_(part) {
    for (unsigned i = 1 + below(random, 200); i > 0; --i) {
      const auto& [ref, bytes] = blocks[below(random, static_cast<unsigned>(blocks.size()))];
      std::byte* const word =
          part.slice() + std::uint64_t{ref} * kGranule + below(random, static_cast<unsigned>(bytes / 8)) * 8UL;
      old_.emplace_back(word, load64(word));
      store_relaxed<std::uint64_t>(word, garbage(load64(word), blocks, random));
    }
  }
  Corruption(const Corruption&) = delete;
  Corruption& operator=(const Corruption&) = delete;
  ~Corruption() {
    for (; !old_.empty(); old_.pop_back()) store_relaxed<std::uint64_t>(old_.back().first, old_.back().second);
  }

 private:
  static std::uint64_t garbage(std::uint64_t old, const std::vector<std::pair<Ref, std::size_t>>& blocks,
                               Random& random) {
    const std::uint64_t anything = std::uint64_t{random()} << 32 | random();
    const auto any_block = [&] {
      return std::uint64_t{blocks[below(random, static_cast<unsigned>(blocks.size()))].first};
    };
    switch (below(random, 5)) {
      case 0:
        return anything;
      case 1:
        return old ^ std::uint64_t{1} << below(random, 64);
      case 2:
        return any_block() << 32 | any_block();
      case 3:
        return (old & ~std::uint64_t{0xffff}) | (anything & 0xffff);  // another kind, another count
      default:
        return old | 0xffffffff00000000;
    }
  }

  Part& part_;
  std::vector<std::pair<std::byte*, std::uint64_t>> old_;
};

void read_everything(const Part& part, Ref root, Ref table, const std::vector<std::string>& keys, Random& random) {
  for (int i = 0; i < 20; ++i) {
    const std::string& key = keys[below(random, static_cast<unsigned>(keys.size()))];
    const Ref found = find(part, root, key);
    if (found != kNullRef) CHECK(entry_has_key(part, found, key));
    const Ref aside = Lookaside(part, table).find(hash_key(key, kSeed), key);
    if (aside != kNullRef) CHECK(entry_has_key(part, aside, key));
  }
  const std::string& from = keys[below(random, static_cast<unsigned>(keys.size()))];
  const GlobPattern glob(below(random, 2) == 0 ? "*-0?-*[0-9]*" : "*\xc3\xa9?*");
  for (const bool reverse : {false, true}) {
    const std::optional<ByteView> bound = below(random, 2) == 0 ? std::optional<ByteView>(from) : std::nullopt;
    Cursor cursor(reverse ? std::nullopt : bound, reverse ? bound : std::nullopt,
                  below(random, 2) == 0 ? &glob : nullptr, reverse);
    for (int page = 0; page < 10; ++page) {
      for (const Ref entry : cursor.collect(part, root)) {
        const EntryHeader header = EntryHeader::load(part.at(entry, kEntryHeaderBytes));
        REQUIRE(header.kind == kEntryKind);
        REQUIRE(part.contains(entry, kEntryHeaderBytes + header.key_bytes));
      }
      if (!cursor.advance(0, {})) break;
    }
  }
}

}  // namespace

TEST_CASE("index reads: garbage ends every walk, and leads nowhere outside the slice") {
  auto arena = Arena::create({.max_memory = 16 * kMiB, .parts = 2});
  const Guard guard(*arena);
  Part& part = arena->part(0);
  Random random(15);
  std::vector<std::string> keys;
  for (const KeySet& set : key_sets()) {
    const int count = set.draw(random).size() > 60'000 ? 5 : 200;
    for (int i = 0; i < count; ++i) {
      keys.push_back(set.draw(random));
      Transaction txn(part);
      put(txn, keys.back());
      txn.commit();
    }
  }
  Ref table;
  {
    Transaction txn(part);
    void* const word = &part.control().catalog;
    resize_lookaside(txn, word, keys.size());
    table = load32(word);
    for (const std::string& key : keys) {
      Lookaside(part, table).insert(hash_key(key, kSeed), find(part, root_of(part), key));
    }
  }
  const auto in_use = blocks_in_use(part);
  const std::vector<std::pair<Ref, std::size_t>> blocks(in_use.begin(), in_use.end());
  for (int round = 0; round < 400; ++round) {
    const Corruption corruption(part, blocks, random);
    const Ref any = blocks[below(random, static_cast<unsigned>(blocks.size()))].first;
    const bool from_root = below(random, 4) != 0;
    read_everything(part, from_root ? root_of(part) : any, from_root ? table : any, keys, random);
  }

  // Blocks that would reach over the end of the slice.
  const std::uint64_t every_key_byte = std::uint64_t{0xffff} << 16;
  const std::uint64_t headers[] = {
      EntryHeader{kEntryKind, ValueType::kBytes, 0xffff, 0xffffffff}.encode(),
      EntryHeader{kEntryKind, ValueType::kBytes, static_cast<std::uint16_t>(keys[0].size()), 1}.encode(),
      NodeHeader{kArrayKind + kMaxArrayCapacity, 15, 0, 0x7fffffff}.encode(),
      NodeHeader{kArrayKind + 2, 1, 0, 0x7fffffff}.encode() | every_key_byte,
      NodeHeader{kArrayKind + 2, 255, 0, 0x7fffffff}.encode(),
      NodeHeader{kBitmapKind + 8, 63, 0, 0x7fffffff}.encode(),
      NodeHeader{kFullKind | kTerminalFlag, 255, 0, 0x7fffffff}.encode(),
      0xffffffff,  // a table of that many buckets
      2};
  const auto end = static_cast<Ref>(arena->header().slice_bytes / kGranule);
  for (const std::uint64_t header : headers) {
    for (Ref ref = end - 16; ref < end; ++ref) {
      std::byte* const word = part.slice() + std::uint64_t{ref} * kGranule;
      store_relaxed<std::uint64_t>(word, header);
      read_everything(part, ref, ref, keys, random);
      store_relaxed<std::uint64_t>(word, 0);
    }
  }
  for (const Ref ref : {end, end + 1, ~Ref{0}}) read_everything(part, ref, ref, keys, random);
}

TEST_CASE("index reads: beside a writer, readers see each key whole, in order, and with its own value") {
  auto arena = Arena::create({.max_memory = 64 * kMiB, .parts = 1});
  Part& part = arena->part(0);
  const auto value_for = [](const std::string& key) { return key + "=" + std::to_string(key.size()); };
  // Keys 0, 10, 20, ... stay; the others come and go.
  constexpr unsigned kKeys = 3000;
  const auto key_of_number = [](unsigned i) { return dated_key(i % 7 + 1, 1, 2018, i); };
  for (unsigned i = 0; i < kKeys; ++i) {
    Transaction txn(part);
    put(txn, key_of_number(i), value_for(key_of_number(i)));
    txn.commit();
  }
  std::atomic<bool> done{false};
  std::atomic<unsigned> failures{0};

  const auto copy_key_and_value = [&](Ref entry, std::string& key, std::string& value) {
    const std::byte* const at = part.at(entry, kEntryHeaderBytes);
    const EntryHeader header = EntryHeader::load(at);
    key.clear(), value.clear();
    if (header.kind != kEntryKind || header.total_bytes() > 200 || !part.contains(entry, header.total_bytes())) return;
    key.resize(header.key_bytes), value.resize(header.value_bytes);
    copy_out(key.data(), at + kEntryHeaderBytes, key.size());
    copy_out(value.data(), at + header.value_offset(), value.size());
  };
  const auto look_up = [&](unsigned seed) {
    Random random(seed);
    std::string found, value;
    while (!done) {
      const unsigned number = below(random, kKeys);
      const std::string key = key_of_number(number);
      const bool hit = part.read([&] {
        const Ref entry = find(part, root_of(part), key);
        if (entry == kNullRef) return false;
        copy_key_and_value(entry, found, value);
        return true;
      });
      if (hit ? found != key || value != value_for(key) : number % 10 == 0) ++failures;
    }
  };
  const auto walk = [&] {
    std::string key, value;
    do {
      Cursor cursor(std::nullopt, std::nullopt, nullptr, false);
      std::string last;
      unsigned kept = 0;
      for (bool more = true; more;) {
        std::vector<std::pair<std::string, std::string>> page;
        part.read([&] {
          page.clear();
          for (const Ref entry : cursor.collect(part, root_of(part))) {
            copy_key_and_value(entry, key, value);
            page.emplace_back(key, value);
          }
          return true;
        });
        for (const auto& [page_key, page_value] : page) {
          if (page_key <= last || page_value != value_for(page_key)) ++failures;
          last = page_key;
          if (std::stoul(page_key.substr(16)) % 10 == 0) ++kept;
        }
        more = cursor.advance(page.size(), last);
      }
      if (kept != kKeys / 10) ++failures;
    } while (!done);
  };
  std::thread reader(look_up, 1), walker(walk);
  Random random(16);
  for (int i = 0; i < 20'000; ++i) {
    const unsigned number = below(random, kKeys);
    const std::string key = key_of_number(number);
    Transaction txn(part);
    if (number % 10 == 0 || below(random, 2) == 0) {
      put(txn, key, value_for(key));
    } else {
      remove(txn, key);
    }
    if (below(random, 10) != 0) txn.commit();
  }
  done = true;
  reader.join(), walker.join();
  CHECK(failures == 0);
}

}  // namespace kv::test
