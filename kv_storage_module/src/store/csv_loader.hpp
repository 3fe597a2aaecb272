// From CSV rows to a schema collection.
#pragma once

#include "kv_storage/csv.hpp"
#include "kv_storage/store.hpp"

namespace kv {

// Loads into a hidden collection, which takes the name options.into in one step when it is complete. If anything fails,
// it is dropped, and nothing has changed. See Store::load_csv.
CsvReport load_csv(Store& store, const CsvOptions& options, const CsvProgress& progress);

}  // namespace kv
