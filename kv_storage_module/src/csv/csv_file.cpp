#include "csv/csv_file.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <span>

#include "csv/batch_writer.hpp"
#include "csv/column.hpp"
#include "csv/guessed_pass.hpp"
#include "csv/header.hpp"
#include "csv/inference.hpp"
#include "csv/key_template.hpp"
#include "csv/mapped_file.hpp"
#include "csv/record_writer.hpp"
#include "csv/row_filter.hpp"
#include "csv/workers.hpp"

namespace kv::csv {
namespace {

constexpr std::uint64_t kRowsBetweenStops = 1024;

// How far the threads are, for the progress report: from `offset` on, `share` of the bytes they read.
class Meter {
 public:
  Meter(std::uint64_t offset, double share, std::uint64_t total, const CsvProgress& progress)
      : offset_(offset), share_(share), total_(total), progress_(progress) {}

  void add(std::uint64_t bytes, std::uint64_t rows) noexcept {
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    rows_.fetch_add(rows, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t done() const noexcept {
    return offset_ + static_cast<std::uint64_t>(static_cast<double>(bytes_.load(std::memory_order_relaxed)) * share_);
  }
  [[nodiscard]] Tick tick() const {
    if (!progress_) return {};
    return [this] { return progress_(done(), total_, rows_.load(std::memory_order_relaxed)); };
  }

 private:
  std::uint64_t offset_;
  double share_;
  std::uint64_t total_;
  const CsvProgress& progress_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> rows_{0};
};

// If the key is one column as it stands, a copy of it in every record would only cost memory.
void leave_out_key_column(const KeyTemplate& key, std::vector<FileColumn>& columns) {
  const std::optional<std::size_t> whole = key.whole_column();
  if (!whole || columns[*whole].request != Request::kInfer) return;
  if (std::count_if(columns.begin(), columns.end(), [](const FileColumn& c) { return c.stored; }) < 2) return;
  columns[*whole].stored = false;
}

// What each of `texts`, numbered in this order, is numbered in `sorted`; empty if all keep their number.
std::vector<std::uint32_t> codes_in(const Dictionary& sorted, const std::vector<ByteView>& texts) {
  std::vector<std::uint32_t> codes;
  bool same = true;
  for (const ByteView text : texts) {
    const std::uint32_t code = sorted.find(text).value_or(0);  // they are the same texts
    same = same && code == codes.size();
    codes.push_back(code);
  }
  if (same) codes.clear();
  return codes;
}

}  // namespace

struct CsvFile::Impl {
  Impl(const CsvOptions& options, std::size_t range_bytes_wanted)
      : mapped(options.path),
        source(make_source(options, mapped.text())),
        missing(options.missing),
        key(options.key),
        filter(options.where),
        workers(options.threads),
        range_bytes(std::max<std::size_t>(1, range_bytes_wanted)) {
    const Header header = read_header(source, options);
    rows = header.rows;
    columns = requested_columns(header.names, options.types, source.path);
    key.find_columns(columns);
    filter.find_columns(columns);
    leave_out_key_column(key, columns);
  }

  void check_unchanged() const {
    if (mapped.changed()) throw Error::at(source.path, 0, 0, "the file was changed while it was loaded; load it again");
  }

  MappedFile mapped;
  Source source;
  MissingTokens missing;
  KeyTemplate key;
  RowFilter filter;
  Workers workers;
  std::size_t range_bytes;
  RowRange rows;
  std::vector<FileColumn> columns;
  void split(const Tick& tick) {
    SplitRows split = split_rows(source, rows, range_bytes, workers, tick);
    ranges = std::move(split.ranges);
    inferred.rows = split.rows_at_most;
  }
  [[nodiscard]] InferenceInput inference() const noexcept {
    return {.source = source, .ranges = ranges, .missing = missing, .rows_at_most = inferred.rows};
  }
  void infer(Meter& meter, const Tick& tick) {
    inferred = infer_columns(inference(), columns, workers, tick, [&](const RowRange& range) {
      MappedFile::release(range.begin, range.end);  // the text is not counted beside what comes of it
      meter.add(range.bytes(), 0);
    });
    progress_done = mapped.text().size() / 2;
    bind_types();
    name_categories();
    check_unchanged();
  }
  // The types of the columns have become known.
  void bind_types() {
    key.bind_types(columns);
    filter.bind_types(columns);
    std::vector<Column> stored;
    for (const FileColumn& column : columns) {
      if (column.stored) stored.push_back(column.column);
    }
    schema = Schema(std::move(stored));
  }
  void name_categories() {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!columns[i].stored) continue;
      const std::vector<ByteView> texts = inferred.dictionaries[i].texts();
      categories.emplace_back(texts.begin(), texts.end());
    }
  }
  void find_codes(const GuessedPass& pass) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!columns[i].stored) continue;
      codes.emplace_back();
      if (columns[i].is_category()) codes.back() = codes_in(inferred.dictionaries[i], pass.texts(i));
    }
  }

  std::vector<RowRange> ranges;
  Inferred inferred;
  Schema schema;
  std::vector<std::vector<std::string>> categories;
  std::optional<Guess> guess;
  std::uint64_t progress_done = 0;                // bytes, when parse() begins
  std::vector<std::vector<std::uint32_t>> codes;  // by stored column: of provisional codes; empty = they are right
};

namespace {

// One thread's share of the second pass.
class BatchBuilder {
 public:
  struct Input {
    const Source& source;
    const std::vector<FileColumn>& columns;
    const MissingTokens& missing;
    const RowFilter& filter;
    const KeyTemplate& key;
    const RecordWriter& writer;
    const BatchSink& sink;
    std::size_t record_bytes;
  };

  BatchBuilder(const Input& input, unsigned thread) : input_(input), out_(input.sink, thread, input.record_bytes) {}

  // Returns the number of rows delivered.
  std::uint64_t parse(const RowRange& range, std::size_t index, const Stop& stop) {
    RowReader reader(input_.source, range, input_.columns.size());
    out_.begin_range(index);
    std::uint64_t seen = 0;
    std::uint64_t refused = 0;
    while (reader.next()) {
      if (++seen % kRowsBetweenStops == 0 && stop(index)) return 0;
      try {
        if (!add_row(reader)) ++refused;
      } catch (const FieldError& error) {
        throw reader.error_at(reader.fields()[error.field].begin, error.what);
      }
      if (out_.is_full()) deliver();
    }
    deliver();
    refused_ += refused;
    return seen - refused;
  }

  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  bool add_row(const RowReader& reader) {
    const std::span<const Field> fields = reader.fields();
    if (!input_.filter.empty() && !input_.filter.accepts(fields, input_.missing, scratch_)) return false;
    input_.writer.write(fields, out_.record(), scratch_, codes_);
    input_.key.append(fields, input_.missing, scratch_, out_.keys());
    out_.end_row(reader.line());
    return true;
  }

  void deliver() {
    RecordWriter::finish(codes_);
    out_.deliver();
  }

  const Input& input_;
  BatchWriter out_;
  CodeQueue codes_;
  std::string scratch_;
  std::uint64_t refused_ = 0;
};

// With a size known to the compiler a row costs a load, a look into `codes` and a store.
template <std::size_t kCodeBytes>
void recode_column(char* at, std::size_t rows, std::size_t record_bytes,
                   std::span<const std::uint32_t> codes) noexcept {
  for (std::size_t row = 0; row < rows; ++row, at += record_bytes) {
    std::uint32_t code = 0;
    std::memcpy(&code, at, kCodeBytes);
    if (code >= codes.size()) continue;  // missing
    std::memcpy(at, &codes[code], kCodeBytes);
  }
}

void recode_column(char* at, std::size_t rows, std::size_t record_bytes, std::size_t code_bytes,
                   std::span<const std::uint32_t> codes) noexcept {
  if (code_bytes == 1) return recode_column<1>(at, rows, record_bytes, codes);
  if (code_bytes == 2) return recode_column<2>(at, rows, record_bytes, codes);
  recode_column<4>(at, rows, record_bytes, codes);
}

// Whether records laid out for the one are right for the other.
bool same_layout(const std::vector<FileColumn>& guessed, const std::vector<FileColumn>& found) {
  return std::equal(guessed.begin(), guessed.end(), found.begin(), [](const FileColumn& a, const FileColumn& b) {
    if (a.column.type == b.column.type && a.column.bytes == b.column.bytes) return true;
    // Of a text that is not stored, nobody asks how long it is.
    return !a.stored && a.column.type == ColumnType::kBytes && b.column.type == ColumnType::kBytes;
  });
}

}  // namespace

CsvFile::CsvFile(const CsvOptions& options, std::size_t range_bytes)
    : impl_(std::make_unique<Impl>(options, range_bytes)) {}
CsvFile::~CsvFile() = default;

void CsvFile::infer(const CsvProgress& progress) {
  Impl& file = *impl_;
  Meter meter(0, 0.5, bytes(), progress);
  const Tick tick = meter.tick();
  file.split(tick);
  file.infer(meter, tick);
}

bool CsvFile::guess(const CsvProgress& progress) {
  Impl& file = *impl_;
  Meter meter(0, 0.5, bytes(), progress);
  const Tick tick = meter.tick();
  file.split(tick);
  file.guess = guess_columns(file.inference(), file.columns);
  if (file.guess) {
    try {
      file.bind_types();
      return true;
    } catch (const Error&) {  // a wrong guess may be all that is wrong
      file.guess.reset();
    }
  }
  file.infer(meter, tick);
  return false;
}

std::optional<std::uint64_t> CsvFile::parse_guessed(const BatchSink& sink, const CsvProgress& progress) {
  Impl& file = *impl_;
  const std::vector<FileColumn> guessed = file.columns;
  GuessedPass pass({.inference = file.inference(),
                    .columns = guessed,
                    .schema = file.schema,
                    .guess = *file.guess,
                    .filter = file.filter,
                    .key = file.key,
                    .sink = sink},
                   threads());
  Meter meter(0, 1, bytes(), progress);
  const Tick tick = meter.tick();
  file.workers.run(file.ranges.size(), tick, [&](unsigned thread, std::size_t index, const Stop& stop) {
    const RowRange& range = file.ranges[index];
    MappedFile::prefetch(range.begin, range.end);
    const std::uint64_t rows = pass.read(thread, index, stop);
    MappedFile::release(range.begin, range.end);  // as records take up memory, the text gives it back
    if (pass.holds()) meter.add(range.bytes(), rows);
  });
  Profiles profiles = pass.take_profiles();
  file.inferred = conclude(file.inference(), file.columns, profiles, pass.rows(), file.workers, tick);
  const bool right = pass.holds() && same_layout(guessed, file.columns);
  if (right) file.find_codes(pass);
  file.guess.reset();
  if (!right) {
    file.progress_done = meter.done();
    file.bind_types();
  }
  file.name_categories();
  file.check_unchanged();
  if (!right) return std::nullopt;
  finish(progress, pass.refused());
  return pass.refused();
}

void CsvFile::recode(char* records, std::size_t rows) const noexcept {
  const std::vector<Column>& columns = impl_->schema.columns();
  const std::size_t record_bytes = impl_->schema.record_bytes();
  for (std::size_t i = 0; i < impl_->codes.size(); ++i) {
    if (!impl_->codes[i].empty())
      recode_column(records + columns[i].offset, rows, record_bytes, columns[i].bytes, impl_->codes[i]);
  }
}

bool CsvFile::needs_recoding() const noexcept {
  return std::any_of(impl_->codes.begin(), impl_->codes.end(), [](const auto& codes) { return !codes.empty(); });
}

const Schema& CsvFile::schema() const noexcept { return impl_->schema; }
const std::vector<std::vector<std::string>>& CsvFile::categories() const noexcept { return impl_->categories; }
std::uint64_t CsvFile::rows() const noexcept { return impl_->inferred.rows; }
std::uint64_t CsvFile::bytes() const noexcept { return impl_->mapped.text().size(); }
unsigned CsvFile::threads() const noexcept { return impl_->workers.threads(); }

std::vector<std::string> CsvFile::sample_keys(std::size_t count) const {
  constexpr std::size_t kPlaces = 512;
  const Impl& file = *impl_;
  std::vector<std::string> keys;
  if (count == 0 || file.ranges.empty()) return keys;
  const std::size_t places = std::min(kPlaces, file.ranges.size());
  const std::size_t rows = (count + places - 1) / places;
  std::string scratch;
  for (std::size_t place = 0; place < places; ++place) {
    RowReader reader(file.source, file.ranges[place * file.ranges.size() / places], file.columns.size());
    try {
      for (std::size_t row = 0; row < rows && reader.next(); ++row) {
        if (!file.filter.empty() && !file.filter.accepts(reader.fields(), file.missing, scratch)) continue;
        std::string key;
        file.key.append(reader.fields(), file.missing, scratch, key);
        keys.push_back(std::move(key));
      }
    } catch (const Error&) {
    } catch (const FieldError&) {
    }
  }
  return keys;
}

std::uint64_t CsvFile::parse(const BatchSink& sink, const CsvProgress& progress) {
  Impl& file = *impl_;
  const RecordWriter writer(file.schema, file.columns, file.inferred.dictionaries, file.missing);
  const BatchBuilder::Input input{.source = file.source,
                                  .columns = file.columns,
                                  .missing = file.missing,
                                  .filter = file.filter,
                                  .key = file.key,
                                  .writer = writer,
                                  .sink = sink,
                                  .record_bytes = file.schema.record_bytes()};
  std::vector<BatchBuilder> builders;
  for (unsigned thread = 0; thread < threads(); ++thread) builders.emplace_back(input, thread);
  const double left =
      static_cast<double>(bytes() - file.progress_done) / static_cast<double>(std::max<std::uint64_t>(1, bytes()));
  Meter meter(file.progress_done, left, bytes(), progress);
  file.workers.run(file.ranges.size(), meter.tick(), [&](unsigned thread, std::size_t index, const Stop& stop) {
    const RowRange& range = file.ranges[index];
    MappedFile::prefetch(range.begin, range.end);
    const std::uint64_t rows = builders[thread].parse(range, index, stop);
    MappedFile::release(range.begin, range.end);  // as records take up memory, the text gives it back
    meter.add(range.bytes(), rows);
  });
  file.check_unchanged();
  std::uint64_t refused = 0;
  for (const BatchBuilder& builder : builders) refused += builder.refused();
  finish(progress, refused);
  return refused;
}

void CsvFile::finish(const CsvProgress& progress, std::uint64_t refused) const {
  if (progress && !progress(bytes(), bytes(), rows() - refused)) {
    throw Error(ErrorCode::kInterrupted, "loading was interrupted");
  }
}

}  // namespace kv::csv
