// Reading files that may be damaged: every intact record is visited, and what lies between is told. For inspection and
// repair; recovery stops at the first damage instead.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kv_storage/data_directory.hpp"
#include "persist/manifest.hpp"
#include "persist/record_reader.hpp"

namespace kv::persist {

// `offset`: of the record in the file `name`.
using VisitRecord = std::function<void(const Record& record, const std::string& name, std::uint64_t offset)>;

struct Gap {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;                 // an intact record begins here
  std::optional<std::uint64_t> records;  // that were here, if their lengths can still be read
};

struct FileSurvey {
  std::vector<Gap> gaps;
  std::uint64_t records = 0;
  std::uint64_t end = 0;  // behind the last intact record, or where the survey began
  bool torn = false;      // something other than zeros follows
};

// From `offset` on, where a record should begin.
FileSurvey survey_file(const InputFile& file, const std::string& name, std::uint64_t offset, const VisitRecord& visit);

// A checkpoint or load, which is either complete or damaged. Adds to `damage`.
void survey_whole(int directory, const std::string& path, const std::string& name, std::uint64_t magic,
                  const VisitRecord& visit, std::vector<FileDamage>& damage);

// A part's log of one epoch, as recovery reads it (persist/log_reader.hpp), or, if that finds damage, all of it.
// Without `start`, from the first segment there is. Adds to `damage`; true = it ends in something unreadable, as it
// may.
bool survey_log(int directory, const std::string& path, std::uint64_t epoch, std::uint32_t part,
                std::optional<LogStart> start, const std::vector<std::uint64_t>& numbers, const VisitRecord& visit,
                std::vector<FileDamage>& damage);

// How many entries a record of a checkpoint or load has.
[[nodiscard]] std::uint64_t entries_of(const Record& record) noexcept;

}  // namespace kv::persist
