// The three exports. The callbacks of a stream run on threads of the consumer, with or without the GIL of some
// interpreter: they must neither call Python nor wait in a way that does.

#include <cerrno>
#include <memory>
#include <new>
#include <string>

#include "arrow/batches.hpp"
#include "arrow/list_source.hpp"
#include "kv_storage/error.hpp"
#include "memory/part.hpp"

namespace kv::arrow {
namespace {

[[nodiscard]] std::unique_ptr<Source> make_source(const Collection& collection, const Selection& selection,
                                                  const ArrowSchema* requested) {
  if (const auto* list = std::get_if<List>(&collection)) return make_list_source(*list, requested);
  if (const auto* records = std::get_if<RecordHash>(&collection)) {
    return std::make_unique<Batches>(make_record_table(*records, requested), selection);
  }
  return std::make_unique<Batches>(make_ordered_table(std::get<Ordered>(collection), selection, requested), selection);
}

// What a stream handed out owns. The handle keeps the store open as long as it is not closed.
struct OwnedStream {
  OwnedStream(const Collection& of, const Selection& selection, const ArrowSchema* requested)
      : collection(of), source(make_source(of, selection, requested)) {}

  Collection collection;
  std::unique_ptr<Source> source;
  std::string error;
};

[[nodiscard]] OwnedStream& owned_by(ArrowArrayStream* stream) noexcept {
  return *static_cast<OwnedStream*>(stream->private_data);
}

// Runs `call`; what it throws becomes an errno and the stream's error.
template <class Call>
int guarded(ArrowArrayStream* stream, Call&& call) noexcept {
  const Part::PatientScope patient;  // waiting for a lock asks for no GIL and for no signal's handler
  OwnedStream& owned = owned_by(stream);
  try {
    owned.error.clear();
    call(owned);
    return 0;
  } catch (const Error& error) {
    owned.error = error.what();
    return error.code() == ErrorCode::kOverCapacity ? ENOMEM : EINVAL;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  } catch (const std::exception& error) {
    owned.error = error.what();
    return EIO;
  }
}

int get_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  return guarded(stream, [&](OwnedStream& owned) { export_fields(owned.source->fields(), out); });
}

int get_next(ArrowArrayStream* stream, ArrowArray* out) {
  return guarded(stream, [&](OwnedStream& owned) {
    *out = {};
    (void)owned.source->next(out);  // without a batch it stays released: the end
  });
}

const char* get_last_error(ArrowArrayStream* stream) {
  const std::string& error = owned_by(stream).error;
  return error.empty() ? nullptr : error.c_str();
}

void release_stream(ArrowArrayStream* stream) {
  const Part::PatientScope patient;
  delete &owned_by(stream);
  stream->release = nullptr;
}

}  // namespace

void export_schema(const Collection& collection, const Selection& selection, ArrowSchema* out) {
  export_fields(make_source(collection, selection, nullptr)->fields(), out);
}

void export_array(const Collection& collection, const Selection& selection, const ArrowSchema* requested,
                  ArrowSchema* schema, ArrowArray* out) {
  const std::unique_ptr<Source> source = make_source(collection, selection, requested);
  source->rest(out);
  try {
    export_fields(source->fields(), schema);
  } catch (...) {
    out->release(out);
    throw;
  }
}

void export_stream(const Collection& collection, const Selection& selection, const ArrowSchema* requested,
                   ArrowArrayStream* out) {
  auto owned = std::make_unique<OwnedStream>(collection, selection, requested);
  *out = {};
  out->get_schema = &get_schema;
  out->get_next = &get_next;
  out->get_last_error = &get_last_error;
  out->private_data = owned.release();
  out->release = &release_stream;
}

}  // namespace kv::arrow
