#include "collections/list_writer.hpp"

#include <algorithm>

#include "collections/log_records.hpp"
#include "index/entry.hpp"
#include "memory/arena.hpp"
#include "memory/pins.hpp"
#include "memory/size_classes.hpp"

namespace kv {
namespace {

constexpr std::size_t kTwoChunks = std::size_t{2} * kChunkCodes;
constexpr std::size_t kFirstTailCodes = 24;
constexpr std::uint32_t kFewCodes = kChunkCodes / 4;  // a chunk with fewer joins a neighbour, if that leaves room
constexpr std::uint32_t kRoomyChunk = kChunkCodes / 4 * 3;

[[nodiscard]] std::uint32_t width_of(const std::uint32_t* codes, std::size_t count) noexcept {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < count; ++i) bits |= codes[i];
  return bits <= 0xff ? 1 : bits <= 0xffff ? 2 : 4;
}

// Stores codes where no reader looks yet.
void store_codes(std::byte* to, std::uint32_t width, const std::uint32_t* codes, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    switch (width) {
      case 1:
        store_relaxed<std::uint8_t>(to + i, static_cast<std::uint8_t>(codes[i]));
        break;
      case 2:
        store_relaxed<std::uint16_t>(to + 2 * i, static_cast<std::uint16_t>(codes[i]));
        break;
      default:
        store_relaxed<std::uint32_t>(to + 4 * i, codes[i]);
    }
  }
}

[[nodiscard]] ListState& present_state(Transaction& txn, CollectionRoot& root) {
  if (root.list == kNullRef) {
    const Ref block = txn.allocate(sizeof(ListState));
    const ListState empty{};
    copy_in(txn.fresh(block), &empty, sizeof empty);
    list_dictionary::make(txn, *reinterpret_cast<ListState*>(txn.fresh(block)));
    txn.store32(&root.list, block);
  }
  return *reinterpret_cast<ListState*>(txn.fresh(root.list));
}

}  // namespace

ListWriter::ListWriter(Transaction& txn, CollectionRoot& root, Binding binding)
    : txn_(txn),
      root_(root),
      binding_(binding),
      state_(present_state(txn, root)),
      directory_(txn, state_),
      log_(txn.part().arena().log()),
      walk_(root.list_walk) {}

bool ListWriter::commit() {
  const bool logs = !edits_.empty();
  if (logs) txn_.store64(&root_.list_version, root_.list_version + 1);
  if (walk_ != root_.list_walk) txn_.store64(&root_.list_walk, walk_);
  bool emptied = root_.entries == 0;
  try {
    if (emptied) discard_root(txn_, binding_, true);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOverCapacity) throw;
    emptied = false;  // no memory for another root: this one is as good
  }
  if (logs) edits_.append(*log_, txn_, root_);
  txn_.commit();
  return emptied;
}

// ---- Inserting ----

std::size_t ListWriter::insert(std::uint64_t position, std::span<const HashedValue> values) {
  std::uint32_t codes[kTwoChunks];
  std::size_t done = 0;
  if (log_ != nullptr && !values.empty()) edits_.begin(ListEditKind::kInsert, position);
  while (done < values.size() && (done == 0 || room())) {
    std::size_t count = 0;
    while (count < kChunkCodes && done + count < values.size() && (count == 0 || room())) {
      codes[count] = acquire(values[done + count]);
      if (log_ != nullptr) edits_.add(part(), state_, codes[count]);
      ++count;
    }
    const std::uint64_t at = position + done;
    if (at == size()) {
      append_codes(codes, count);
    } else if (at >= tail_start()) {
      insert_into_tail(static_cast<std::uint32_t>(at - tail_start()), codes, count);
    } else {
      insert_into_chunk(at, codes, count);
    }
    add_to_length(static_cast<std::int64_t>(count));
    done += count;
  }
  if (position < walk_) walk_ += done;
  return done;
}

std::uint32_t ListWriter::acquire(const HashedValue& value) {
  return list_dictionary::acquire(txn_, state_, value, root_.list_walks);
}

void ListWriter::release(std::uint32_t code) {
  if (log_ != nullptr) {
    const Ref entry = list_dictionary::entry_of(part(), state_, code);
    if (list_state::record_of(part(), entry).count() == 1) edits_.forget(code);
  }
  list_dictionary::release(txn_, state_, code);
}

std::uint32_t ListWriter::code_of(std::uint64_t position) const noexcept {
  const auto place = list_state::locate(part(), root_, state_, position);
  return list_state::code_at(part(), place.chunk, place.offset);
}

// That there now stands at these positions what does.
void ListWriter::note_set(std::uint64_t position, std::uint64_t count) {
  if (log_ == nullptr) return;
  edits_.begin(ListEditKind::kSet, position);
  for (std::uint64_t i = 0; i < count; ++i) edits_.add(part(), state_, code_of(position + i));
}

void ListWriter::note_erased(std::uint64_t position, std::uint64_t count) {
  if (log_ == nullptr || count == 0) return;
  edits_.erase(position, count);
  if (position < walk_) walk_ -= std::min(count, walk_ - position);
}

Ref ListWriter::make_chunk(const std::uint32_t* codes, std::size_t count, std::size_t capacity) {
  const std::uint32_t width = width_of(codes, count);
  const std::size_t bytes = block_bytes_of(kChunkHeaderBytes + std::max(count, capacity) * width);
  const Ref chunk = txn_.allocate(bytes);
  std::byte* const at = txn_.fresh(chunk);
  ChunkHeader header{};
  header.capacity = static_cast<std::uint16_t>(std::min<std::size_t>(kChunkCodes, (bytes - kChunkHeaderBytes) / width));
  header.width = static_cast<std::uint8_t>(width);
  store_relaxed<std::uint64_t>(at, header.encode());
  store_codes(at + kChunkHeaderBytes, width, codes, count);
  return chunk;
}

bool ListWriter::is_pinned(Ref chunk) { return txn_.control().pins.records != 0 && pins::pinned(txn_, chunk); }

void ListWriter::set_tail(Ref chunk, std::uint32_t length) {
  txn_.store32(&state_.tail, chunk);
  txn_.store32(&state_.tail_length, length);
  safe_length_ = 0;
}

void ListWriter::push_tail() {
  directory_.push_back({state_.tail, state_.tail_length});
  set_tail(kNullRef, 0);
}

void ListWriter::append_codes(const std::uint32_t* codes, std::size_t count) {
  while (count > 0) {
    if (state_.tail != kNullRef && state_.tail_length == kChunkCodes) push_tail();
    const std::uint32_t length = state_.tail_length;
    const auto header = state_.tail == kNullRef ? ChunkHeader{} : ChunkHeader::load(txn_.at(state_.tail));
    const std::size_t fit =
        std::min<std::size_t>(count, header.capacity - std::min<std::uint32_t>(length, header.capacity));
    if (fit > 0 && width_of(codes, fit) <= header.width && length >= safe_length_ && !is_pinned(state_.tail)) {
      store_codes(txn_.fresh(state_.tail) + kChunkHeaderBytes + std::size_t{length} * header.width, header.width, codes,
                  fit);
      txn_.store32(&state_.tail_length, length + static_cast<std::uint32_t>(fit));
      codes += fit, count -= fit;
      continue;
    }
    // No room, too narrow, or behind the length lies what somebody may see again: another chunk.
    std::uint32_t all[kChunkCodes];
    const Ref old = state_.tail;
    if (length != 0) list_state::copy_codes(part(), old, 0, length, all);
    const auto added = static_cast<std::uint32_t>(std::min<std::size_t>(count, kChunkCodes - length));
    std::copy_n(codes, added, all + length);
    // Room for as many again; a list of more than a chunk gets whole ones.
    const std::size_t capacity =
        state_.directory != kNullRef
            ? kChunkCodes
            : std::clamp<std::size_t>(std::size_t{2} * (length + added), kFirstTailCodes, kChunkCodes);
    set_tail(make_chunk(all, length + added, capacity), length + added);
    if (old != kNullRef) txn_.free(old);
    codes += added, count -= added;
  }
}

void ListWriter::insert_into_tail(std::uint32_t offset, const std::uint32_t* codes, std::size_t count) {
  std::uint32_t all[kTwoChunks];
  const Ref old = state_.tail;
  const std::uint32_t length = state_.tail_length;
  list_state::copy_codes(part(), old, 0, length, all);
  std::copy_backward(all + offset, all + length, all + length + count);
  std::copy_n(codes, count, all + offset);
  const std::size_t sum = length + count;
  const std::size_t full = sum > kChunkCodes ? kChunkCodes : 0;  // goes to the directory
  if (full != 0) directory_.push_back({make_chunk(all, full, 0), full});
  const std::size_t rest = sum - full;
  set_tail(make_chunk(all + full, rest, std::min<std::size_t>(kChunkCodes, rest + rest / 4 + 8)),
           static_cast<std::uint32_t>(rest));
  txn_.free(old);
}

void ListWriter::insert_into_chunk(std::uint64_t position, const std::uint32_t* codes, std::size_t count) {
  std::uint32_t all[kTwoChunks];
  const ListDirectory::Path path = directory_.find(position);
  const ListDirectory::Child old = directory_.chunk(path);
  const auto length = static_cast<std::uint32_t>(old.count);
  list_state::copy_codes(part(), old.ref, 0, length, all);
  std::copy_backward(all + path.offset, all + length, all + length + count);
  std::copy_n(codes, count, all + path.offset);
  const std::size_t sum = length + count;
  const std::size_t pieces = (sum + kChunkCodes - 1) / kChunkCodes;
  std::vector<ListDirectory::Child> chunks;
  for (std::size_t i = 0; i < pieces; ++i) {
    const std::size_t first = sum * i / pieces, last = sum * (i + 1) / pieces;
    chunks.push_back({make_chunk(all + first, last - first, 0), last - first});
  }
  directory_.replace(path, 0, 1, chunks);
  txn_.free(old.ref);
}

// ---- Erasing ----

std::uint64_t ListWriter::erase(std::uint64_t position, std::uint64_t count) {
  std::uint32_t codes[kChunkCodes];
  std::uint64_t done = 0;
  while (done < count && (done == 0 || room())) {
    const auto place = list_state::locate(part(), root_, state_, position);
    const auto most = static_cast<std::uint32_t>(std::min<std::uint64_t>(count - done, place.length - place.offset));
    list_state::copy_codes(part(), place.chunk, place.offset, most, codes);
    std::uint32_t erased = 0;
    while (erased < most && (erased == 0 || room())) release(codes[erased++]);
    remove_codes(position, erased);
    done += erased;
  }
  note_erased(position, done);
  return done;
}

void ListWriter::take(std::uint64_t position, const std::function<void(Transaction&, Ref)>& taken) {
  const std::uint32_t code = code_of(position);
  remove_codes(position, 1);  // first: from here on nothing but `taken` can fail
  taken(txn_, list_dictionary::entry_of(part(), state_, code));
  release(code);
  note_erased(position, 1);
}

void ListWriter::remove_codes(std::uint64_t position, std::uint32_t count) {
  if (position >= tail_start()) {
    remove_from_tail(static_cast<std::uint32_t>(position - tail_start()), count);
  } else if (state_.tail_length == 0 && position + count == size()) {
    // The end of the list: what is left of the last chunk is the tail from now on.
    const ListDirectory::Child last = directory_.pop_back();
    const Ref old = state_.tail;
    const auto length = static_cast<std::uint32_t>(last.count);
    set_tail(last.ref, length - count);
    safe_length_ = length;
    if (old != kNullRef) txn_.free(old);
  } else {
    remove_from_directory(position, count);
  }
  add_to_length(-static_cast<std::int64_t>(count));
}

// Few codes are moved up in place. Else the chunk is built anew, as small as it can be; but erasing does not fail for
// want of memory: then it is done in place, too.
template <class Rebuild, class InPlace>
void ListWriter::close_gap(Ref chunk, std::uint32_t offset, std::uint32_t count, std::uint32_t length,
                           Rebuild&& rebuild, InPlace&& in_place) {
  constexpr std::size_t kFewBytes = 256;
  const ChunkHeader header = ChunkHeader::load(txn_.at(chunk));
  const bool pinned = is_pinned(chunk);
  const std::uint32_t left = length - count, moved = left - offset;
  if (pinned || left < kFewCodes || left < header.capacity / 2U || moved * header.width > kFewBytes) {
    try {
      return rebuild();
    } catch (const Error& error) {
      if (pinned || error.code() != ErrorCode::kOverCapacity) throw;
    }
  }
  char codes[kChunkCodes * sizeof(std::uint32_t)];
  const std::size_t bytes = std::size_t{moved} * header.width;
  std::byte* const to = txn_.fresh(chunk) + kChunkHeaderBytes + std::size_t{offset} * header.width;
  copy_out(codes, to + std::size_t{count} * header.width, bytes);
  txn_.write(to, codes, bytes);
  in_place();
}

void ListWriter::remove_from_tail(std::uint32_t offset, std::uint32_t count) {
  const Ref old = state_.tail;
  const std::uint32_t length = state_.tail_length;
  const auto shorten = [&] {
    txn_.store32(&state_.tail_length, length - count);
    safe_length_ = std::max(safe_length_, length);
  };
  if (offset + count == length) return shorten();
  const auto rebuild = [&] {
    std::uint32_t codes[kChunkCodes];
    list_state::copy_codes(part(), old, 0, offset, codes);
    list_state::copy_codes(part(), old, offset + count, length - offset - count, codes + offset);
    set_tail(make_chunk(codes, length - count, length), length - count);
    txn_.free(old);
  };
  close_gap(old, offset, count, length, rebuild, shorten);
}

void ListWriter::remove_from_directory(std::uint64_t position, std::uint32_t count) {
  const ListDirectory::Path path = directory_.find(position);
  const ListDirectory::Child old = directory_.chunk(path);
  const auto length = static_cast<std::uint32_t>(old.count);
  if (length == count) {
    directory_.replace(path, 0, 1, {});
    return txn_.free(old.ref);
  }
  close_gap(
      old.ref, path.offset, count, length, [&] { rebuild_chunk(path, count); },
      [&] {
        directory_.replace(path, 0, 1, {{old.ref, length - count}});
      });
}

// Without `count` codes from the path's position on, and together with a neighbour if it becomes short.
void ListWriter::rebuild_chunk(const ListDirectory::Path& path, std::uint32_t count) {
  std::uint32_t codes[kTwoChunks];
  const ListDirectory::Child old = directory_.chunk(path);
  const std::uint32_t left = static_cast<std::uint32_t>(old.count) - count;
  list_state::copy_codes(part(), old.ref, 0, path.offset, codes);
  list_state::copy_codes(part(), old.ref, path.offset + count, left - path.offset, codes + path.offset);
  int first = 0;
  ListDirectory::Child joined{kNullRef, 0};
  if (left < kFewCodes) {
    if (const auto next = directory_.next_chunk(path); next.ref != kNullRef && left + next.count <= kRoomyChunk) {
      joined = next;
      list_state::copy_codes(part(), next.ref, 0, static_cast<std::uint32_t>(next.count), codes + left);
    } else if (const auto previous = directory_.previous_chunk(path);
               previous.ref != kNullRef && left + previous.count <= kRoomyChunk) {
      joined = previous;
      first = -1;
      const auto before = static_cast<std::uint32_t>(previous.count);
      std::copy_backward(codes, codes + left, codes + left + before);
      list_state::copy_codes(part(), previous.ref, 0, before, codes);
    }
  }
  const std::uint32_t sum = left + static_cast<std::uint32_t>(joined.count);
  directory_.replace(path, first, joined.ref == kNullRef ? 1 : 2, {{make_chunk(codes, sum, 0), sum}});
  txn_.free(old.ref);
  if (joined.ref != kNullRef) txn_.free(joined.ref);
}

// ---- Exchanging ----

void ListWriter::set(std::uint64_t position, const HashedValue& value) {
  const std::uint32_t old = code_of(position);
  const std::uint32_t code = acquire(value);  // first: the old value may be the new one
  if (code != old) put_code(position, code);
  note_set(position, 1);
  release(old);
}

std::uint64_t ListWriter::exchange(std::uint64_t first, std::uint64_t last, std::uint64_t count) {
  std::uint64_t done = 0;
  std::uint64_t bytes = 0;  // that the record will have at most
  const auto logged_bytes = [&](std::uint32_t code) {
    const Ref entry = list_dictionary::entry_of(part(), state_, code);
    return sizeof code + EntryHeader::load(txn_.at(entry)).value_bytes;
  };
  for (; done < count && (done == 0 || (room() && bytes < kMostLoggedBytes)); ++done) {
    const std::uint32_t front = code_of(first + done);
    const std::uint32_t back = code_of(last - done);
    if (log_ != nullptr) bytes += logged_bytes(front) + logged_bytes(back);
    if (front == back) continue;
    put_code(first + done, back);
    put_code(last - done, front);
  }
  // By their values: a checkpoint may have gone past one of the two ranges.
  note_set(first, done);
  note_set(last + 1 - done, done);
  return done;
}

void ListWriter::put_code(std::uint64_t position, std::uint32_t code) {
  const auto place = list_state::locate(part(), root_, state_, position);
  const ChunkHeader header = ChunkHeader::load(txn_.at(place.chunk));
  if (width_of(&code, 1) <= header.width && !is_pinned(place.chunk)) {
    return txn_.write(place.chunk, kChunkHeaderBytes + std::size_t{place.offset} * header.width, &code, header.width);
  }
  std::uint32_t codes[kChunkCodes];
  list_state::copy_codes(part(), place.chunk, 0, place.length, codes);
  codes[place.offset] = code;
  const bool in_tail = position >= tail_start();
  const Ref made = make_chunk(codes, place.length, in_tail ? header.capacity : 0);
  if (in_tail) {
    set_tail(made, place.length);
  } else {
    directory_.replace(directory_.find(position), 0, 1, {{made, place.length}});
  }
  txn_.free(place.chunk);
}

}  // namespace kv
