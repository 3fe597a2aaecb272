#include "persist/page_feed.hpp"

#include <system_error>
#include <utility>

namespace kv::persist {
namespace {

constexpr std::size_t kEntriesAtATime = 1024;

}  // namespace

void throw_senseless(const InputFile& file, std::uint64_t offset) {
  file.fail(offset, "a record whose checksum fits makes no sense");
}

bool PageFeed::next(RestoredPage& page) {
  page.entries.clear();
  if (!ahead_) {
    offset_ = reader_.offset();
    if (reader_.next(record_) != RecordReader::Step::kRecord) file_.fail(offset_, "no intact record is here");
    ahead_ = true;
  }
  page.offset = offset_;
  const bool is_page = record_.kind == LogKind::kPage;
  PayloadReader reader(record_.payload);
  const auto serial = is_page ? reader.number<std::uint32_t>() : 0;
  if (merging_ != nullptr && (!is_page || serial != serial_)) {  // behind the collection's last page
    page.kind = LogKind::kPage;
    page.to = to_;
    merge_until(nullptr, page.entries);
    page.appendable = appendable(page.entries);
    if (!page.entries.empty()) return true;
    merging_ = nullptr;
  }
  ahead_ = false;
  if (record_.kind == LogKind::kEnd) {
    if (reader_.offset() != file_.bytes()) file_.fail(reader_.offset(), "something follows the end");
    return false;
  }
  page.kind = record_.kind;
  page.payload.assign(record_.payload);
  if (!is_page) return true;
  page.to = to_ = restorer_.find(serial);
  if (changes_ != nullptr && to_ != nullptr) merging_ = changes_->changes_of(serial);
  serial_ = serial;
  decode(page);
  page.appendable = appendable(page.entries);
  return true;
}

void PageFeed::decode(RestoredPage& page) {
  if (page.to == nullptr) return;
  if (page.to->list) throw_senseless(file_, page.offset);
  std::vector<RestoredEntry>& decoded = merging_ == nullptr ? page.entries : decoded_;
  decoded.clear();
  if (!restorer_.decode_page(page.payload, *page.to, decoded)) throw_senseless(file_, page.offset);
  if (merging_ == nullptr) return;
  for (const RestoredEntry& entry : decoded_) {
    merge_until(&entry.key, page.entries);
    merge(entry, page.entries);
  }
}

// What was put under keys below `end` that were not there before; up to some entries, if it is null.
void PageFeed::merge_until(const ByteView* end, std::vector<RestoredEntry>& entries) {
  for (const KeyRecord* change = merging_->front(); change != nullptr; change = merging_->front()) {
    if (end != nullptr ? !(change->entry.key < *end) : entries.size() == kEntriesAtATime) return;
    if (change->kind == LogKind::kPut) {
      entries.push_back(change->entry);
      entries.back().hash = restorer_.hash_of(change->entry.key);
    }
    merging_->pop();
  }
}

// An entry that was there before, as it is now.
void PageFeed::merge(RestoredEntry entry, std::vector<RestoredEntry>& entries) {
  const KeyRecord* const change = merging_->front();
  if (change == nullptr || change->entry.key != entry.key) return entries.push_back(entry);
  if (change->kind == LogKind::kPut) {
    entries.push_back(change->entry);
    entries.back().hash = entry.hash;
  } else if (change->kind == LogKind::kDue) {
    entry.due_ms = change->entry.due_ms;
    entries.push_back(entry);
  }
  merging_->pop();
}

// ---- Reading ahead ----

PageQueue::PageQueue(PageFeed& feed, bool ahead) : feed_(feed) {
  if (!ahead) return;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {  // no thread to be had
  }
}

PageQueue::~PageQueue() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  moved_.notify_all();
  thread_.join();
}

void PageQueue::run() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    moved_.wait(lock, [&] { return stopping_ || read_ - taken_ < kPages; });
    if (stopping_) return;
    RestoredPage& page = pages_[read_ % kPages];
    lock.unlock();
    bool more = false;
    std::exception_ptr failure;
    try {
      more = feed_.next(page);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    read_ += more ? 1 : 0;
    failure_ = failure;
    ended_ = !more;
    moved_.notify_all();
    if (ended_) return;
  }
}

const RestoredPage* PageQueue::next() {
  if (!thread_.joinable()) return feed_.next(pages_[0]) ? pages_.data() : nullptr;
  std::unique_lock lock(mutex_);
  taken_ += started_ ? 1 : 0;
  started_ = true;
  moved_.notify_all();
  moved_.wait(lock, [&] { return ended_ || read_ > taken_; });
  if (read_ > taken_) return &pages_[taken_ % kPages];
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return nullptr;
}

}  // namespace kv::persist
