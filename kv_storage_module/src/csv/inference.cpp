#include "csv/inference.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "csv/column_profile.hpp"

namespace kv::csv {
namespace {

using Profiles = std::vector<ColumnProfile>;

constexpr std::uint64_t kRowsBetweenStops = 1024;

// Reads all rows of a range into the profiles; returns how many there are.
std::uint64_t learn_range(const InferenceInput& input, const RowRange& range, const std::vector<FileColumn>& columns,
                          Profiles& profiles, const std::function<bool()>& stopped) {
  RowReader reader(input.source, range, columns.size());
  std::uint64_t rows = 0;
  while (reader.next()) {
    const std::span<const Field> fields = reader.fields();
    try {
      for (std::size_t i = 0; i < fields.size(); ++i) profiles[i].add(fields[i], i, columns[i].column, input.missing);
    } catch (const FieldError& error) {
      throw reader.error_at(fields[error.field].begin, error.what);
    }
    if (++rows % kRowsBetweenStops == 0 && stopped()) break;
  }
  for (ColumnProfile& profile : profiles) profile.finish_range();
  return rows;
}

// One pass over the file with a copy of `profiles` per thread; leaves in `profiles` what all learnt together.
std::uint64_t learn(const InferenceInput& input, const std::vector<FileColumn>& columns,
                    const std::function<Profiles()>& blank, const Workers& workers, const Tick& tick,
                    const RangeDone& done, Profiles& result) {
  std::vector<Profiles> learnt;
  for (unsigned i = 0; i < workers.threads(); ++i) learnt.push_back(blank());
  std::vector<std::uint64_t> rows(input.ranges.size());
  workers.run(input.ranges.size(), tick, [&](unsigned thread, std::size_t index, const Stop& stop) {
    const RowRange& range = input.ranges[index];
    rows[index] = learn_range(input, range, columns, learnt[thread], [&] { return stop(index); });
    done(range);
  });
  result = std::move(learnt.front());
  for (std::size_t thread = 1; thread < learnt.size(); ++thread) {
    for (std::size_t i = 0; i < result.size(); ++i) result[i].merge(learnt[thread][i]);
  }
  return std::accumulate(rows.begin(), rows.end(), std::uint64_t{0});
}

// The narrowest code that leaves the value of all bits set for missing.
std::uint32_t code_bytes(std::size_t texts) noexcept {
  if (texts <= std::numeric_limits<std::uint8_t>::max()) return 1;
  return texts <= std::numeric_limits<std::uint16_t>::max() ? 2 : 4;
}

bool is_category(const ColumnProfile& profile, std::uint64_t rows) noexcept {
  const std::size_t texts = profile.texts().size();
  return !profile.too_many_texts() && (texts <= kSmallDictionary || texts <= rows / 2);
}

Dictionary sorted(const Dictionary& dictionary) {
  std::vector<ByteView> texts = dictionary.texts();
  std::sort(texts.begin(), texts.end());
  Dictionary result;
  for (const ByteView text : texts) (void)result.add(text);
  return result;
}

bool may_be_category(const FileColumn& column, const ColumnProfile& profile) {
  if (column.request == Request::kFixed) return column.is_category();
  if (column.request == Request::kText) return true;
  return column.request == Request::kInfer && profile.type() == ColumnType::kBytes;
}

void decide(FileColumn& file_column, const ColumnProfile& profile, std::uint64_t rows, Dictionary& dictionary) {
  Column& column = file_column.column;
  if (may_be_category(file_column, profile) && (file_column.request == Request::kFixed || is_category(profile, rows))) {
    dictionary = sorted(profile.texts());
    column.type = ColumnType::kCategory;
    column.bytes = code_bytes(dictionary.size());
  } else if (file_column.request != Request::kFixed) {
    column.type = file_column.request == Request::kInfer ? profile.type() : ColumnType::kBytes;
    const std::size_t width = column.type == ColumnType::kBytes ? std::max<std::size_t>(1, profile.longest()) : 8;
    column.bytes = column.type == ColumnType::kBool ? 1 : static_cast<std::uint32_t>(width);
  }
}

}  // namespace

Inferred infer_columns(const InferenceInput& input, std::vector<FileColumn>& columns, const Workers& workers,
                       const Tick& tick, const RangeDone& done) {
  Profiles profiles;
  const auto blank = [&] { return Profiles(columns.begin(), columns.end()); };
  Inferred result;
  result.rows = learn(input, columns, blank, workers, tick, done, profiles);

  // Values that looked like numbers were not collected; a column that proved to be text is read again for them.
  const auto again = [&](std::size_t i) {
    return may_be_category(columns[i], profiles[i]) && !profiles[i].complete() && !profiles[i].too_many_texts();
  };
  std::vector<bool> incomplete(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) incomplete[i] = again(i);
  if (std::find(incomplete.begin(), incomplete.end(), true) != incomplete.end()) {
    const auto texts_only = [&] {
      Profiles second;
      for (const bool wanted : incomplete) {
        second.push_back(wanted ? ColumnProfile::texts_only() : ColumnProfile::nothing());
      }
      return second;
    };
    Profiles second;
    (void)learn(
        input, columns, texts_only, workers, tick, [](const RowRange&) {}, second);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (incomplete[i]) profiles[i] = std::move(second[i]);
    }
  }

  result.dictionaries.resize(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) decide(columns[i], profiles[i], result.rows, result.dictionaries[i]);
  return result;
}

}  // namespace kv::csv
