// Loading a CSV file through a Python function, before the program's own interpreter exists.
//
// A short-lived child, this same executable, attaches to the store and does it: so the program starts in a fresh
// interpreter, without the modules and the garbage of the load.
#pragma once

#include <string>

#include "config.hpp"

namespace runner {

// How to start the child, and where it finds modules: beside the configuration, then beside the script.
struct Loader {
  const char* program;        // argv[0]: by it the child finds the same virtual environment
  std::string configuration;  // absolute path
  std::string script;         // "" = none
};

// The store must be in the environment as KV_STORAGE_ATTACH. Throws Failure{kBadData} if the child fails, whose
// traceback is on standard error by then; after an interrupt it returns when the child is gone.
void load_transformed(const CsvSource& source, const Loader& loader);

}  // namespace runner
