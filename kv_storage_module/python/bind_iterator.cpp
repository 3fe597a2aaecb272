// The iterator over matches: pages of keys copied out of the store, turned into Python objects one by one.

#include "bind.hpp"
#include "matches.hpp"
#include "ordered_codec.hpp"
#include "record_codec.hpp"
#include "text.hpp"
#include "value_codec.hpp"

namespace kv::py {
namespace {

struct Iteration {
  Ref matches;
  Part part;
  std::shared_ptr<ReadAhead> ahead;
  std::optional<Scan> scan = {};  // none: it has not begun
  ScanPage page = {};
  std::shared_ptr<RecordContents> contents = nullptr;  // of a collection with a schema: what the page was read from
  std::size_t at = 0;
  std::uint64_t skip = 0;
  std::uint64_t left = 0;
  bool running = false;  // a page is being fetched, perhaps with the GIL given up
};

// As a generator, an iterator serves one thread at a time: it says so instead of mixing two up.
class Running {
 public:
  explicit Running(Iteration& iteration) : iteration_(iteration) {
    if (start(iteration_.running)) {
      PyErr_SetString(PyExc_ValueError, "the iterator is in use by another thread");
      throw PythonError{};
    }
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
#ifdef Py_GIL_DISABLED
  ~Running() { std::atomic_ref(iteration_.running).store(false, std::memory_order_release); }

 private:
  static bool start(bool& running) noexcept {
    return std::atomic_ref(running).exchange(true, std::memory_order_acquire);
  }
#else  // an atomic exchange for each item would take longer than making it
  ~Running() { iteration_.running = false; }

 private:
  static bool start(bool& running) noexcept { return std::exchange(running, true); }
#endif
  Iteration& iteration_;
};

// With what was read ahead, unless the store has changed since.
void begin(Iteration& iteration) {
  {
    ReadAhead& ahead = *iteration.ahead;
    const std::lock_guard lock(ahead.mutex);
    ahead.begun = true;
    if (ahead.scan && ahead.scan->current()) {
      iteration.scan = std::move(ahead.scan);
      iteration.page = std::move(ahead.page);
    }
  }
  if (!iteration.scan) {
    iteration.scan.emplace(start_scan(fields<Matches>(iteration.matches.get()), iteration.part != Part::kKeys));
  }
  iteration.ahead.reset();
}

bool fetch_page(Iteration& iteration) {
  if (!iteration.scan) begin(iteration);
  if (!iteration.page.items.empty()) return true;
  return next_page(fields<Matches>(iteration.matches.get()), *iteration.scan, iteration.page);
}

bool refill(Iteration& iteration) {
  iteration.at = 0;
  iteration.page.items.clear();
  const Matches& matches = fields<Matches>(iteration.matches.get());
  if (!fetch_page(iteration)) return false;
  PyObject* collection = matches.collection.get();
  if (const auto& codec = open_collection(collection).codec; codec && iteration.part != Part::kKeys) {
    iteration.contents = codec->contents_of_page(open_records(collection), iteration.page);
  }
  return true;
}

// The value of an entry; empty if it was too large for the page and is gone by now.
Ref value_of(Iteration& iteration, const ScanPage::Item& item) {
  PyObject* collection = fields<Matches>(iteration.matches.get()).collection.get();
  if (item.large) return read_value(collection, iteration.page.key(item));
  const ByteView bytes = iteration.page.value(item);
  if (iteration.contents) return open_collection(collection).codec->decode(*iteration.contents, bytes.data());
  return checked(decode_copied(state_of(collection), item.type, bytes));
}

Ref entry(Iteration& iteration, const ScanPage::Item& item) {
  PyObject* collection = fields<Matches>(iteration.matches.get()).collection.get();
  if (iteration.part == Part::kKeys) return collection_key(collection, iteration.page.key(item));
  Ref value = value_of(iteration, item);
  if (!value || iteration.part == Part::kValues) return value;
  Ref key = collection_key(collection, iteration.page.key(item));
  Ref pair = checked(PyTuple_New(2));
  PyTuple_SET_ITEM(pair.get(), 0, key.release());
  PyTuple_SET_ITEM(pair.get(), 1, value.release());
  return pair;
}

PyObject* next(PyObject* self) {
  Iteration& iteration = fields<Iteration>(self);
  Running running(iteration);
  while (iteration.left != 0) {
    if (iteration.at == iteration.page.items.size() && !refill(iteration)) {
      iteration.left = 0;
      break;
    }
    const ScanPage::Item& item = iteration.page.items[iteration.at++];
    if (iteration.skip != 0) {
      --iteration.skip;
      continue;
    }
    if (Ref made = entry(iteration, item)) {
      --iteration.left;
      return made.release();
    }
  }
  return nullptr;
}

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Iterator over keys, values or items, in key order; safe while others write.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate<Iteration>)},
    {Py_tp_iter, reinterpret_cast<void*>(&PyObject_SelfIter)},
    {Py_tp_iternext, slot<next>()},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.Iterator", sizeof(Instance<Iteration>), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

Scan start_scan(const Matches& matches, bool with_values) {
  return with_core(matches.collection.get(), [&](auto& core) {
    return in_core([&] { return core.scan(matches.range, with_values, matches.reverse); });
  });
}

bool next_page(const Matches& matches, Scan& scan, ScanPage& page) {
  (void)open_collection(matches.collection.get());
  if (matches.page_is_short()) return in_core([&] { return scan.next(page); });
  return in_core_detached([&] { return scan.next(page); });
}

Ref make_iterator(PyObject* matches, Part part) {
  Matches& all = fields<Matches>(matches);
  ModuleState& state = state_of(matches);
  (void)open_collection(all.collection.get());
  auto ahead = std::make_shared<ReadAhead>(part != Part::kKeys);
  {
    const CriticalSection section(matches);
    all.newest = ahead;
  }
  Iteration iteration{.matches = new_reference(matches), .part = part, .ahead = std::move(ahead)};
  iteration.skip = all.offset;
  iteration.left = all.limit;
  return make_instance(state, state.iterator_type.get(), std::move(iteration));
}

std::optional<std::uint64_t> count_ahead(PyObject* self) {
  constexpr std::size_t kMost = 4'096;         // matches,
  constexpr std::size_t kMostBytes = 4 << 20;  // and bytes of theirs
  const Matches& matches = fields<Matches>(self);
  std::shared_ptr<ReadAhead> ahead;
  {
    const CriticalSection section(self);
    ahead = matches.newest.lock();
  }
  if (!ahead || matches.sliced()) return std::nullopt;
  {
    const std::lock_guard lock(ahead->mutex);
    if (ahead->begun) return std::nullopt;
    if (ahead->scan && ahead->scan->current()) {
      return ahead->whole ? std::optional<std::uint64_t>(ahead->page.items.size()) : std::nullopt;
    }
  }
  Scan scan = start_scan(matches, ahead->with_values);
  ScanPage all;
  ScanPage page;
  bool whole = false;
  while (!whole && all.items.size() < kMost && all.bytes.size() < kMostBytes) {
    whole = !next_page(matches, scan, page);
    if (whole) break;
    if (!all.items.empty() && page.serial != all.serial) return std::nullopt;  // replaced meanwhile
    all.append(page);
  }
  const std::size_t count = all.items.size();
  const std::lock_guard lock(ahead->mutex);
  if (!ahead->begun) {
    ahead->scan = std::move(scan);
    ahead->page = std::move(all);
    ahead->whole = whole;
  }
  return whole ? std::optional<std::uint64_t>(count) : std::nullopt;
}

void bind_iterator(PyObject* module, ModuleState& state) { state.iterator_type = make_type(module, spec); }

}  // namespace kv::py
