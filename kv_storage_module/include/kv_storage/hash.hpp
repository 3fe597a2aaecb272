// Hash: byte-string keys to values, ordered by key. The root of a Store is one; Store::hash(name) makes more.
//
// A Hash is a cheap handle (shared ownership of the store's mapping plus a name); copies are equal. Every method may be
// called from any thread; each is atomic over all threads and processes unless it says otherwise. Reads take no lock
// (memory/part.hpp). All methods may throw Error{kClosed} when the store was closed or the collection dropped.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kv_storage/bytes.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/schema.hpp"
#include "kv_storage/value.hpp"

namespace kv {

class GlobPattern;
class HashImpl;

// A time to live is in milliseconds from now, by the wall clock; when it is over the entry is absent to every call.
inline constexpr std::uint64_t kNoTtl = 0;                       // does not expire
inline constexpr std::uint64_t kMaxTtlMs = 100'000'000'000'000;  // 1e11 seconds, more than 3,000 years
struct TimeToLive {
  bool expires;
  std::uint64_t ms;  // left, if it does
};

// Which keys a scan visits: those in [start, stop) that match `glob`.
struct KeyRange {
  std::optional<std::string> start;         // inclusive; none = from the first
  std::optional<std::string> stop;          // exclusive; none = to the last
  std::shared_ptr<const GlobPattern> glob;  // none = all

  static KeyRange prefix(ByteView prefix);     // the keys that begin with it
  static KeyRange matching(ByteView pattern);  // fnmatch.fnmatchcase; throws nothing: every pattern is valid
};

// A page of a scan, copied out of shared memory: keys (and values) lie end to end in `bytes`.
struct ScanPage {
  struct Item {
    std::uint32_t key_offset, key_size;
    std::uint32_t value_offset, value_size;
    ValueType type;
    bool large;  // the value was too large to copy: read it by key (it may be gone by then)
    [[nodiscard]] bool has_value() const noexcept { return !large; }
  };
  std::vector<Item> items;
  std::vector<char> bytes;
  std::uint32_t serial = 0;  // of a collection with a schema: RecordHash::serial() of what was read

  // Adds the items of a page with the same serial. Together they must stay below 4 GiB.
  void append(const ScanPage& page);
  [[nodiscard]] ByteView key(const Item& item) const noexcept {
    return {bytes.data() + item.key_offset, item.key_size};
  }
  [[nodiscard]] ByteView value(const Item& item) const noexcept {
    return {bytes.data() + item.value_offset, item.value_size};
  }
};

// An iteration in key order that stays right while others write: no key twice, no key missed that was there all along.
// Each page is one consistent section; the next resumes strictly after the last key of the one before.
class Scan {
 public:
  Scan(Scan&&) noexcept;
  Scan& operator=(Scan&&) noexcept;
  ~Scan();
  // Fills `page` with up to 64 further keys (and, if asked for, values of up to 4 KiB each); false = exhausted.
  bool next(ScanPage& page);
  // Whether another scan would find what this one found last: nobody has written to the parts since the last page, and
  // nothing that the pages had can expire. False before the first page.
  [[nodiscard]] bool current() const noexcept;

 private:
  friend class Hash;
  friend class RecordHash;
  explicit Scan(std::unique_ptr<class ScanImpl> impl);
  std::unique_ptr<class ScanImpl> impl_;
};

class Hash {
 public:
  // O(key length); most hits touch two cache lines beside the value. False = absent.
  bool get(ByteView key, ValueBuffer& out) const;
  [[nodiscard]] bool contains(ByteView key) const;
  // Like get, but pins whatever the size. An empty Pin = absent.
  [[nodiscard]] Pin pin(ByteView key, ValueType& type) const;

  // Returns true if the key was new. Throws kInvalidArgument (key longer than kMaxKeyBytes, value over 4 GiB, ttl over
  // kMaxTtlMs) and kOverCapacity; then nothing has changed. The key has the ttl given, or none, whatever it had before.
  bool put(ByteView key, const Value& value, std::uint64_t ttl_ms = kNoTtl);
  // Stores only if the key is absent; else reads the present value into `present`. True = stored.
  bool put_if_absent(ByteView key, const Value& value, ValueBuffer& present);
  // Stores only if the key is present, which keeps its ttl. True = stored.
  bool replace(ByteView key, const Value& value);
  bool erase(ByteView key);                   // true = was there
  bool take(ByteView key, ValueBuffer& out);  // erase and read in one step
  // The first / last key with its value, erased; false = empty. `key` receives the key.
  bool take_last(std::string& key, ValueBuffer& out);

  // Sets the ttl of a present key; false = absent. The value is copied if its block has no room for a due time.
  bool expire(ByteView key, std::uint64_t ttl_ms);
  bool persist(ByteView key);  // takes the ttl away; false = absent or none
  [[nodiscard]] std::optional<TimeToLive> time_to_live(ByteView key) const;  // nullopt = absent

  // Adds to a kInt, absent = 0; returns the result. Keeps the ttl. Throws kTypeMismatch, kOverflow.
  std::int64_t increment(ByteView key, std::int64_t by);
  // nullopt stands for "absent", as expectation and as new value. Equal = same type and same bytes. True = changed.
  // Keeps the ttl.
  bool compare_and_set(ByteView key, const std::optional<Value>& expected, const std::optional<Value>& wanted);

  // Many keys at once, prefetched in groups; not atomic across keys. `found(i, type, bytes)` is called in order for
  // each key present (bytes are private copies valid during the call); `large(i)` for values over 4 KiB (arrays 1 KiB),
  // to be read one by one; nothing for absent keys. Neither callback runs inside a section or under a lock.
  using Found = void (*)(void* context, std::size_t i, ValueType type, ByteView bytes);
  using Large = void (*)(void* context, std::size_t i);
  void get_many(std::span<const ByteView> keys, void* context, Found found, Large large) const;
  // Returns how many keys were new. On an exception the keys before the failing one are stored.
  std::uint64_t put_many(std::span<const ByteView> keys, std::span<const Value> values, std::uint64_t ttl_ms = kNoTtl);

  [[nodiscard]] std::uint64_t size() const;  // O(parts); frees first what has expired, if something has
  [[nodiscard]] Scan scan(const KeyRange& range, bool with_values, bool reverse = false) const;
  [[nodiscard]] std::uint64_t count(const KeyRange& range) const;  // visits the matches
  std::uint64_t erase_range(const KeyRange& range);                // in steps; returns how many
  void clear();                                                    // O(1) for readers; memory is given back in steps

  [[nodiscard]] const std::string& name() const noexcept;  // "" for the root
  [[nodiscard]] std::shared_ptr<Store> store() const;

  explicit Hash(std::shared_ptr<HashImpl> impl) noexcept : impl_(std::move(impl)) {}

 private:
  friend class Ordered;
  friend struct HandleAccess;
  enum class End : bool { kFirst, kLast };
  // In one step; of an ordered collection only.
  bool take_end(End end, std::string& key, ValueBuffer& out);

  std::shared_ptr<HashImpl> impl_;
};

// Hash with a schema: values are fixed-size records in contiguous slabs, without headers.
// Lives whole in one part. `record` arguments are schema().record_bytes() long, laid out as the schema says.
class RecordHash {
 public:
  bool get(ByteView key, void* record) const;  // one copy of constant size; false = absent
  [[nodiscard]] bool contains(ByteView key) const;
  bool put(ByteView key, const void* record, std::uint64_t ttl_ms = kNoTtl);  // true = new
  bool erase(ByteView key);
  bool take(ByteView key, void* record);
  bool take_last(std::string& key, void* record);
  // Overwrites `bytes` at `offset` of an existing record, atomically with all other fields given; false = absent.
  struct Field {
    std::uint32_t offset, bytes;
    const void* value;
  };
  bool set_fields(ByteView key, std::span<const Field> fields);

  // As in Hash; set_fields keeps the ttl.
  bool expire(ByteView key, std::uint64_t ttl_ms);
  bool persist(ByteView key);
  [[nodiscard]] std::optional<TimeToLive> time_to_live(ByteView key) const;

  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] Scan scan(const KeyRange& range, bool with_values,
                          bool reverse = false) const;  // values: the records' bytes
  [[nodiscard]] std::uint64_t count(const KeyRange& range) const;
  std::uint64_t erase_range(const KeyRange& range);
  void clear();

  // Copies column(s) of the records of `range` in key order, consistent per page of 64 rows. Appends to `out`
  // (size * bytes each): `gather` copies `fields` {offset, bytes} one after another, row by row.
  void gather(const KeyRange& range, std::uint32_t offset, std::uint32_t bytes, std::vector<char>& out) const;

  // The live slabs, pinned: `records` is count * record_bytes bytes; `used` holds one bit per slot, least significant
  // bit of each byte first. Freed slots are not reused while their slab is pinned.
  struct Slab {
    Pin pin;  // covers both below
    ByteView records;
    ByteView used;
    std::uint64_t count;
  };
  [[nodiscard]] std::vector<Slab> slabs() const;

  // A handle that does not follow its name to a collection that replaces this one (load_csv, rename) but throws
  // Error{kReplaced} then: codes of categories read and written through it all mean the same.
  [[nodiscard]] RecordHash fixed() const;
  // Tells the collections that a name stands for over time from one another.
  [[nodiscard]] std::uint32_t serial() const;

  [[nodiscard]] const Schema& schema() const noexcept;
  // Categories, which a collection keeps as long as it is there, also when it is cleared: code of a text (added if
  // absent), text of a code, all texts in code order.
  std::uint32_t category_code(std::size_t column, ByteView text);
  [[nodiscard]] std::optional<std::uint32_t> find_category(std::size_t column, ByteView text) const;
  [[nodiscard]] std::vector<std::string> categories(std::size_t column) const;

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] std::shared_ptr<Store> store() const;

  explicit RecordHash(std::shared_ptr<HashImpl> impl) noexcept : impl_(std::move(impl)) {}

 private:
  friend struct HandleAccess;
  std::shared_ptr<HashImpl> impl_;
};

}  // namespace kv
