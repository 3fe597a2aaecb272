// What a CSV file was when a collection was loaded from it, kept beside the collection: whether loading it again would
// come to the same.
#pragma once

#include <string>

#include "kv_storage/csv.hpp"

namespace kv {

// The options that decide on the result, size and time of the file, and a hash of its contents, as text. Reads the
// file. Throws Error{kIo}.
[[nodiscard]] std::string describe_csv(const CsvOptions& options);

// Whether the file and the options are what `source`, made by describe_csv, tells of. If only the time differs the
// contents are compared, which reads the file. False also where the file cannot be read: then loading it says why.
[[nodiscard]] bool is_same_csv(const CsvOptions& options, const std::string& source);

}  // namespace kv
