#include "csv/csv_file.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

#include "csv/column.hpp"
#include "csv/header.hpp"
#include "csv/inference.hpp"
#include "csv/key_template.hpp"
#include "csv/mapped_file.hpp"
#include "csv/record_writer.hpp"
#include "csv/row_filter.hpp"
#include "csv/workers.hpp"

namespace kv::csv {
namespace {

constexpr std::size_t kBatchRows = 4'096;
constexpr std::size_t kBatchRecordBytes = 256 * 1024;
constexpr std::size_t kBatchKeyBytes = 1U << 20U;
constexpr std::uint64_t kRowsBetweenStops = 1024;

// How far the threads are, for the progress report.
class Meter {
 public:
  Meter(std::uint64_t offset, std::uint64_t total, const CsvProgress& progress)
      : offset_(offset), total_(total), progress_(progress) {}

  void add(std::uint64_t bytes, std::uint64_t rows) noexcept {
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    rows_.fetch_add(rows, std::memory_order_relaxed);
  }
  [[nodiscard]] Tick tick() const {
    if (!progress_) return {};
    return [this] {
      return progress_(offset_ + bytes_.load(std::memory_order_relaxed) / 2, total_,
                       rows_.load(std::memory_order_relaxed));
    };
  }

 private:
  std::uint64_t offset_;
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
  std::vector<RowRange> ranges;
  Inferred inferred;
  Schema schema;
  std::vector<std::vector<std::string>> categories;
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

  BatchBuilder(const Input& input, unsigned thread)
      : input_(input),
        thread_(thread),
        capacity_(std::clamp<std::size_t>(kBatchRecordBytes / input.record_bytes, 1, kBatchRows)) {}

  // Returns the number of rows delivered.
  std::uint64_t parse(const RowRange& range, std::size_t index, const Stop& stop) {
    RowReader reader(input_.source, range, input_.columns.size());
    batch_.range = index;
    batch_.sequence = 0;
    start_batch();
    std::uint64_t seen = 0;
    std::uint64_t refused = 0;
    while (reader.next()) {
      if (++seen % kRowsBetweenStops == 0 && stop(index)) return 0;
      try {
        if (!add_row(reader)) ++refused;
      } catch (const FieldError& error) {
        throw reader.error_at(reader.fields()[error.field].begin, error.what);
      }
      if (batch_.rows == capacity_ || batch_.keys.size() >= kBatchKeyBytes) deliver();
    }
    if (batch_.rows != 0) deliver();
    refused_ += refused;
    return seen - refused;
  }

  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  void start_batch() {
    batch_.rows = 0;
    batch_.record_bytes = input_.record_bytes;
    batch_.records.resize(capacity_ * input_.record_bytes);  // zeros, also where records have padding
    batch_.keys.clear();
    batch_.key_ends.clear();
    batch_.lines.clear();
  }

  bool add_row(const RowReader& reader) {
    const std::span<const Field> fields = reader.fields();
    if (!input_.filter.empty() && !input_.filter.accepts(fields, input_.missing, scratch_)) return false;
    input_.writer.write(fields, batch_.records.data() + batch_.rows * input_.record_bytes, scratch_, codes_);
    input_.key.append(fields, input_.missing, scratch_, batch_.keys);
    batch_.key_ends.push_back(static_cast<std::uint32_t>(batch_.keys.size()));
    batch_.lines.push_back(reader.line());
    ++batch_.rows;
    return true;
  }

  void deliver() {
    RecordWriter::finish(codes_);
    const std::size_t range = batch_.range;
    const std::size_t sequence = batch_.sequence;
    input_.sink(thread_, std::move(batch_));
    batch_.range = range;
    batch_.sequence = sequence + 1;
    start_batch();
  }

  const Input& input_;
  unsigned thread_;
  std::size_t capacity_;
  CsvBatch batch_;
  CodeQueue codes_;
  std::string scratch_;
  std::uint64_t refused_ = 0;
};

}  // namespace

CsvFile::CsvFile(const CsvOptions& options, std::size_t range_bytes)
    : impl_(std::make_unique<Impl>(options, range_bytes)) {}
CsvFile::~CsvFile() = default;

void CsvFile::infer(const CsvProgress& progress) {
  Impl& file = *impl_;
  Meter meter(0, bytes(), progress);
  const Tick tick = meter.tick();
  file.ranges = split_rows(file.source, file.rows, file.range_bytes, file.workers, tick);
  const auto done = [&](const RowRange& range) {
    MappedFile::release(range.begin, range.end);  // the text is not counted beside what comes of it
    meter.add(range.bytes(), 0);
  };
  file.inferred = infer_columns({.source = file.source, .ranges = file.ranges, .missing = file.missing}, file.columns,
                                file.workers, tick, done);
  file.key.bind_types(file.columns);
  file.filter.bind_types(file.columns);
  std::vector<Column> stored;
  for (std::size_t i = 0; i < file.columns.size(); ++i) {
    if (!file.columns[i].stored) continue;
    stored.push_back(file.columns[i].column);
    const std::vector<ByteView> texts = file.inferred.dictionaries[i].texts();
    file.categories.emplace_back(texts.begin(), texts.end());
  }
  file.schema = Schema(std::move(stored));
  file.check_unchanged();
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
  Meter meter(bytes() / 2, bytes(), progress);
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
  if (progress && !progress(bytes(), bytes(), rows() - refused)) {
    throw Error(ErrorCode::kInterrupted, "loading was interrupted");
  }
  return refused;
}

}  // namespace kv::csv
