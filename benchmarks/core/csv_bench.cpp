// Times the two passes over a CSV file, without a store: what loading costs before the first record is kept.
//
//   csv_bench FILE KEY [--threads N] [--repeat N] [--where FILTER] [--type COLUMN=TYPE]...
//
// For instance: csv_bench flights.csv '{origin}-{dest}-{day:02}-{month:02}-{year}-{carrier}{flight}'
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "csv/csv_file.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

bool parse_arguments(int argc, char** argv, kv::CsvOptions& options, int& repeat) {
  if (argc < 3) return false;
  options.path = argv[1];
  options.key = argv[2];
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    const std::size_t equals = value.find('=');
    if (name == "--threads") {
      options.threads = static_cast<std::uint32_t>(std::atoi(value.c_str()));
    } else if (name == "--repeat") {
      repeat = std::atoi(value.c_str());
    } else if (name == "--where") {
      options.where = value;
    } else if (name == "--type" && equals != std::string::npos) {
      options.types[value.substr(0, equals)] = value.substr(equals + 1);
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

void run(const kv::CsvOptions& options) {
  const Clock::time_point start = Clock::now();
  kv::csv::CsvFile file(options);
  file.infer();
  const double inferred = seconds_since(start);
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> key_bytes{0};
  (void)file.parse([&](unsigned, kv::csv::CsvBatch&& batch) {
    rows += batch.rows;
    key_bytes += batch.keys.size();
  });
  const double total = seconds_since(start);
  std::printf("%llu rows, %llu key bytes, infer %.3f s, parse %.3f s, together %.3f s = %.2f M rows/s\n",
              static_cast<unsigned long long>(rows), static_cast<unsigned long long>(key_bytes), inferred,
              total - inferred, total, static_cast<double>(rows) / total / 1e6);
}

void print_schema(const kv::CsvOptions& options) {
  kv::csv::CsvFile file(options);
  file.infer();
  for (std::size_t i = 0; i < file.schema().columns().size(); ++i) {
    const kv::Column& column = file.schema().columns()[i];
    std::printf("  %-20s %-10s offset %3u, %zu categories\n", column.name.c_str(),
                kv::Schema::type_name(column).c_str(), column.offset, file.categories()[i].size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  kv::CsvOptions options;
  int repeat = 3;
  if (!parse_arguments(argc, argv, options, repeat)) {
    std::fprintf(stderr,
                 "usage: csv_bench FILE KEY [--threads N] [--repeat N] [--where FILTER] [--type COLUMN=TYPE]\n");
    return 2;
  }
  try {
    for (int i = 0; i < repeat; ++i) run(options);
    print_schema(options);
  } catch (const kv::Error& error) {
    std::fprintf(stderr, "csv_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
