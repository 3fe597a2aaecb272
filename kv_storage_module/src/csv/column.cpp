#include "csv/column.hpp"

#include <algorithm>

#include "csv/source.hpp"
#include "kv_storage/error.hpp"
#include "kv_storage/nearest.hpp"

namespace kv::csv {
namespace {

FileColumn requested(std::string name, std::string_view type) {
  FileColumn file_column{.column = {.name = std::move(name)}, .request = Request::kFixed};
  if (type == "text" || type == "str" || type == "string") {
    file_column.request = Request::kText;
  } else if (type == "bytes") {
    file_column.request = Request::kBytes;
  } else if (type == "skip") {
    file_column.request = Request::kSkip;
    file_column.stored = false;
  } else {
    file_column.column = Schema::parse_type(std::move(file_column.column.name), type);
  }
  return file_column;
}

// What a person needs to know to correct a value of this type.
std::string_view accepted_form(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::kBool:
      return "; write true or false";
    case ColumnType::kInt8:
      return "; it holds -128 to 127";
    case ColumnType::kInt16:
      return "; it holds -32,768 to 32,767";
    case ColumnType::kInt32:
      return "; it holds -2,147,483,648 to 2,147,483,647";
    case ColumnType::kUInt8:
      return "; it holds 0 to 255";
    case ColumnType::kUInt16:
      return "; it holds 0 to 65,535";
    case ColumnType::kUInt32:
      return "; it holds 0 to 4,294,967,295";
    case ColumnType::kDate:
      return "; write YYYY-MM-DD";
    case ColumnType::kDatetime:
      return "; write YYYY-MM-DD HH:MM[:SS[.ffffff]][Z]";
    default:
      return "";
  }
}

}  // namespace

std::vector<FileColumn> requested_columns(const std::vector<std::string>& names,
                                          const std::map<std::string, std::string>& types, const std::string& path) {
  std::vector<FileColumn> columns;
  for (const std::string& name : names) {
    const auto type = types.find(name);
    columns.push_back(type == types.end() ? FileColumn{.column = {.name = name}} : requested(name, type->second));
  }
  for (const auto& [name, type] : types) (void)find_column(columns, name, path + ": types", 0, 0);
  return columns;
}

std::size_t find_column(std::span<const FileColumn> columns, std::string_view name, const std::string& where,
                        std::uint64_t line, std::uint64_t position) {
  const auto at =
      std::find_if(columns.begin(), columns.end(), [&](const FileColumn& c) { return c.column.name == name; });
  if (at != columns.end()) return static_cast<std::size_t>(at - columns.begin());
  std::vector<std::string_view> names;
  for (const FileColumn& file_column : columns) names.push_back(file_column.column.name);
  throw Error::at(where, line, position, "there is no column " + quoted(name) + suggestion(name, names, "columns"));
}

FieldError wrong_value(std::size_t field, const Column& column, ByteView found, std::string_view note) {
  return {.field = field,
          .what = "expected " + Schema::type_name(column) + ", found " + quoted(found) + " in column '" + column.name +
                  "'" + std::string(accepted_form(column.type)).append(note)};
}

}  // namespace kv::csv
