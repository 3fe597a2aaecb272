// The three exports. The callbacks of a stream run on threads of the consumer, with or without the GIL of some
// interpreter: they must neither call Python nor wait in a way that does.

#include <cerrno>
#include <memory>
#include <new>
#include <string>

#include "arrow/batches.hpp"
#include "kv_storage/error.hpp"
#include "memory/part.hpp"

namespace kv::arrow {
namespace {

[[nodiscard]] std::unique_ptr<Table> make_table(const Collection& collection, const Selection& selection,
                                                const ArrowSchema* requested) {
  if (const auto* records = std::get_if<RecordHash>(&collection)) return make_record_table(*records, requested);
  return make_ordered_table(std::get<Ordered>(collection), selection, requested);
}

// What a stream handed out owns. The handle keeps the store open as long as it is not closed.
struct OwnedStream {
  OwnedStream(const Collection& of, const Selection& selection, const ArrowSchema* requested)
      : collection(of), batches(make_table(of, selection, requested), selection) {}

  Collection collection;
  Batches batches;
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
  return guarded(stream, [&](OwnedStream& owned) { export_fields(owned.batches.table().fields(), out); });
}

int get_next(ArrowArrayStream* stream, ArrowArray* out) {
  return guarded(stream, [&](OwnedStream& owned) {
    *out = {};
    (void)owned.batches.next(out);  // without a batch it stays released: the end
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
  export_fields(make_table(collection, selection, nullptr)->fields(), out);
}

void export_array(const Collection& collection, const Selection& selection, const ArrowSchema* requested,
                  ArrowSchema* schema, ArrowArray* out) {
  Batches batches(make_table(collection, selection, requested), selection);
  batches.rest(out);
  try {
    export_fields(batches.table().fields(), schema);
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
