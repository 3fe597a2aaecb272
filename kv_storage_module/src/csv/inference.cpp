#include "csv/inference.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "csv/column_profile.hpp"

namespace kv::csv {
namespace {

constexpr std::uint64_t kRowsBetweenStops = 1024;

// Reads all rows of a range into the profiles; returns how many there are.
std::uint64_t learn_range(const InferenceInput& input, const RowRange& range, const std::vector<FileColumn>& columns,
                          Profiles& profiles, const std::function<bool()>& stopped) {
  RowReader reader(input.source, range, columns.size());
  std::uint64_t rows = 0;
  while (reader.next()) {
    learn_row(reader.fields(), input, columns, reader, profiles);
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
std::uint32_t code_bytes(std::uint64_t texts) noexcept {
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
  return column.request == Request::kInfer && column.stored && profile.type() == ColumnType::kBytes;
}

void make_category(Column& column, std::uint64_t texts) {
  column.type = ColumnType::kCategory;
  column.bytes = code_bytes(texts);
}

// A column that is no category.
void make_plain(FileColumn& file_column, const ColumnProfile& profile) {
  if (file_column.request == Request::kFixed) return;
  Column& column = file_column.column;
  column.type = file_column.request == Request::kInfer ? profile.type() : ColumnType::kBytes;
  const std::size_t width = column.type == ColumnType::kBytes ? std::max<std::size_t>(1, profile.longest()) : 8;
  column.bytes = column.type == ColumnType::kBool ? 1 : static_cast<std::uint32_t>(width);
}

void decide(FileColumn& column, const ColumnProfile& profile, std::uint64_t rows, Dictionary& dictionary) {
  if (may_be_category(column, profile) && (column.request == Request::kFixed || is_category(profile, rows))) {
    dictionary = sorted(profile.texts());
    make_category(column.column, dictionary.size());
  } else {
    make_plain(column, profile);
  }
}

// A profile that collects texts for each column that `wanted` names, and nothing for the others.
Profiles only_texts(const std::vector<bool>& wanted) {
  Profiles profiles;
  for (const bool wants : wanted) {
    profiles.push_back(wants ? ColumnProfile::texts_only() : ColumnProfile::nothing());
  }
  return profiles;
}

}  // namespace

void learn_row(std::span<const Field> fields, const InferenceInput& input, const std::vector<FileColumn>& columns,
               const RowReader& reader, Profiles& profiles) {
  try {
    for (std::size_t i = 0; i < fields.size(); ++i) profiles[i].add(fields[i], i, columns[i].column, input.missing);
  } catch (const FieldError& error) {
    throw reader.error_at(fields[error.field].begin, error.what);
  }
}

Inferred infer_columns(const InferenceInput& input, std::vector<FileColumn>& columns, const Workers& workers,
                       const Tick& tick, const RangeDone& done) {
  Profiles profiles;
  const auto blank = [&] { return Profiles(columns.begin(), columns.end()); };
  const std::uint64_t rows = learn(input, columns, blank, workers, tick, done, profiles);
  return conclude(input, columns, profiles, rows, workers, tick);
}

Inferred conclude(const InferenceInput& input, std::vector<FileColumn>& columns, Profiles& profiles, std::uint64_t rows,
                  const Workers& workers, const Tick& tick) {
  // Values that looked like numbers were not collected; a column that proved to be text is read again for them.
  std::vector<bool> incomplete(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    incomplete[i] =
        may_be_category(columns[i], profiles[i]) && !profiles[i].complete() && !profiles[i].too_many_texts();
  }
  if (std::find(incomplete.begin(), incomplete.end(), true) != incomplete.end()) {
    Profiles second;
    (void)learn(
        input, columns, [&] { return only_texts(incomplete); }, workers, tick, [](const RowRange&) {}, second);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (incomplete[i]) profiles[i].take_texts(std::move(second[i]));
    }
  }
  Inferred result{.rows = rows, .dictionaries = std::vector<Dictionary>(columns.size())};
  for (std::size_t i = 0; i < columns.size(); ++i) decide(columns[i], profiles[i], rows, result.dictionaries[i]);
  return result;
}

// ---- Guessing ----

namespace {

constexpr std::size_t kPlaces = 32;
constexpr std::size_t kPlaceBytes = 64 * 1024;
constexpr std::size_t kRangesToGuess = 8;

// Reads the first rows of some ranges; returns how many.
std::uint64_t learn_places(const InferenceInput& input, const std::vector<FileColumn>& columns, std::size_t first,
                           std::size_t step, Profiles& profiles) {
  const std::size_t places = std::min(kPlaces, input.ranges.size() / 2);
  std::uint64_t rows = 0;
  for (std::size_t place = first; place < places; place += step) {
    const RowRange& range = input.ranges[place * input.ranges.size() / places];
    RowReader reader(input.source, range, columns.size());
    try {
      while (static_cast<std::size_t>(reader.position() - range.begin) < kPlaceBytes && reader.next()) {
        learn_row(reader.fields(), input, columns, reader, profiles);
        ++rows;
      }
    } catch (const Error&) {  // reported by whoever reads the whole file
    }
    for (ColumnProfile& profile : profiles) profile.finish_range();
  }
  return rows;
}

// How many texts a column has of which two samples show `first` and `second`, together `both`: D. G. Chapman's
// estimate of animals by those that are caught twice (1951).
double estimate(std::uint64_t first, std::uint64_t second, std::uint64_t both) noexcept {
  const std::uint64_t twice = first + second - both;
  return static_cast<double>(first + 1) * static_cast<double>(second + 1) / static_cast<double>(twice + 1) - 1;
}

void guess_column(FileColumn& column, const ColumnProfile& profile, double texts, double rows, Dictionary& dictionary) {
  const auto seen = static_cast<double>(std::max<std::uint32_t>(1, dictionary.size()));
  texts = std::min(std::max(texts, seen), rows);
  const double bytes = texts * static_cast<double>(dictionary.text_bytes()) / seen;
  const bool few = texts <= static_cast<double>(kSmallDictionary) ||
                   (bytes <= static_cast<double>(kMaxDictionaryBytes) && texts <= rows / 2);
  if (may_be_category(column, profile) && (column.request == Request::kFixed || few)) {
    make_category(column.column, static_cast<std::uint64_t>(texts));
  } else {
    dictionary = Dictionary();
    make_plain(column, profile);
  }
}

}  // namespace

std::optional<Guess> guess_columns(const InferenceInput& input, std::vector<FileColumn>& columns) {
  if (input.ranges.size() < kRangesToGuess) return std::nullopt;
  Guess guess{.profiles = Profiles(columns.begin(), columns.end()),
              .dictionaries = std::vector<Dictionary>(columns.size())};
  const std::uint64_t rows = learn_places(input, columns, 0, 1, guess.profiles);
  if (rows == 0) return std::nullopt;
  std::vector<bool> text(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) text[i] = may_be_category(columns[i], guess.profiles[i]);
  Profiles first = only_texts(text);
  Profiles second = only_texts(text);
  (void)learn_places(input, columns, 0, 2, first);
  (void)learn_places(input, columns, 1, 2, second);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::uint64_t in_first = first[i].texts().size();
    const std::uint64_t in_second = second[i].texts().size();
    first[i].merge(second[i]);
    guess.dictionaries[i] = sorted(first[i].texts());
    guess_column(columns[i], guess.profiles[i], estimate(in_first, in_second, first[i].texts().size()),
                 static_cast<double>(input.rows_at_most), guess.dictionaries[i]);
  }
  return guess;
}

}  // namespace kv::csv
