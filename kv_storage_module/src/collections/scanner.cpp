#include "collections/scanner.hpp"

#include <algorithm>

#include "collections/records.hpp"

namespace kv {
namespace {

constexpr std::size_t kFirstPageBytes = 16 * 1024;
constexpr std::size_t kPageItems = Cursor::kPageEntries;

[[nodiscard]] std::optional<ByteView> as_view(const std::optional<std::string>& text) {
  return text ? std::optional<ByteView>(*text) : std::nullopt;
}

[[nodiscard]] Cursor make_cursor(const KeyRange& range, bool reverse) {
  return Cursor(as_view(range.start), as_view(range.stop), range.glob.get(), reverse);
}

// Where the bytes of an entry lie, as a section sees it.
struct EntryView {
  const std::byte* key;
  std::uint32_t key_bytes;
  const std::byte* value;
  std::uint32_t value_bytes;
  ValueType type;
  bool large;
  bool expires;
};

[[nodiscard]] EntryView view_entry(const Part& part, Ref entry, std::uint32_t record_bytes) noexcept {
  const std::byte* at = part.at(entry, kEntryHeaderBytes);
  const EntryHeader header = EntryHeader::load(at);
  EntryView view{at + kEntryHeaderBytes, header.key_bytes, at + header.value_offset(),
                 header.value_bytes,     header.type,      false,
                 header.expires};
  if (record_bytes != 0) {
    const Ref record = record_of_entry(part, entry).record;
    view.value = part.slice() + std::uint64_t{record} * kGranule;
    view.value_bytes = part.contains(record, record_bytes) ? record_bytes : 0;
  } else {
    view.large = header.value_bytes > ValueBuffer::kInlineBytes || !part.contains(entry, header.total_bytes());
  }
  return view;
}

void append_item(ScanPage& page, const ScanPage& from, const ScanPage::Item& item) {
  ScanPage::Item copy = item;
  copy.key_offset = static_cast<std::uint32_t>(page.bytes.size());
  copy.value_offset = copy.key_offset + item.key_size;
  const ByteView key = from.key(item), value = from.value(item);
  page.bytes.insert(page.bytes.end(), key.begin(), key.end());
  page.bytes.insert(page.bytes.end(), value.begin(), value.end());
  page.items.push_back(copy);
}

}  // namespace

void ScanPage::append(const ScanPage& page) {
  if (page.items.empty()) return;
  serial = page.serial;
  const Item& last = page.items.back();
  const std::ptrdiff_t used = std::ptrdiff_t{last.value_offset} + last.value_size;
  const auto base = static_cast<std::uint32_t>(bytes.size());
  bytes.insert(bytes.end(), page.bytes.begin(), page.bytes.begin() + used);
  const std::size_t first = items.size();
  items.insert(items.end(), page.items.begin(), page.items.end());
  for (std::size_t i = first; i < items.size(); ++i) {
    items[i].key_offset += base;
    items[i].value_offset += base;
  }
}

KeyRange KeyRange::prefix(ByteView prefix) {
  KeyRange range;
  range.start = std::string(prefix);
  std::string stop(prefix);
  while (!stop.empty() && stop.back() == '\xff') stop.pop_back();
  if (stop.empty()) return range;
  stop.back() = static_cast<char>(static_cast<unsigned char>(stop.back()) + 1);
  range.stop = std::move(stop);
  return range;
}

KeyRange KeyRange::matching(ByteView pattern) {
  KeyRange range;
  range.glob = std::make_shared<const GlobPattern>(pattern);
  return range;
}

PartScan::PartScan(const HashImpl& collection, int part, const KeyRange& range, bool with_values, bool reverse)
    : collection_(collection),
      part_index_(part),
      range_(range),
      with_values_(with_values),
      reverse_(reverse),
      cursor_(make_cursor(range_, reverse)) {}

template <class Fill>
bool PartScan::next_filled(ScanPage& page, Fill&& fill_by) {
  if (page.bytes.size() < kFirstPageBytes) page.bytes.resize(kFirstPageBytes);
  while (more_) {
    page.items.resize(kPageItems);
    const Result result = fill_by(page);
    page.items.resize(result.items);
    if (result.outcome == Filled::kMoved) {
      resume_after(last_key_);
      continue;
    }
    if (result.items > 0) last_key_ = page.key(page.items.back());
    more_ = cursor_.advance(result.items, last_key_ ? ByteView(*last_key_) : ByteView());
    if (result.outcome == Filled::kNeedsRoom) {
      page.bytes.resize(std::max(result.bytes, 2 * page.bytes.size()));
      continue;
    }
    if (result.items > 0) return true;
  }
  page.items.clear();
  return false;
}

bool PartScan::next(ScanPage& page) {
  return next_filled(page, [this](ScanPage& to) { return fill_page(to); });
}

std::vector<ScanPage> PartScan::next_locked(std::size_t items) {
  return collection_.write_home([&](Transaction& txn, const CollectionRoot& root) {
    std::vector<ScanPage> pages;
    std::size_t read = 0;
    while (read < items) {
      ScanPage page;
      if (!next_filled(page, [&](ScanPage& to) { return fill(txn.part(), root, to); })) break;
      read += page.items.size();
      pages.push_back(std::move(page));
    }
    return pages;
  });
}

PartScan::Result PartScan::fill_page(ScanPage& page) {
  if (part_index_ >= 0) {
    const Part& part = collection_.part(static_cast<std::uint32_t>(part_index_));
    return collection_.read(part, [&](const CollectionRoot& root) { return fill(part, root, page); });
  }
  return collection_.read_home([&](const Part& part, const CollectionRoot& root) { return fill(part, root, page); });
}

// Runs inside a section: fills the items and bytes that `next` has made room for.
PartScan::Result PartScan::fill(const Part& part, const CollectionRoot& root, ScanPage& page) noexcept {
  const State now{&root, load32(&root.serial), part.sequence()};
  if (state_.root != nullptr && !state_.same_contents(now)) return {Filled::kMoved, 0, 0};
  state_ = now;
  read_from_ = &part;
  page.serial = now.serial;
  const std::uint32_t record_bytes = with_values_ ? load32(&root.record_bytes) : 0;
  const std::span<const Ref> entries =
      cursor_.collect(part, load32(&root.index), kPageItems, with_values_ && record_bytes == 0);
  if (record_bytes != 0) {
    for (const Ref entry : entries) __builtin_prefetch(part.at(record_of_entry(part, entry).record, kGranule));
  }
  std::size_t used = 0;
  std::size_t items = 0;
  for (const Ref entry : entries) {
    const EntryView view = view_entry(part, entry, record_bytes);
    const std::uint32_t value_bytes = with_values_ && !view.large ? view.value_bytes : 0;
    const std::size_t needed = std::size_t{view.key_bytes} + value_bytes;
    if (needed > page.bytes.size() - used) {
      if (items == 0) return {Filled::kNeedsRoom, 0, needed};
      break;
    }
    char* const to = page.bytes.data() + used;
    expires_ |= view.expires;
    copy_out(to, view.key, view.key_bytes);
    copy_out(to + view.key_bytes, view.value, value_bytes);
    const auto offset = static_cast<std::uint32_t>(used);
    page.items[items++] = {offset, view.key_bytes, offset + view.key_bytes, value_bytes, view.type, view.large};
    used += needed;
  }
  return {Filled::kPage, items, used};
}

bool PartScan::current() const noexcept {
  return state_.root != nullptr && !expires_ && read_from_->sequence() == state_.sequence;
}

// Also if the collection was replaced, and lives elsewhere now.
void PartScan::resume_after(const std::optional<std::string>& key) {
  KeyRange rest = range_;
  if (key) (reverse_ ? rest.stop : rest.start) = reverse_ ? *key : *key + '\0';
  cursor_ = make_cursor(rest, reverse_);
  state_ = {};
  last_key_ = key;
  more_ = true;
}

ScanImpl::ScanImpl(std::shared_ptr<HashImpl> collection, const KeyRange& range, bool with_values, bool reverse)
    : collection_(std::move(collection)), glob_(range.glob), reverse_(reverse) {
  const bool one_part = collection_->whole();
  const int parts = one_part ? 1 : static_cast<int>(collection_->part_count());
  for (int i = 0; i < parts; ++i) {
    sources_.push_back({PartScan(*collection_, one_part ? -1 : i, range, with_values, reverse), {}, 0});
  }
}

bool ScanImpl::next(ScanPage& page) { return sources_.size() == 1 ? sources_.front().scan.next(page) : merge(page); }

bool ScanImpl::current() const noexcept {
  return std::all_of(sources_.begin(), sources_.end(), [](const Source& source) { return source.scan.current(); });
}

bool ScanImpl::merge(ScanPage& page) {
  page.items.clear();
  page.bytes.clear();
  while (page.items.size() < kPageItems) {
    Source* best = nullptr;
    for (Source& source : sources_) {
      if (source.taken == source.page.items.size()) {
        source.taken = 0;
        if (!source.scan.next(source.page)) continue;
      }
      if (best == nullptr) {
        best = &source;
        continue;
      }
      const ByteView key = source.page.key(source.page.items[source.taken]);
      const ByteView best_key = best->page.key(best->page.items[best->taken]);
      if (reverse_ ? key > best_key : key < best_key) best = &source;
    }
    if (best == nullptr) break;
    append_item(page, best->page, best->page.items[best->taken++]);
  }
  return !page.items.empty();
}

Scan::Scan(std::unique_ptr<ScanImpl> impl) : impl_(std::move(impl)) {}
Scan::Scan(Scan&&) noexcept = default;
Scan& Scan::operator=(Scan&&) noexcept = default;
Scan::~Scan() = default;
bool Scan::next(ScanPage& page) { return impl_->next(page); }
bool Scan::current() const noexcept { return impl_->current(); }

}  // namespace kv
