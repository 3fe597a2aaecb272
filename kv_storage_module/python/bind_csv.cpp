// Storage.load_csv: the arguments, progress and signals. The loader itself is native and runs without the GIL.

#include "args.hpp"
#include "bind.hpp"
#include "csv_methods.hpp"
#include "schema_argument.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

enum Argument : std::size_t {
  kPath,
  kInto,
  kKey,
  kTypes,
  kWhere,
  kOnDuplicate,
  kDelimiter,
  kQuote,
  kHeader,
  kColumns,
  kMissing,
  kThreads,
  kTransform,
  kProgress,
  kArguments
};

constexpr Signature<kArguments> kLoadCsv = {
    "load_csv",
    {"path", "into", "key", "types", "where", "on_duplicate", "delimiter", "quote", "header", "columns", "missing",
     "threads", "transform", "progress"},
    3,
    2};

std::string path_argument(PyObject* path) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(path, &bytes) == 0) throw PythonError{};
  Ref owner = Ref::steal(bytes);
  return std::string(bytes_of(bytes));
}

char character_argument(ModuleState& state, PyObject* text, const char* what) {
  const std::string bytes = name_string(state, text, what);
  if (bytes.size() != 1) fail(state, ErrorClass::kArgument, "%s is one ASCII character, not %R", what, text);
  return bytes.front();
}

std::vector<std::string> texts_argument(ModuleState& state, PyObject* texts, const char* what) {
  if (PyUnicode_Check(texts)) fail(state, ErrorClass::kKind, "%s is a sequence of str, not one str", what);
  Ref items = checked(PySequence_Tuple(texts));
  std::vector<std::string> all;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    all.push_back(name_string(state, PyTuple_GET_ITEM(items.get(), i), what));
  }
  return all;
}

OnDuplicate on_duplicate_argument(ModuleState& state, PyObject* text) {
  const std::string choice = name_string(state, text, "on_duplicate");
  if (choice == "error") return OnDuplicate::kError;
  if (choice == "first") return OnDuplicate::kFirst;
  if (choice == "last") return OnDuplicate::kLast;
  fail(state, ErrorClass::kArgument, "on_duplicate is 'error', 'first' or 'last', not %R", text);
}

std::map<std::string, std::string> types_argument(ModuleState& state, PyObject* types) {
  std::map<std::string, std::string> spelled;
  Ref items = checked(PyMapping_Items(types));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    PyObject* item = PyList_GET_ITEM(items.get(), i);
    spelled[name_string(state, PyTuple_GET_ITEM(item, 0), "a column name")] =
        type_spelling(state, PyTuple_GET_ITEM(item, 1));
  }
  return spelled;
}

std::uint32_t threads_argument(ModuleState& state, PyObject* number) {
  const long threads = PyLong_AsLong(number);
  if (threads == -1 && PyErr_Occurred() != nullptr) throw PythonError{};
  if (threads < 0 || threads > 1024)
    fail(state, ErrorClass::kArgument, "threads is a number from 0 (all CPUs) to 1024");
  return static_cast<std::uint32_t>(threads);
}

bool truth(PyObject* object) {
  const int answer = PyObject_IsTrue(object);
  check(answer);
  return answer == 1;
}

CsvOptions options_of(ModuleState& state, PyObject* const (&given)[kArguments]) {
  const auto has = [&](Argument argument) { return given[argument] != nullptr && given[argument] != Py_None; };
  CsvOptions options;
  options.path = path_argument(given[kPath]);
  options.into = name_string(state, given[kInto], "the name of a collection");
  options.key = name_string(state, given[kKey], "key");
  if (has(kTypes)) options.types = types_argument(state, given[kTypes]);
  if (has(kWhere)) options.where = name_string(state, given[kWhere], "where");
  if (has(kOnDuplicate)) options.on_duplicate = on_duplicate_argument(state, given[kOnDuplicate]);
  if (has(kDelimiter)) options.delimiter = character_argument(state, given[kDelimiter], "delimiter");
  if (has(kQuote)) options.quote = character_argument(state, given[kQuote], "quote");
  if (has(kHeader)) options.header = truth(given[kHeader]);
  if (has(kColumns)) options.columns = texts_argument(state, given[kColumns], "columns");
  if (has(kMissing)) options.missing = texts_argument(state, given[kMissing], "missing");
  if (has(kThreads)) options.threads = threads_argument(state, given[kThreads]);
  return options;
}

// Called from the loading thread, without the GIL: lets signal handlers run and tells the caller how far it is.
CsvProgress progress_of(PyObject* callback) {
  return [callback](std::uint64_t done, std::uint64_t total, std::uint64_t rows) {
    check_signals_detached();
    if (callback == nullptr || callback == Py_None) return true;
    attach();
    Ref answer = Ref::steal(PyObject_CallFunction(callback, "KKK", static_cast<unsigned long long>(done),
                                                  static_cast<unsigned long long>(total),
                                                  static_cast<unsigned long long>(rows)));
    if (!answer) throw Error(ErrorCode::kInterrupted, "the progress callback raised");
    const bool go_on = answer.get() != Py_False;
    answer = Ref();
    detach();
    return go_on;
  };
}

Ref report_dict(const CsvReport& report) {
  Ref types = checked(PyDict_New());
  for (const Column& column : report.schema.columns()) {
    check(PyDict_SetItem(types.get(), key_object(column.name).get(), key_object(Schema::type_name(column)).get()));
  }
  return checked(Py_BuildValue("{s:K,s:K,s:K,s:K,s:d,s:O}", "rows", report.rows, "filtered", report.filtered,
                               "duplicates", report.duplicates, "bytes", report.bytes, "seconds", report.seconds,
                               "schema", types.get()));
}

}  // namespace

const char kLoadCsvDoc[] =
    "load_csv($self, /, path, into, *, key, types=None, where=None, on_duplicate='error', delimiter=None, quote='\"', "
    "header=None, columns=None, missing=None, threads=0, transform=None, progress=None)\n--\n\n"
    "Load a CSV file into a collection with a schema, replacing it in one step when all of it is read.\n\n"
    "    kv.load_csv('flights.csv', 'flights', key='{origin}-{dest}-{day:02}-{month:02}-{year}')\n\n"
    "Native threads read the file while other Python threads run. On an error nothing has changed.\n\n"
    "Args:\n"
    "    path: the file.\n"
    "    into: the collection's name; kv.hash(into) opens it.\n"
    "    key: the key of each row, from its columns: a template with the format specs of Python.\n"
    "    types: column -> type, as in hash(schema=...); the rest is inferred from the whole file.\n"
    "    where: only rows for which this holds, such as 'month == 6 and dep_delay is not null'.\n"
    "    on_duplicate: which row a key given twice keeps: 'first', 'last'; 'error' refuses the file.\n"
    "    delimiter: one character; None finds out among comma, tab, ; and |.\n"
    "    quote: the character around fields that hold delimiters or line ends.\n"
    "    header: whether the first line has the columns' names; None takes it so unless `columns` is given.\n"
    "    columns: the names, where there is no header.\n"
    "    missing: what stands for a missing value; by default '', NA, N/A, NaN, nan, null, NULL, None.\n"
    "    threads: how many; 0 is one per CPU.\n"
    "    transform: a function that gets batches of rows as a dict of NumPy columns, with the keys as '__key__', and\n"
    "        returns a dict of columns: changed, more or fewer, with rows left out.\n"
    "    progress: called with (bytes read, bytes in all, rows so far) some ten times a second; False stops.\n\n"
    "Returns:\n"
    "    A dict: rows, filtered, duplicates, bytes, seconds, schema.\n\n"
    "Raises:\n"
    "    CsvError: malformed input, with path, line and column.\n"
    "    StorageIOError: the file cannot be read.";

PyObject* storage_load_csv(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[kArguments];
  if (!kLoadCsv.parse(args, count, keywords, given)) return nullptr;
  ModuleState& state = state_of(self);
  CsvOptions options = options_of(state, given);
  const CsvProgress progress = progress_of(given[kProgress]);
  Store& store = *open_collection(self).handle->store;
  if (given[kTransform] != nullptr && given[kTransform] != Py_None) {
    return report_dict(load_transformed(self, std::move(options), progress, given[kTransform])).release();
  }
  return report_dict(in_core_detached([&] { return store.load_csv(options, progress); })).release();
}

}  // namespace kv::py
