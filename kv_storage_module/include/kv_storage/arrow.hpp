// Collections as Arrow tables, through the Arrow C data and C stream interfaces: plain C structs with a stable ABI that
// every Arrow implementation reads, https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html.
//
// A schema collection is a table of its keys (column `key`) and its columns, a Map one of `key` and `value`, a Set one
// of `member`: rows in key order, in batches. Every batch is one state of the collection, copied once, straight from
// shared memory into the buffers that the consumer gets: they are its own, whatever happens to the collection or the
// store.
#pragma once

#include <cstdint>
#include <limits>
#include <variant>

#include "kv_storage/hash.hpp"
#include "kv_storage/list.hpp"
#include "kv_storage/ordered.hpp"

// As the specification prescribes them; whoever declares them too uses the same guards.
extern "C" {
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  std::int64_t flags;
  std::int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  std::int64_t length;
  std::int64_t null_count;
  std::int64_t offset;
  std::int64_t n_buffers;
  std::int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};
#endif  // ARROW_C_STREAM_INTERFACE
}

namespace kv::arrow {

using Collection = std::variant<RecordHash, Ordered, List>;

// Which entries, and in which order: those of `range`, of which `offset` are skipped and at most `limit` are given. Of
// a List always all.
struct Selection {
  KeyRange range;
  bool reverse = false;
  std::uint64_t offset = 0;
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
};

inline constexpr std::size_t kBatchRows = 65'536;

// All three fill `out`, whose `release` the caller calls when it is done (or moves it to somebody who does).
//
// `requested`, which may be null, asks for other types of the same columns, by name: text and categories as (large)
// strings or binary, values of a Map as float64, those of a List without a dictionary. What cannot be had so comes as
// it is; the consumer looks at the schema.
//
// Throw Error{kInvalidArgument} (`requested` has other columns), kTypeMismatch (the first value of a Map is of a type
// that has no column: a list, an array; those of a List are of several types), and what reading the collection throws.
void export_schema(const Collection& collection, const Selection& selection, ArrowSchema* out);

// All rows as one batch; throws also Error{kOverflow} if texts of a column need more than 2 GiB, and what the stream
// below reports.
void export_array(const Collection& collection, const Selection& selection, const ArrowSchema* requested,
                  ArrowSchema* schema, ArrowArray* out);

// Reads nothing but the schema; each get_next() reads a batch of up to kBatchRows rows. Beside writers a batch ends
// where the state it shows ended. The stream keeps the memory of the store mapped, and may be pulled and released from
// any thread, one at a time: no call waits for another thread's GIL. get_next() answers EINVAL with a text if the store
// or the collection is gone, a Map holds values of several types, or a text is no UTF-8.
void export_stream(const Collection& collection, const Selection& selection, const ArrowSchema* requested,
                   ArrowArrayStream* out);

}  // namespace kv::arrow
