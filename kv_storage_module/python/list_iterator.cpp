// Iterating over a List as over a list: by position, each item as it is when its turn comes. Items are read a page at a
// time; a page that may be out of date by one load of the part's sequence number is read again.

#include <algorithm>

#include "list_fields.hpp"

namespace kv::py {
namespace {

constexpr std::uint64_t kFirstPage = 16;
constexpr std::uint64_t kLastPage = 512;
constexpr std::uint64_t kPageBytes = 64 * 1024;

struct ListIteration {
  Ref list;  // null once exhausted, for good
  bool backwards = false;
  std::int64_t position = 0;  // of the next item
  std::int64_t page_first = 0;
  std::uint64_t page_size = kFirstPage;
  std::unique_ptr<ListItems> page = std::make_unique<ListItems>();
  std::unique_ptr<DecodedItems> decoded;
  bool running = false;
};

// As a generator, an iterator serves one thread at a time: it says so instead of mixing two up.
class Running {
 public:
  explicit Running(ListIteration& iteration) : iteration_(iteration) {
    if (std::atomic_ref(iteration_.running).exchange(true, std::memory_order_acquire)) {
      PyErr_SetString(PyExc_ValueError, "the iterator is in use by another thread");
      throw PythonError{};
    }
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { std::atomic_ref(iteration_.running).store(false, std::memory_order_release); }

 private:
  ListIteration& iteration_;
};

[[nodiscard]] bool in_page(const ListIteration& iteration) noexcept {
  const std::int64_t at = iteration.position - iteration.page_first;
  return iteration.decoded && at >= 0 && at < static_cast<std::int64_t>(iteration.page->codes.size());
}

// Reads the page that begins, or backwards ends, with the next item.
void read_page(ListIteration& iteration) {
  PyObject* const list = iteration.list.get();
  const List& core = open_list(list);
  const bool used_up = iteration.decoded && !in_page(iteration);
  iteration.page_size = used_up ? std::min(iteration.page_size * 2, kLastPage) : kFirstPage;
  const auto size = static_cast<std::int64_t>(iteration.page_size);
  const std::int64_t first =
      iteration.backwards ? std::max<std::int64_t>(iteration.position + 1 - size, 0) : iteration.position;
  const std::int64_t stop = iteration.backwards ? iteration.position + 1 : iteration.position + size;
  iteration.decoded.reset();
  iteration.page_first = first;
  in_core([&] { core.read({.start = first, .stop = stop, .step = 1}, *iteration.page, kPageBytes); });
  // Large values: a page may end before the item. Then that alone is the page.
  if (iteration.backwards && iteration.position - first >= static_cast<std::int64_t>(iteration.page->codes.size())) {
    iteration.page_first = iteration.position;
    in_core([&] { core.read({.start = iteration.position, .stop = stop, .step = 1}, *iteration.page); });
  }
  iteration.decoded = std::make_unique<DecodedItems>(state_of(list), *iteration.page);
}

PyObject* next(PyObject* self) {
  ListIteration& iteration = fields<ListIteration>(self);
  Running running(iteration);
  if (!iteration.list) return nullptr;
  const List& core = open_list(iteration.list.get());
  if (!in_page(iteration) || !core.unchanged_since(*iteration.page)) {
    if (iteration.position >= 0) read_page(iteration);
    if (iteration.position < 0 || !in_page(iteration)) {
      iteration.list = Ref();
      return nullptr;
    }
  }
  Ref item = iteration.decoded->at(static_cast<std::size_t>(iteration.position - iteration.page_first));
  iteration.position += iteration.backwards ? -1 : 1;
  return item.release();
}

PyObject* length_hint(PyObject* self, PyObject*) {
  const ListIteration& iteration = fields<ListIteration>(self);
  if (!iteration.list) return PyLong_FromLong(0);
  const List& core = open_list(iteration.list.get());
  const auto length = static_cast<std::int64_t>(in_core([&] { return core.size(); }));
  const std::int64_t left = iteration.backwards ? (iteration.position < length ? iteration.position + 1 : 0)
                                                : std::max<std::int64_t>(length - iteration.position, 0);
  return PyLong_FromLongLong(left);
}

PyMethodDef methods[] = {
    {"__length_hint__", method<length_hint>(), METH_NOARGS,
     "__length_hint__($self, /)\n--\n\nHow many items are left."},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Iterator over the items of a List, by position; safe while others write.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate<ListIteration>)},
    {Py_tp_iter, reinterpret_cast<void*>(&PyObject_SelfIter)},
    {Py_tp_iternext, slot<next>()},
    {Py_tp_methods, methods},
    {0, nullptr},
};
PyType_Spec spec = {"kv_storage.ListIterator", sizeof(Instance<ListIteration>), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

PyObject* make(PyObject* self, bool backwards) {
  const List& core = open_list(self);
  ListIteration iteration;
  iteration.list = new_reference(self);
  iteration.backwards = backwards;
  if (backwards) iteration.position = static_cast<std::int64_t>(in_core([&] { return core.size(); })) - 1;
  ModuleState& state = state_of(self);
  return make_instance(state, state.list_iterator_type.get(), std::move(iteration)).release();
}

}  // namespace

PyObject* list_iterate(PyObject* self) { return make(self, false); }
PyObject* list_iterate_reversed(PyObject* self, PyObject*) { return make(self, true); }

void bind_list_iterator(PyObject* module, ModuleState& state) { state.list_iterator_type = make_type(module, spec); }

}  // namespace kv::py
