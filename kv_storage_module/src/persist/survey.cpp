#include "persist/survey.hpp"

#include <algorithm>
#include <utility>

#include "collections/list_records.hpp"
#include "kv_storage/error.hpp"
#include "persist/files.hpp"
#include "persist/log_reader.hpp"

namespace kv::persist {
namespace {

// If the lengths that stand in the damaged records lead from one end to the other, they are right.
[[nodiscard]] std::optional<std::uint64_t> count_records(const InputFile& file, std::uint64_t begin,
                                                         std::uint64_t end) {
  std::uint64_t records = 0;
  std::uint64_t at = begin;
  while (at < end && end - at >= sizeof(RecordHeader)) {
    RecordHeader header{};
    read_whole(file.fd(), file.path(), &header, sizeof header, at);
    if (header.payload_bytes() > end - at) return std::nullopt;
    at += record_bytes(header.payload_bytes());
    ++records;
  }
  return at == end ? std::optional(records) : std::nullopt;
}

[[nodiscard]] FileDamage damage_of(const std::string& name, const Gap& gap) {
  return {name, gap.begin, gap.end - gap.begin, gap.records, std::nullopt, "no intact record is here"};
}

[[nodiscard]] FileDamage missing(const std::string& name) {
  return {name, 0, 0, std::nullopt, std::nullopt, "the file is missing"};
}

// The file, even if its header is damaged. None = it cannot be read at all, and `damage` says so.
[[nodiscard]] std::optional<InputFile> open_damaged(int directory, const std::string& path, const std::string& name,
                                                    std::uint64_t magic, std::vector<FileDamage>& damage) {
  try {
    InputFile file(directory, path, name, magic, InputFile::Trust::kDamaged);
    if (!file.header_damage().empty()) {
      damage.push_back(
          {name, 0, std::min(file.bytes(), kFileHeaderBytes), std::nullopt, std::nullopt, file.header_damage()});
    }
    return file;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) throw;
    damage.push_back(missing(name));
    return std::nullopt;
  }
}

// A log of which some is damaged.
class DamagedLog {
 public:
  DamagedLog(int directory, const std::string& path, std::uint64_t epoch, std::uint32_t part, const VisitRecord& visit,
             std::vector<FileDamage>& damage)
      : directory_(directory), path_(path), epoch_(epoch), part_(part), visit_(visit), damage_(damage) {}

  void run(const LogStart& start, const std::vector<std::uint64_t>& numbers) {
    position_ = start.position;
    std::uint64_t expected = start.segment;
    before_ = name_of(start.segment);
    if ((numbers.empty() || numbers.back() < start.segment) && start.position > 0)
      damage_.push_back(missing(name_of(start.segment)));
    for (const std::uint64_t number : numbers) {
      if (number < start.segment) continue;
      for (; expected < number; ++expected) {
        damage_.push_back(missing(name_of(expected)));
        position_ = kUnknown;
      }
      ++expected;
      read(number, number == start.segment);
    }
  }

 private:
  static constexpr std::uint64_t kUnknown = UINT64_MAX;

  [[nodiscard]] std::string name_of(std::uint64_t number) const { return LogName{epoch_, part_, number}.text(); }

  void read(std::uint64_t number, bool is_first) {
    const std::string name = name_of(number);
    const auto file = open_damaged(directory_, path_, name, kLogMagic, damage_);
    if (!file || file->blank()) return;
    const std::uint64_t first = file->header().first;
    const bool sound = file->header_damage().empty();
    if (sound && position_ != kUnknown && first > position_) {
      damage_.push_back({before_, before_end_, first - position_, std::nullopt, std::nullopt,
                         "the log goes on behind this place, in '" + name + "'"});
    }
    std::uint64_t offset = kFileHeaderBytes;
    if (is_first && sound && first <= position_ && position_ - first <= file->bytes() - kFileHeaderBytes) {
      offset += position_ - first;
    }
    const FileSurvey survey = survey_file(*file, name, offset, visit_);
    for (const Gap& gap : survey.gaps) damage_.push_back(damage_of(name, gap));
    if (!sound && survey.records == 0) damage_.back().bytes = file->bytes();
    position_ = sound ? first + (survey.end - kFileHeaderBytes) : kUnknown;
    before_ = name;
    before_end_ = survey.end;
  }

  int directory_;
  const std::string& path_;
  std::uint64_t epoch_;
  std::uint32_t part_;
  const VisitRecord& visit_;
  std::vector<FileDamage>& damage_;
  std::uint64_t position_ = 0;  // where the log goes on
  std::string before_;          // the segment read last, and where it ended
  std::uint64_t before_end_ = kFileHeaderBytes;
};

// Where a log begins of which nobody knows.
[[nodiscard]] LogStart first_of(int directory, const std::string& path, std::uint64_t epoch, std::uint32_t part,
                                const std::vector<std::uint64_t>& numbers) {
  LogStart start;
  if (numbers.empty()) return start;
  start.segment = numbers.front();
  std::vector<FileDamage> told_later;
  const auto file = open_damaged(directory, path, LogName{epoch, part, start.segment}.text(), kLogMagic, told_later);
  if (file && !file->blank()) start.position = file->header().first;
  return start;
}

}  // namespace

std::uint64_t entries_of(const Record& record) noexcept {
  PayloadReader reader(record.payload);
  if (record.kind == LogKind::kListPage) return reader.number<ListPageFront>().positions;
  if (record.kind != LogKind::kPage) return 0;
  (void)reader.number<std::uint32_t>();
  return reader.number<std::uint32_t>();
}

FileSurvey survey_file(const InputFile& file, const std::string& name, std::uint64_t offset, const VisitRecord& visit) {
  FileSurvey survey;
  survey.end = offset;
  RecordReader reader(file, offset);
  Record record{};
  for (;;) {
    const std::uint64_t at = reader.offset();
    const RecordReader::Step step = reader.next(record);
    if (step == RecordReader::Step::kRecord) {
      visit(record, name, at);
      ++survey.records;
      survey.end = reader.offset();
      continue;
    }
    survey.torn = step == RecordReader::Step::kBad;
    if (!reader.seek_record(record)) return survey;
    survey.gaps.push_back({at, reader.offset(), count_records(file, at, reader.offset())});
  }
}

void survey_whole(int directory, const std::string& path, const std::string& name, std::uint64_t magic,
                  const VisitRecord& visit, std::vector<FileDamage>& damage) {
  const std::size_t damage_before = damage.size();
  const auto file = open_damaged(directory, path, name, magic, damage);
  if (!file || file->bytes() < kFileHeaderBytes) return;
  std::uint64_t found = 0;
  std::optional<std::uint64_t> entries;  // as the last record says
  std::uint64_t end = 0;
  const FileSurvey survey =
      survey_file(*file, name, kFileHeaderBytes, [&](const Record& record, const std::string&, std::uint64_t offset) {
        found += entries_of(record);
        if (record.kind == LogKind::kEnd) {
          PayloadReader reader(record.payload);
          entries = reader.number<std::uint64_t>();
          end = offset + record_bytes(record.payload.size());
        }
        visit(record, name, offset);
      });
  for (const Gap& gap : survey.gaps) damage.push_back(damage_of(name, gap));
  if (!entries) {
    damage.push_back({name, survey.end, file->bytes() - survey.end, std::nullopt, std::nullopt,
                      "no intact record is here, and the last one is missing"});
  } else if (end != file->bytes()) {
    damage.push_back({name, end, file->bytes() - end, std::nullopt, std::nullopt, "something follows the end"});
  }
  if (entries && damage.size() > damage_before) damage.back().entries = *entries - std::min(*entries, found);
}

bool survey_log(int directory, const std::string& path, std::uint64_t epoch, std::uint32_t part,
                std::optional<LogStart> start, const std::vector<std::uint64_t>& numbers, const VisitRecord& visit,
                std::vector<FileDamage>& damage) {
  const LogStart from = start ? *start : first_of(directory, path, epoch, part, numbers);
  LogExtent extent;
  try {
    extent = read_log(directory, path, epoch, part, from, numbers, [](const Record&) {});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) throw;
    const std::size_t damage_before = damage.size();
    DamagedLog(directory, path, epoch, part, visit, damage).run(from, numbers);
    if (damage.size() == damage_before) {
      damage.push_back({LogName{epoch, part, from.segment}.text(), 0, 0, std::nullopt, std::nullopt, error.what()});
    }
    return false;
  }
  for (const LogSpan& span : extent.spans) {
    const InputFile file(directory, path, span.name, kLogMagic);
    RecordReader reader(file, span.begin);
    Record record{};
    for (std::uint64_t at = span.begin; at < span.end; at = reader.offset()) {
      if (reader.next(record) != RecordReader::Step::kRecord) break;  // of a store in use
      visit(record, span.name, at);
    }
  }
  return extent.torn;
}

}  // namespace kv::persist
