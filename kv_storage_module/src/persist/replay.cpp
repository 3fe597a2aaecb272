#include "persist/replay.hpp"

#include <algorithm>
#include <iterator>

#include "index/key_sort.hpp"
#include "kv_storage/error.hpp"
#include "persist/threads.hpp"

namespace kv::persist {
namespace {

constexpr std::uint64_t kStretchBytes = std::uint64_t{512} << 20;

}  // namespace

void Replay::fail_senseless(const std::vector<std::unique_ptr<SpanImage>>& images, const char* payload) const {
  const auto found =
      std::find_if(images.begin(), images.end(), [&](const auto& image) { return image->contains(payload); });
  const std::string name = found == images.end() ? "" : "/" + (*found)->name();
  throw Error(ErrorCode::kCorrupt, "a record in '" + path_ + name + "' whose checksum fits makes no sense");
}

// Of the next stretch, about as long as one another.
std::vector<Replay::Piece> Replay::cut() {
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  while (count < spans_.size() && (count == 0 || bytes + spans_[count].end <= kStretchBytes)) {
    bytes += spans_[count++].end;
  }
  std::vector<Piece> pieces(1);
  if (!images_.empty()) {  // the rest of the span in which the stretch before ended
    pieces[0].images.push_back(std::move(images_.back()));
    images_.clear();
  }
  std::uint64_t cut = 0;
  for (std::size_t i = 0; i < count; ++i) {
    cut += spans_[i].end;
    Piece& piece = pieces.back();
    piece.spans = {piece.spans.empty() ? &spans_[i] : piece.spans.data(), piece.spans.size() + 1};
    if (i + 1 < count && cut * processors_ >= bytes * pieces.size()) pieces.emplace_back();
  }
  return pieces;
}

bool Replay::gather() {
  std::vector<Piece> pieces = cut();
  for_each_on_threads(pieces.size(), [&](std::size_t i) { gather(pieces[i]); });
  bool found = false;
  for (Piece& piece : pieces) {
    std::move(piece.images.begin(), piece.images.end(), std::back_inserter(images_));
    for (auto& [serial, run] : piece.runs) changes_[serial].add(std::move(run));
    others_.insert(others_.end(), piece.others.begin(), piece.others.end());
    found = found || piece.records != 0;
    spans_ = spans_.subspan(piece.opened);
    last_ = piece.last;
    if (last_) break;  // what is behind is taken in again
  }
  for (auto& [serial, changes] : changes_) changes.pop();
  return found || !spans_.empty();
}

void Replay::gather(Piece& piece) const {
  while (!piece.last) {
    Record record{};
    if (!piece.images.empty() && piece.images.back()->next(record)) {
      ++piece.records;
      gather(piece, record);
    } else if (piece.opened < piece.spans.size()) {
      piece.images.push_back(std::make_unique<SpanImage>(directory_, path_, piece.spans[piece.opened++]));
    } else {
      break;
    }
  }
  KeySorter sorter;
  for (auto& [serial, run] : piece.runs) run.sort(sorter);
}

void Replay::gather(Piece& piece, const Record& record) const {
  if (record.kind == LogKind::kClear) {
    piece.last = record;
  } else if (!is_about_key(record.kind)) {
    piece.others.push_back(record);
  } else {
    const auto decoded = decode_key_record(record.kind, record.payload);
    if (!decoded) fail_senseless(piece.images, record.payload.data());
    const Restorer::Verdict verdict = restorer_.judge(*decoded);
    if (verdict == Restorer::Verdict::kSenseless) fail_senseless(piece.images, record.payload.data());
    if (verdict == Restorer::Verdict::kApply) {
      piece.runs[decoded->serial].add(record.kind, record.payload, decoded->entry.key);
    }
  }
}

KeyChanges* Replay::changes_of(std::uint32_t serial) {
  const auto found = changes_.find(serial);
  return found == changes_.end() ? nullptr : &found->second;
}

void Replay::apply() {
  const auto apply_one = [&](const Record& record) {
    if (!restorer_.apply(record.kind, record.payload)) fail_senseless(images_, record.payload.data());
  };
  for (const Record& record : others_) apply_one(record);
  others_.clear();
  for (auto& [serial, changes] : changes_) {
    if (!restorer_.apply(serial, changes)) fail_senseless(images_, changes.front()->entry.key.data());
  }
  changes_.clear();
  if (last_) apply_one(*last_);
  last_.reset();
}

}  // namespace kv::persist
