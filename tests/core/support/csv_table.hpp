// A CSV file loaded into something tests can look at: every value as text, in file order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "csv/csv_file.hpp"
#include "support/temporary_file.hpp"

namespace kv::test {

struct CsvTable {
  std::vector<std::string> types;              // "name:type", a category with the width of its code
  std::vector<std::vector<std::string>> rows;  // missing values as "-"
  std::vector<std::string> keys;
  std::vector<std::uint64_t> lines;
  std::uint64_t refused = 0;
  friend bool operator==(const CsvTable&, const CsvTable&) = default;
};

template <class T>
T load_as(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

inline std::string value_text(const char* at, const Column& column, const std::vector<std::string>& texts) {
  const auto number = [](auto value) { return std::to_string(value); };
  const auto real = [](double value) {
    char text[40];
    (void)std::snprintf(text, sizeof(text), "%.17g", value);
    return std::string(value != value ? "-" : text);
  };
  switch (column.type) {
    case ColumnType::kBool:
      return load_as<bool>(at) ? "true" : "false";
    case ColumnType::kInt8:
      return number(load_as<std::int8_t>(at));
    case ColumnType::kInt16:
      return number(load_as<std::int16_t>(at));
    case ColumnType::kInt32:
      return number(load_as<std::int32_t>(at));
    case ColumnType::kUInt8:
      return number(load_as<std::uint8_t>(at));
    case ColumnType::kUInt16:
      return number(load_as<std::uint16_t>(at));
    case ColumnType::kUInt32:
      return number(load_as<std::uint32_t>(at));
    case ColumnType::kUInt64:
      return number(load_as<std::uint64_t>(at));
    case ColumnType::kFloat32:
      return real(load_as<float>(at));
    case ColumnType::kFloat64:
      return real(load_as<double>(at));
    case ColumnType::kBytes: {
      const std::string text(at, column.bytes);
      return text.substr(0, text.find('\0'));
    }
    case ColumnType::kCategory: {
      std::uint32_t code = 0;
      std::memcpy(&code, at, column.bytes);
      const std::uint32_t missing = column.bytes == 4 ? ~0U : (1U << (8 * column.bytes)) - 1;
      return code == missing ? "-" : texts.at(code);
    }
    default: {
      const auto value = load_as<std::int64_t>(at);
      return value == INT64_MIN ? "-" : number(value);
    }
  }
}

// What a parse of `file` delivers. Codes are those of the end if `recode`.
template <class Parse>
std::optional<CsvTable> table_of(csv::CsvFile& file, const Parse& parse, bool recode) {
  std::vector<csv::CsvBatch> batches;
  std::mutex mutex;
  const std::optional<std::uint64_t> refused = parse([&](unsigned, csv::CsvBatch&& batch) {
    const std::lock_guard lock(mutex);
    batches.push_back(std::move(batch));
  });
  if (!refused) return std::nullopt;
  CsvTable table;
  table.refused = *refused;
  const std::vector<Column>& columns = file.schema().columns();
  for (const Column& column : columns) {
    const bool category = column.type == ColumnType::kCategory;
    table.types.push_back(column.name + ":" + Schema::type_name(column) +
                          (category ? std::to_string(column.bytes) : ""));
  }
  const auto place = [](const auto& batch) { return std::pair(batch.range, batch.sequence); };
  std::sort(batches.begin(), batches.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  for (csv::CsvBatch& batch : batches) {
    if (recode) file.recode(batch.records.data(), batch.rows);
    for (std::size_t i = 0; i < batch.rows; ++i) {
      std::vector<std::string> values;
      for (std::size_t c = 0; c < columns.size(); ++c) {
        values.push_back(value_text(batch.record(i) + columns[c].offset, columns[c], file.categories()[c]));
      }
      table.lines.push_back(batch.lines[i]);
      table.keys.emplace_back(batch.key(i));
      table.rows.push_back(std::move(values));
    }
  }
  return table;
}

inline CsvTable load_table(const CsvOptions& options, std::size_t range_bytes = csv::kRangeBytes) {
  csv::CsvFile file(options, range_bytes);
  file.infer();
  return *table_of(
      file, [&](const csv::BatchSink& sink) { return std::optional(file.parse(sink)); }, false);
}

// The same by a guess, and what came of it.
enum class GuessOutcome : std::uint8_t { kNotTried, kRight, kWrong };
inline std::pair<CsvTable, GuessOutcome> guess_table(const CsvOptions& options, std::size_t range_bytes) {
  csv::CsvFile file(options, range_bytes);
  GuessOutcome outcome = GuessOutcome::kNotTried;
  if (file.guess()) {
    auto table = table_of(
        file, [&](const csv::BatchSink& sink) { return file.parse_guessed(sink); }, true);
    if (table) return {std::move(*table), GuessOutcome::kRight};
    outcome = GuessOutcome::kWrong;
  }
  auto table = table_of(
      file, [&](const csv::BatchSink& sink) { return std::optional(file.parse(sink)); }, false);
  return {std::move(*table), outcome};
}

}  // namespace kv::test
