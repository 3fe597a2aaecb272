#include "persist/inspect.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "kv_storage/error.hpp"
#include "persist/files.hpp"
#include "persist/restore.hpp"
#include "persist/survey.hpp"

namespace kv::persist {
namespace {

constexpr std::uint64_t kNoMagic = 0;

[[nodiscard]] std::uint64_t magic_of(InspectedFile::Kind kind) noexcept {
  switch (kind) {
    case InspectedFile::Kind::kLog:
      return kLogMagic;
    case InspectedFile::Kind::kCheckpoint:
      return kCheckpointMagic;
    case InspectedFile::Kind::kLoad:
      return kLoadMagic;
    case InspectedFile::Kind::kOther:
      break;
  }
  return kNoMagic;
}

class Inspector {
 public:
  Inspector(int directory, const std::string& path) : directory_(directory), path_(path) {}

  Inspection run() {
    found_.path = path_;
    found_.format = kFormatVersion;
    listing_ = list_directory(directory_, path_);
    read_manifest();
    if (manifest_) {
      judge_checkpoint();
      for (const Epoch& epoch : manifest_->epochs) judge_epoch(epoch);
      for (const LoadRecord& load : loads_) judge_load(load);
    }
    for (const std::string& name : listing_.names) {
      if (name != kManifestName) found_.files.push_back(look_at(name));
    }
    return std::move(found_);
  }

 private:
  void read_manifest() {
    try {
      manifest_ = Manifest::read(directory_, path_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCorrupt) throw;
      found_.damage.push_back({kManifestName, 0, 0, std::nullopt, std::nullopt, error.what()});
      return;
    }
    if (!manifest_) {
      const bool has_data = !listing_.segments.empty() || !listing_.checkpoints.empty();
      if (has_data) found_.damage.push_back({kManifestName, 0, 0, std::nullopt, std::nullopt, "the file is missing"});
      return;
    }
    InspectedManifest& told = found_.manifest.emplace();
    told.bytes = manifest_->encode().size();
    told.seed = manifest_->seed;
    told.next = manifest_->next;
    told.serial = manifest_->serial;
    told.checkpoint = manifest_->checkpoint;
    told.checkpoint_parts = manifest_->checkpoint_parts;
    for (const Epoch& epoch : manifest_->epochs) {
      for (std::uint32_t part = 0; part < epoch.logs.size(); ++part) {
        told.logs.push_back({epoch.number, part, epoch.logs[part].segment, epoch.logs[part].position});
      }
    }
  }

  void judge_checkpoint() {
    for (std::uint32_t part = 0; manifest_->checkpoint != 0 && part < manifest_->checkpoint_parts; ++part) {
      const std::string name = CheckpointName{manifest_->checkpoint, part}.text();
      in_force_.insert(name);
      survey_whole(
          directory_, path_, name, kCheckpointMagic, [&](const Record& record, auto&&...) { see(record); },
          found_.damage);
    }
  }
  void judge_epoch(const Epoch& epoch) {
    for (std::uint32_t part = 0; part < epoch.logs.size(); ++part) {
      const auto numbers = listing_.segments_of(epoch.number, part);
      for (const std::uint64_t number : numbers) {
        if (number >= epoch.logs[part].segment) in_force_.insert(LogName{epoch.number, part, number}.text());
      }
      const bool torn = survey_log(
          directory_, path_, epoch.number, part, epoch.logs[part], numbers,
          [&](const Record& record, auto&&...) { see(record); }, found_.damage);
      found_.torn_logs += torn ? 1 : 0;
    }
  }
  void see(const Record& record) {
    (void)names_.apply(record.kind, record.payload);
    if (record.kind != LogKind::kLoad) return;
    if (const auto load = decode_load(record.payload)) loads_.push_back(*load);
  }
  void judge_load(const LoadRecord& load) {
    const std::string name = LoadName{load.file}.text();
    if (listing_.holds(name)) in_force_.insert(name);
    if (!names_.collections().contains(load.serial)) return;  // dropped since
    survey_whole(
        directory_, path_, name, kLoadMagic, [](auto&&...) {}, found_.damage);
  }

  [[nodiscard]] InspectedFile look_at(const std::string& name) const {
    InspectedFile file;
    file.name = name;
    file.in_force = in_force_.contains(name);
    if (LogName::parse(name)) file.kind = InspectedFile::Kind::kLog;
    if (CheckpointName::parse(name)) file.kind = InspectedFile::Kind::kCheckpoint;
    if (LoadName::parse(name)) file.kind = InspectedFile::Kind::kLoad;
    if (file.kind == InspectedFile::Kind::kOther) return file;
    try {
      read(file);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCorrupt) throw;  // it is gone since: a store in use
    }
    return file;
  }
  void read(InspectedFile& told) const {
    const InputFile file(directory_, path_, told.name, magic_of(told.kind), InputFile::Trust::kDamaged);
    const FileHeader& header = file.header();
    told.bytes = file.bytes();
    told.blank = file.blank();
    if (told.blank) return;
    told.sound_header = file.header_damage().empty();
    told.format = header.version;
    told.part = header.part;
    told.epoch = header.epoch;
    told.number = header.number;
    told.first = header.first;
    const FileSurvey survey = survey_file(file, told.name, kFileHeaderBytes, [&](const Record& record, auto&&...) {
      ++told.records[name_of(record.kind)];
      told.entries += entries_of(record);
    });
    told.gaps = survey.gaps.size();
    told.torn = survey.torn;
    told.end = survey.end;
    told.end_position = header.first + (survey.end - kFileHeaderBytes);
  }

  int directory_;
  const std::string& path_;
  DirectoryListing listing_;
  std::optional<Manifest> manifest_;
  NameHistory names_;
  std::vector<LoadRecord> loads_;
  std::set<std::string> in_force_;
  Inspection found_;
};

}  // namespace

std::vector<std::uint64_t> DirectoryListing::segments_of(std::uint64_t epoch, std::uint32_t part) const {
  const auto found = segments.find({epoch, part});
  return found == segments.end() ? std::vector<std::uint64_t>() : found->second;
}

bool DirectoryListing::holds(const std::string& name) const {
  return std::binary_search(names.begin(), names.end(), name);
}

DirectoryListing list_directory(int directory, const std::string& path) {
  DirectoryListing listing;
  for (std::string& name : names_in(directory, path)) {
    if (name == "." || name == ".." || name == "LOCK") continue;
    if (const auto log = LogName::parse(name)) {
      listing.segments[{log->epoch, log->part}].push_back(log->number);
    } else if (const auto checkpoint = CheckpointName::parse(name)) {
      listing.checkpoints[checkpoint->number].push_back(checkpoint->part);
    }
    listing.names.push_back(std::move(name));
  }
  for (auto& [log, numbers] : listing.segments) std::sort(numbers.begin(), numbers.end());
  for (auto& [number, parts] : listing.checkpoints) std::sort(parts.begin(), parts.end());
  std::sort(listing.names.begin(), listing.names.end());
  return listing;
}

std::string name_of(LogKind kind) {
  switch (kind) {
    case LogKind::kPut:
      return "put";
    case LogKind::kErase:
      return "erase";
    case LogKind::kDue:
      return "due";
    case LogKind::kClear:
      return "clear";
    case LogKind::kKeyType:
      return "key type";
    case LogKind::kCategory:
      return "category";
    case LogKind::kCreate:
      return "create";
    case LogKind::kDrop:
      return "drop";
    case LogKind::kRename:
      return "rename";
    case LogKind::kLoad:
      return "load";
    case LogKind::kListEdit:
      return "list edit";
    case LogKind::kListPage:
      return "list page";
    case LogKind::kListEnd:
      return "list end";
    case LogKind::kBegin:
      return "begin";
    case LogKind::kPage:
      return "page";
    case LogKind::kEnd:
      return "end";
  }
  return "kind " + std::to_string(static_cast<int>(kind));
}

Inspection inspect(int directory, const std::string& path) { return Inspector(directory, path).run(); }

}  // namespace kv::persist
