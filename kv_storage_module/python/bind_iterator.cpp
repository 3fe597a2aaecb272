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
  Scan scan;
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
    if (std::atomic_ref(iteration_.running).exchange(true, kOrder)) {
      PyErr_SetString(PyExc_ValueError, "the iterator is in use by another thread");
      throw PythonError{};
    }
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { std::atomic_ref(iteration_.running).store(false, std::memory_order_release); }

 private:
  static constexpr auto kOrder = std::memory_order_acquire;
  Iteration& iteration_;
};

bool refill(Iteration& iteration) {
  iteration.at = 0;
  iteration.page.items.clear();
  const Matches& matches = fields<Matches>(iteration.matches.get());
  if (!next_page(matches, iteration.scan, iteration.page)) return false;
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
  const Matches& all = fields<Matches>(matches);
  ModuleState& state = state_of(matches);
  Iteration iteration{.matches = new_reference(matches), .part = part, .scan = start_scan(all, part != Part::kKeys)};
  iteration.skip = all.offset;
  iteration.left = all.limit;
  return make_instance(state, state.iterator_type.get(), std::move(iteration));
}

void bind_iterator(PyObject* module, ModuleState& state) { state.iterator_type = make_type(module, spec); }

}  // namespace kv::py
