// load_csv(transform=...): the rows of a finished load pass through a Python function in batches, into a new collection
// that then takes the name. The first batch that comes back decides the new schema.

#include "array_codec.hpp"
#include "bind.hpp"
#include "columns.hpp"
#include "csv_methods.hpp"
#include "matches.hpp"
#include "pairs.hpp"
#include "schema_argument.hpp"
#include "text.hpp"

namespace kv::py {
namespace {

constexpr std::size_t kBatchRows = 65'536;
constexpr const char* kKeyColumn = "__key__";

// A collection under a name of its own, dropped when the work is over or has failed.
class WorkingCollection {
 public:
  WorkingCollection(std::shared_ptr<Store> store, std::string name) : store_(std::move(store)), name_(std::move(name)) {
    in_core_detached([&] { store_->drop(name_); });
  }
  WorkingCollection(const WorkingCollection&) = delete;
  WorkingCollection& operator=(const WorkingCollection&) = delete;
  ~WorkingCollection() {
    try {
      in_core_detached([&] { store_->drop(name_); });
    } catch (const Error&) {
      // The store was closed meanwhile: what is left goes with it.
    }
  }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  std::shared_ptr<Store> store_;
  std::string name_;
};

struct Batch {
  std::vector<char> records;
  Ref keys = checked(PyList_New(0));
  [[nodiscard]] Py_ssize_t rows() const noexcept { return PyList_GET_SIZE(keys.get()); }
};

class Transformer {
 public:
  Transformer(PyObject* storage, PyObject* transform, std::string target, OnDuplicate on_duplicate) noexcept
      : state_(state_of(storage)),
        storage_(storage),
        transform_(transform),
        target_(std::move(target)),
        on_duplicate_(on_duplicate) {}

  // Passes one batch of `source` on.
  void pass(PyObject* source, Batch batch) {
    const Py_ssize_t rows = batch.rows();
    Ref columns = decode_columns(source, std::move(batch.records));
    Ref keys = object_array(batch.keys.get());
    check(PyDict_SetItemString(columns.get(), kKeyColumn, keys.get()));
    Ref result = checked(PyObject_CallOneArg(transform_, columns.get()));
    if (!PyMapping_Check(result.get()) || !PyObject_HasAttrString(result.get(), "keys")) {
      fail(state_, ErrorClass::kKind, "transform returned %s, not a dict of columns", Py_TYPE(result.get())->tp_name);
    }
    Ref made = checked(PyDict_New());
    check(PyDict_Update(made.get(), result.get()));
    store(made.get(), keys.get(), rows);
  }

  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::uint64_t duplicates() const noexcept { return duplicates_; }
  [[nodiscard]] const Schema& schema() const noexcept { return schema_; }
  [[nodiscard]] bool has_schema() const noexcept { return static_cast<bool>(records_); }

 private:
  static Ref object_array(PyObject* list) {
    Ref arguments = checked(PyTuple_Pack(1, list));
    Ref keywords = checked(Py_BuildValue("{s:O}", "dtype", reinterpret_cast<PyObject*>(&PyBaseObject_Type)));
    return checked(PyObject_Call(attribute(numpy_module().get(), "array").get(), arguments.get(), keywords.get()));
  }

  void store(PyObject* columns, PyObject* keys, Py_ssize_t rows_before) {
    Ref new_keys = take_keys(columns, keys);
    const Py_ssize_t rows = check_lengths(columns, PyObject_Size(new_keys.get()), rows_before);
    if (!records_) open_target(columns);
    Ref key_items = key_tuple(state_, new_keys.get());
    const auto added = put_columns(records_.get(), key_items.get(), columns);
    const std::uint64_t repeated = static_cast<std::uint64_t>(rows) - added;
    if (repeated != 0 && on_duplicate_ == OnDuplicate::kError) {
      fail(state_, ErrorClass::kArgument,
           "transform gave %llu keys twice: with on_duplicate='last' the last row counts",
           static_cast<unsigned long long>(repeated));
    }
    rows_ += added;
    duplicates_ += repeated;
  }

  static Ref take_keys(PyObject* columns, PyObject* keys) {
    PyObject* given = PyDict_GetItemString(columns, kKeyColumn);
    if (given == nullptr) return new_reference(keys);
    Ref taken = new_reference(given);
    check(PyDict_DelItemString(columns, kKeyColumn));
    return taken;
  }

  Py_ssize_t check_lengths(PyObject* columns, Py_ssize_t rows, Py_ssize_t rows_before) {
    if (rows < 0) throw PythonError{};
    const CriticalSection section(columns);
    PyObject* name = nullptr;
    PyObject* column = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(columns, &at, &name, &column);) {
      const Py_ssize_t size = PyObject_Size(column);
      if (size < 0) throw PythonError{};
      if (size == rows) continue;
      fail(state_, ErrorClass::kArgument,
           rows == rows_before
               ? "transform returned %zd rows of column %R, but %zd keys: leave out the same rows of '%s'"
               : "transform returned %zd rows of column %R, but %zd of '__key__'%.0s",
           size, name, rows, kKeyColumn);
    }
    return rows;
  }

  void open_target(PyObject* columns) {
    std::vector<Column> made;
    const CriticalSection section(columns);
    PyObject* name = nullptr;
    PyObject* column = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(columns, &at, &name, &column);) {
      Ref array = checked(PyObject_CallMethod(numpy_module().get(), "asarray", "O", column));
      made.push_back(Schema::parse_type(name_string(state_, name, "a column name"),
                                        type_spelling(state_, attribute(array.get(), "dtype").get())));
    }
    schema_ = Schema(std::move(made));
    const auto& handle = open_collection(storage_).handle;
    records_ = make_records(state_, handle, in_core([&] { return handle->store->records(target_, schema_); }));
  }

  ModuleState& state_;
  PyObject* storage_;
  PyObject* transform_;
  std::string target_;
  OnDuplicate on_duplicate_;
  Ref records_;
  Schema schema_;
  std::uint64_t rows_ = 0;
  std::uint64_t duplicates_ = 0;
};

void pass_all(PyObject* source, Transformer& transformer) {
  const Matches all{new_reference(source), {}, "all"};
  Batch batch;
  visit_entries(all, true, [&](const ScanPage& page, const ScanPage::Item& item) {
    const ByteView record = page.value(item);
    batch.records.insert(batch.records.end(), record.begin(), record.end());
    check(PyList_Append(batch.keys.get(), key_object(page.key(item)).get()));
    if (static_cast<std::size_t>(batch.rows()) == kBatchRows) transformer.pass(source, std::exchange(batch, Batch()));
    return true;
  });
  if (batch.rows() != 0 || !transformer.has_schema()) transformer.pass(source, std::move(batch));
}

}  // namespace

CsvReport load_transformed(PyObject* storage, CsvOptions options, const CsvProgress& progress, PyObject* transform) {
  ModuleState& state = state_of(storage);
  if (PyCallable_Check(transform) == 0)
    fail(state, ErrorClass::kKind, "transform is a function, not %s", Py_TYPE(transform)->tp_name);
  const auto handle = open_collection(storage).handle;
  const std::string into = options.into;
  const WorkingCollection loaded(handle->store, into + " (loading)");
  const WorkingCollection transformed(handle->store, into + " (transforming)");
  options.into = loaded.name();
  CsvReport report = in_core_detached([&] { return handle->store->load_csv(options, progress); });
  auto records = in_core([&] { return handle->store->find_records(loaded.name()); });
  if (!records)
    fail(state, ErrorClass::kMissingKey, "the collection '%s' vanished while it was loaded", loaded.name().c_str());
  Ref source = make_records(state, handle, std::move(*records));
  Transformer transformer(storage, transform, transformed.name(), options.on_duplicate);
  pass_all(source.get(), transformer);
  in_core_detached([&] { handle->store->rename(transformed.name(), into, true); });
  report.rows = transformer.rows();
  report.duplicates += transformer.duplicates();
  report.schema = transformer.schema();
  return report;
}

}  // namespace kv::py
