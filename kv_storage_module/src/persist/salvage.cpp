#include "persist/salvage.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "collections/categories.hpp"
#include "collections/records.hpp"
#include "index/cursor.hpp"
#include "index/key_index.hpp"
#include "kv_storage/error.hpp"

namespace kv::persist {
namespace {

constexpr std::uint32_t kMostCategories = 1 << 24;  // a code beyond is no code

[[nodiscard]] std::string payload_of_create(std::uint32_t serial, CollectionKind kind, const std::string& name) {
  const NameFront front{serial, static_cast<std::uint8_t>(kind), 0, static_cast<std::uint16_t>(name.size()), 0, 0};
  return std::string(bytes_of(front)) + name;
}
[[nodiscard]] std::string payload_of_rename(std::uint32_t serial, const std::string& name) {
  const std::array<std::uint32_t, 2> words{serial, 0};
  return std::string(bytes_of(words)) + name;
}
[[nodiscard]] std::string payload_of_category(std::uint32_t serial, std::uint32_t column, std::uint32_t code,
                                              const std::optional<std::string>& text) {
  const std::array<std::uint32_t, 3> words{serial, column, code};
  return std::string(bytes_of(words)) + (text ? *text : "(lost category " + std::to_string(code) + ")");
}

[[nodiscard]] bool is_about_names(LogKind kind) noexcept {
  return kind == LogKind::kCreate || kind == LogKind::kDrop || kind == LogKind::kRename || kind == LogKind::kLoad;
}

[[nodiscard]] std::uint32_t serial_of(const Record& record) noexcept {
  PayloadReader reader(record.payload);
  return reader.number<std::uint32_t>();
}

// Of the first entry that a record has; kNone if it has none.
[[nodiscard]] ValueType type_of(const Record& record) noexcept {
  PayloadReader reader(record.payload);
  std::uint8_t type = 0;
  if (record.kind == LogKind::kPut) type = reader.number<KeyFront>().type;
  if (record.kind == LogKind::kPage) {
    (void)reader.number<std::uint64_t>();
    type = reader.number<PageEntry>().type;
  }
  return static_cast<ValueType>(type & ~kLoggedDue);
}

// Those at the end that follow one another.
[[nodiscard]] std::vector<std::uint64_t> last_run(const std::vector<std::uint64_t>& numbers) {
  std::size_t first = numbers.empty() ? 0 : numbers.size() - 1;
  while (first > 0 && numbers[first - 1] + 1 == numbers[first]) --first;
  return {numbers.begin() + static_cast<std::ptrdiff_t>(first), numbers.end()};
}

}  // namespace

// ---- What there is ----

Salvage::Salvage(int directory, std::string path) : directory_(directory), path_(std::move(path)) {
  listing_ = list_directory(directory_, path_);
  plan();
  const VisitRecord visit = [this](const Record& record, const std::string& name, std::uint64_t offset) {
    note(record, name, offset);
  };
  read_checkpoint(visit, true);
  for (EpochPlan& epoch : epochs_) {
    for (std::uint32_t part = 0; part < epoch.segments.size(); ++part) {
      const VisitRecord visit_log = [&](const Record& record, const std::string& name, std::uint64_t offset) {
        note(record, name, offset);
        if (record.kind != LogKind::kLoad) return;
        if (const auto load = decode_load(record.payload)) epoch.loads.push_back(*load);
      };
      read_epoch(epoch, part, visit_log, true);
    }
  }
  name_the_nameless();
  make_names_unique();
  for (const EpochPlan& epoch : epochs_) {
    for (const LoadRecord& load : epoch.loads) read_load(load, visit, report_.lost);
  }
  report_.collections = names_.collections().size() + 1;
}

void Salvage::plan() {
  std::optional<Manifest> manifest;
  std::string what = "the file is missing";
  try {
    manifest = Manifest::read(directory_, path_);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) throw;
    what = error.what();
  }
  if (!manifest) {
    if (listing_.segments.empty() && listing_.checkpoints.empty()) {
      throw Error(ErrorCode::kNotFound, "there are no files of a store in '" + path_ + "'");
    }
    report_.lost.push_back({kManifestName, 0, 0, std::nullopt, std::nullopt, what});
    plan_without_manifest();
    return;
  }
  has_seed_ = true;
  seed_ = manifest->seed;
  checkpoint_ = manifest->checkpoint;
  checkpoint_parts_ = manifest->checkpoint_parts;
  names_.reserve_serials(manifest->serial);
  if (checkpoint_ != 0) parts_ = checkpoint_parts_;
  for (const Epoch& epoch : manifest->epochs) {
    EpochPlan& planned = epochs_.emplace_back();
    planned.number = epoch.number;
    for (std::uint32_t part = 0; part < epoch.logs.size(); ++part) {
      planned.starts.emplace_back(epoch.logs[part]);
      planned.segments.push_back(listing_.segments_of(epoch.number, part));
    }
    parts_ = static_cast<std::uint32_t>(epoch.logs.size());
  }
}

void Salvage::plan_without_manifest() {
  names_damaged_ = true;
  std::size_t most = 0;
  for (const auto& [number, parts] : listing_.checkpoints) most = std::max(most, parts.size());
  for (const auto& [number, parts] : listing_.checkpoints) {
    if (parts.size() == most && parts.back() + 1 == most) checkpoint_ = number;  // ascending: the newest
  }
  std::uint64_t first_epoch = 0;
  if (checkpoint_ != 0) {
    checkpoint_parts_ = static_cast<std::uint32_t>(most);
    parts_ = checkpoint_parts_;
    const InputFile file(directory_, path_, CheckpointName{checkpoint_, 0}.text(), kCheckpointMagic,
                         InputFile::Trust::kDamaged);
    first_epoch = file.header().epoch;
    report_.notes.push_back("checkpoint " + std::to_string(checkpoint_) + " was taken for the one in force");
  }
  for (const auto& [log, numbers] : listing_.segments) {  // ascending by epoch, then part
    const auto [number, part] = log;
    if (number < first_epoch || part >= kMaxParts) continue;
    if (epochs_.empty() || epochs_.back().number != number) epochs_.emplace_back().number = number;
    EpochPlan& planned = epochs_.back();
    planned.starts.resize(part + 1);
    planned.segments.resize(part + 1);
    planned.segments[part] = last_run(numbers);
    if (planned.segments[part].size() != numbers.size()) {
      report_.notes.push_back("segments of the log before '" +
                              LogName{number, part, planned.segments[part].front()}.text() +
                              "' were not read: it does not follow them");
    }
    parts_ = std::max(parts_, part + 1);
  }
  // Parts that have logged nothing have no file.
  for (EpochPlan& epoch : epochs_) {
    epoch.starts.resize(parts_);
    epoch.segments.resize(parts_);
  }
}

void Salvage::read_checkpoint(const VisitRecord& visit, bool tell) {
  for (std::uint32_t part = 0; part < checkpoint_parts_; ++part) {
    std::vector<FileDamage> damage;
    survey_whole(directory_, path_, CheckpointName{checkpoint_, part}.text(), kCheckpointMagic, visit, damage);
    if (!tell) continue;
    names_damaged_ = names_damaged_ || (part == 0 && !damage.empty());
    report_.lost.insert(report_.lost.end(), damage.begin(), damage.end());
  }
}

void Salvage::read_epoch(const EpochPlan& epoch, std::uint32_t part, const VisitRecord& visit, bool tell) {
  std::vector<FileDamage> damage;
  (void)survey_log(directory_, path_, epoch.number, part, epoch.starts[part], epoch.segments[part], visit, damage);
  if (!tell) return;
  names_damaged_ = names_damaged_ || (part == 0 && !damage.empty());
  report_.lost.insert(report_.lost.end(), damage.begin(), damage.end());
}

void Salvage::read_load(const LoadRecord& load, const VisitRecord& visit, std::vector<FileDamage>& damage) {
  if (!names_.collections().contains(load.serial)) return;  // dropped since
  survey_whole(directory_, path_, LoadName{load.file}.text(), kLoadMagic, visit, damage);
}

void Salvage::note(const Record& record, const std::string& name, std::uint64_t offset) {
  if (!names_.apply(record.kind, record.payload)) {
    report_.lost.push_back({name, offset, record_bytes(record.payload.size()), 1, std::nullopt,
                            "a record whose checksum fits makes no sense"});
  }
  note_serial(record);
  PayloadReader reader(record.payload);
  if (record.kind == LogKind::kCategory) {
    const auto serial = reader.number<std::uint32_t>();
    const auto column = reader.number<std::uint32_t>();
    const auto code = reader.number<std::uint32_t>();
    if (!reader.ok() || code >= kMostCategories) return;
    Texts& texts = texts_[{serial, column}];
    if (texts.size() <= code) texts.resize(code + 1);
    texts[code] = std::string(reader.rest());
  }
  if (record.kind == LogKind::kDrop) gone_.insert(reader.number<std::uint32_t>());
  if (record.kind == LogKind::kRename || record.kind == LogKind::kLoad) {
    (void)reader.take(record.kind == LogKind::kLoad ? sizeof(std::uint64_t) : sizeof(std::uint32_t));
    gone_.insert(reader.number<std::uint32_t>());
  }
}

void Salvage::note_serial(const Record& record) {
  if (is_about_names(record.kind) || record.kind == LogKind::kEnd) return;
  SeenSerial& seen = seen_[serial_of(record)];
  ++seen.records;
  switch (record.kind) {
    case LogKind::kKeyType:
      seen.ordered = true;
      break;
    case LogKind::kCategory:
      seen.no_plain = true;
      break;
    case LogKind::kPut:
    case LogKind::kPage:
      seen.no_plain = seen.no_plain || type_of(record) == ValueType::kRecord;
      break;
    case LogKind::kListEdit:
    case LogKind::kListPage:
    case LogKind::kListEnd:
      seen.list = true;
      break;
    case LogKind::kErase:
    case LogKind::kDue:
    case LogKind::kClear:
    case LogKind::kBegin:
      break;
    default:
      seen.no_plain = true;
  }
}

void Salvage::name_the_nameless() {
  if (!names_damaged_) return;  // then they were dropped before
  for (const auto& [serial, seen] : seen_) {
    if (serial == 0 || gone_.contains(serial) || names_.collections().contains(serial)) continue;
    const std::string number = std::to_string(serial);
    if (seen.no_plain) {
      report_.notes.push_back(std::to_string(seen.records) + " records of collection number " + number +
                              " mean nothing without its schema, which is lost with its name");
      continue;
    }
    const std::string name = "lost-" + number;
    const CollectionKind kind = seen.list      ? CollectionKind::kList
                                : seen.ordered ? CollectionKind::kMap
                                               : CollectionKind::kHash;
    (void)names_.apply(LogKind::kCreate, payload_of_create(serial, kind, name));
    report_.notes.push_back("the name of collection number " + number + " is lost, it is '" + name + "' now");
  }
}

// A lost drop or rename leaves two collections with one name: the younger one keeps it.
void Salvage::make_names_unique() {
  std::map<std::string, std::uint32_t> owners;
  std::vector<std::pair<std::uint32_t, std::string>> renamed;
  for (const auto& [serial, named] : names_.collections()) {
    const auto [owner, is_new] = owners.try_emplace(named.name, serial);
    if (is_new) continue;
    renamed.emplace_back(owner->second, named.name);
    owner->second = serial;
  }
  for (const auto& [serial, name] : renamed) {
    const std::string other = name.substr(0, 200) + "-" + std::to_string(serial);
    (void)names_.apply(LogKind::kRename, payload_of_rename(serial, other));
    report_.notes.push_back("there were two collections '" + name + "', the older one is '" + other + "' now");
  }
}

// ---- Putting it into an arena ----

void Salvage::restore(Arena& arena) {
  arena_ = &arena;
  if (has_seed_) arena.header().hash_seed = seed_;
  collections_ = make_collections(arena, names_);
  {
    Restorer restorer(arena, collections_, {0, 1, true});
    restore_texts(restorer);
  }
  for (std::uint32_t part = 0; part < checkpoint_parts_; ++part) {
    Restorer restorer(arena, collections_, {part, checkpoint_parts_, true});
    std::vector<FileDamage> told;
    survey_whole(
        directory_, path_, CheckpointName{checkpoint_, part}.text(), kCheckpointMagic,
        [&](const Record& record, const std::string& name, std::uint64_t offset) {
          apply(restorer, record, name, offset, checkpoint_parts_);
        },
        told);
  }
  for (const EpochPlan& epoch : epochs_) {
    for (const LoadRecord& load : epoch.loads) {
      Restorer restorer(arena, collections_, {0, 1, true});
      std::vector<FileDamage> told;
      const VisitRecord visit = [&](const Record& record, const std::string& name, std::uint64_t offset) {
        apply(restorer, record, name, offset, 1);
      };
      read_load(load, visit, told);
    }
    const auto parts = static_cast<std::uint32_t>(epoch.segments.size());
    for (std::uint32_t part = 0; part < parts; ++part) {
      Restorer restorer(arena, collections_, {part, parts, true});
      const VisitRecord visit = [&](const Record& record, const std::string& name, std::uint64_t offset) {
        apply(restorer, record, name, offset, parts);
      };
      read_epoch(epoch, part, visit, false);
    }
  }
  for (const auto& [serial, named] : names_.collections()) {
    const RestoredCollection& to = collections_.at(serial);
    if (!to.list) continue;
    ListRestorer(arena, to.record, *to.list, true).finish();
    for (std::string& note : to.list->losses(named.name)) report_.notes.push_back(std::move(note));
  }
  if (!report_.lost.empty()) {
    for (const auto& [serial, named] : names_.collections()) {
      if (named.kind == CollectionKind::kRecordHash) fill_up_categories(serial);
    }
  }
  for (const std::uint32_t serial : cleared_) {
    const auto named = names_.collections().find(serial);
    report_.notes.push_back("what clear() took from " +
                            (named == names_.collections().end() ? "the root" : "'" + named->second.name + "'") +
                            " may be back: which part a key was in is lost with the manifest");
  }
}

void Salvage::apply(Restorer& restorer, const Record& record, const std::string& name, std::uint64_t offset,
                    std::uint32_t parts) {
  if (record.kind == LogKind::kCategory) return;  // all are there already
  if (record.kind == LogKind::kClear && !has_seed_ && parts > 1) {
    const std::uint32_t serial = serial_of(record);
    const auto named = names_.collections().find(serial);
    if (serial == 0 || (named != names_.collections().end() && named->second.kind == CollectionKind::kHash)) {
      cleared_.insert(serial);
      return;
    }
  }
  if (restorer.apply(record.kind, record.payload)) return;
  report_.lost.push_back({name, offset, record_bytes(record.payload.size()), 1, std::nullopt,
                          "a record whose checksum fits makes no sense"});
}

// In the order of their codes, which they get by it.
void Salvage::restore_texts(Restorer& restorer) {
  for (const auto& [place, texts] : texts_) {
    const auto [serial, column] = place;
    std::uint64_t lost = 0;
    for (std::uint32_t code = 0; code < texts.size(); ++code) {
      lost += texts[code] ? 0 : 1;
      if (!restorer.apply(LogKind::kCategory, payload_of_category(serial, column, code, texts[code]))) break;
    }
    if (lost != 0 && names_.collections().contains(serial)) {
      report_.notes.push_back(std::to_string(lost) + " categories of '" + names_.collections().at(serial).name +
                              "' have lost their texts");
    }
  }
}

// A code without a text must not become that of the next text that is added.
void Salvage::fill_up_categories(std::uint32_t serial) {
  const RestoredCollection& to = collections_.at(serial);
  const Schema schema = Schema::decode(to.record.schema);
  const Part& part = arena_->part(to.record.home_part);
  std::vector<std::uint64_t> needed(schema.columns().size());  // texts
  std::vector<std::uint64_t> present(schema.columns().size());
  {
    const Part::Lock lock(part);
    const CollectionRoot& root = *find_root(part, to.record.binding);
    const auto dictionaries = categories::dictionaries(part, root);
    for (std::size_t i = 0; i < std::min(present.size(), dictionaries.size()); ++i) present[i] = dictionaries[i].count;
    Cursor cursor(std::nullopt, std::nullopt, nullptr, false);
    std::string last;
    for (bool more = true; more;) {
      const auto page = cursor.collect(part, root.index);
      for (const Ref entry : page) {
        last = key_of(part, entry);
        const std::byte* const record = part.slice() + std::uint64_t{record_of_entry(part, entry).record} * kGranule;
        for (std::size_t i = 0; i < needed.size(); ++i) {
          if (to.category_limits[i] == 0) continue;
          std::uint64_t code = 0;
          std::memcpy(&code, record + schema.columns()[i].offset, schema.columns()[i].bytes);
          if (code != to.category_limits[i]) needed[i] = std::max(needed[i], code + 1);
        }
      }
      more = cursor.advance(page.size(), last);
    }
  }
  Restorer restorer(*arena_, collections_, {});
  for (std::uint32_t column = 0; column < needed.size(); ++column) {
    if (needed[column] <= present[column] || needed[column] > kMostCategories) continue;
    for (std::uint64_t code = present[column]; code < needed[column]; ++code) {
      (void)restorer.apply(LogKind::kCategory,
                           payload_of_category(serial, column, static_cast<std::uint32_t>(code), std::nullopt));
    }
    report_.notes.push_back(std::to_string(needed[column] - present[column]) + " categories of '" +
                            names_.collections().at(serial).name + "' have lost their texts");
  }
}

}  // namespace kv::persist
