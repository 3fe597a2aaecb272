// The Arrow PyCapsule interface: C structs of the core, in capsules that release what nobody took.

#include <memory>

#include "args.hpp"
#include "bind.hpp"
#include "kv_storage/arrow.hpp"
#include "list_fields.hpp"
#include "matches.hpp"

namespace kv::py {
namespace {

constexpr char kSchemaName[] = "arrow_schema";
constexpr char kArrayName[] = "arrow_array";
constexpr char kStreamName[] = "arrow_array_stream";

// Whoever imports the struct moves it out and leaves it released.
template <class Struct, const char* kName>
void destroy(PyObject* capsule) noexcept {
  auto* exported = static_cast<Struct*>(PyCapsule_GetPointer(capsule, kName));
  if (exported->release != nullptr) exported->release(exported);
  delete exported;
}

template <class Struct, const char* kName>
Ref make_capsule(std::unique_ptr<Struct> exported) {
  Ref capsule = Ref::steal(PyCapsule_New(exported.get(), kName, &destroy<Struct, kName>));
  if (!capsule) {
    exported->release(exported.get());
    throw PythonError{};
  }
  (void)exported.release();
  return capsule;
}

struct Exported {
  arrow::Collection collection;
  arrow::Selection selection;
};

arrow::Collection source(PyObject* collection) {
  auto& core = open_collection(collection).core;
  if (const auto* records = std::get_if<RecordHash>(&core)) return *records;
  if (const auto* ordered = std::get_if<Ordered>(&core)) return *ordered;
  fail(state_of(collection), ErrorClass::kKind,
       "a Hash has values of any type and no columns for Arrow: use kv.hash(name, schema=...), a Map, Set or List");
}

Exported of_collection(PyObject* self) { return {source(self), {}}; }
Exported of_list(PyObject* self) { return {open_list(self), {}}; }

Exported of_matches(PyObject* self) {
  const Matches& matches = fields<Matches>(self);
  return {source(matches.collection.get()), {matches.range, matches.reverse, matches.offset, matches.limit}};
}

const ArrowSchema* requested_schema(PyObject* capsule) {
  if (capsule == nullptr || capsule == Py_None) return nullptr;
  auto* schema = static_cast<const ArrowSchema*>(PyCapsule_GetPointer(capsule, kSchemaName));
  if (schema != nullptr) return schema;
  PyErr_Clear();
  PyErr_SetString(PyExc_TypeError, "requested_schema is an 'arrow_schema' capsule, as __arrow_c_schema__() returns it");
  throw PythonError{};
}

PyObject* schema_of(const Exported& exported) {
  auto schema = std::make_unique<ArrowSchema>();
  in_core_detached([&] { arrow::export_schema(exported.collection, exported.selection, schema.get()); });
  return make_capsule<ArrowSchema, kSchemaName>(std::move(schema)).release();
}

PyObject* array_of(const Exported& exported, PyObject* requested) {
  const ArrowSchema* wanted = requested_schema(requested);
  auto schema = std::make_unique<ArrowSchema>();
  auto array = std::make_unique<ArrowArray>();
  in_core_detached(
      [&] { arrow::export_array(exported.collection, exported.selection, wanted, schema.get(), array.get()); });
  // From here on the array has an owner before the next step can fail.
  Ref of_array = make_capsule<ArrowArray, kArrayName>(std::move(array));
  Ref of_schema = make_capsule<ArrowSchema, kSchemaName>(std::move(schema));
  return PyTuple_Pack(2, of_schema.get(), of_array.get());
}

PyObject* stream_of(const Exported& exported, PyObject* requested) {
  const ArrowSchema* wanted = requested_schema(requested);
  auto stream = std::make_unique<ArrowArrayStream>();
  in_core_detached([&] { arrow::export_stream(exported.collection, exported.selection, wanted, stream.get()); });
  return make_capsule<ArrowArrayStream, kStreamName>(std::move(stream)).release();
}

constexpr Signature<1> kArray = {"__arrow_c_array__", {"requested_schema"}, 0};
constexpr Signature<1> kStream = {"__arrow_c_stream__", {"requested_schema"}, 0};

template <auto Of>
PyObject* array_method(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[1];
  if (!kArray.parse(args, count, keywords, given)) return nullptr;
  return array_of(Of(self), given[0]);
}

template <auto Of>
PyObject* stream_method(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* given[1];
  if (!kStream.parse(args, count, keywords, given)) return nullptr;
  return stream_of(Of(self), given[0]);
}

constexpr char kSchemaDoc[] =
    "__arrow_c_schema__($self, /)\n--\n\nThe columns as an ArrowSchema capsule: what pyarrow.schema() calls.";
constexpr char kArrayDoc[] =
    "__arrow_c_array__($self, /, requested_schema=None)\n--\n\n"
    "All rows as one batch, in ArrowSchema and ArrowArray capsules: what pyarrow.record_batch() calls.";
constexpr char kStreamDoc[] =
    "__arrow_c_stream__($self, /, requested_schema=None)\n--\n\n"
    "The rows as an ArrowArrayStream capsule: what pyarrow.table(), polars.DataFrame() and DuckDB call.\n\n"
    "Batches of 65,536 rows in key order, read as they are pulled, each one state of the collection; others may write\n"
    "meanwhile. `requested_schema` is an ArrowSchema capsule: the same columns, of other types.\n\n"
    "Raises:\n"
    "    KindError: the collection has no columns, or a Map begins with a value that no column holds.\n"
    "    ArgumentError: the requested schema has other columns.";

template <auto Of>
PyObject* schema_method(PyObject* self, PyObject*) {
  return schema_of(Of(self));
}

template <auto Of>
PyMethodDef methods[] = {
    {"__arrow_c_schema__", method<schema_method<Of>>(), METH_NOARGS, kSchemaDoc},
    {"__arrow_c_array__", method<array_method<Of>>(), METH_FASTCALL | METH_KEYWORDS, kArrayDoc},
    {"__arrow_c_stream__", method<stream_method<Of>>(), METH_FASTCALL | METH_KEYWORDS, kStreamDoc},
};

template <auto Of>
void add_methods(const Ref& type) {
  for (PyMethodDef& definition : methods<Of>) {
    Ref made = checked(PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type.get()), &definition));
    check(PyObject_SetAttrString(type.get(), definition.ml_name, made.get()));
  }
}

}  // namespace

void bind_arrow(PyObject*, ModuleState& state) {
  for (const Ref* type : {&state.record_hash_type, &state.map_type, &state.set_type}) add_methods<of_collection>(*type);
  add_methods<of_matches>(state.matches_type);
  add_methods<of_list>(state.list_type);
}

}  // namespace kv::py
