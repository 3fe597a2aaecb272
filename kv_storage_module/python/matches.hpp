// Matches: what find(), prefix() and range() return, and what every iteration of a collection is made of.
#pragma once

#include <Python.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "bind.hpp"

namespace kv::py {

// What len() has read for an iterator that has not begun yet. list(m) asks for the iterator first, then for the length,
// then for the items: so it walks the store once and not twice.
struct ReadAhead {
  explicit ReadAhead(bool values) noexcept : with_values(values) {}

  const bool with_values;
  std::mutex mutex;  // never held over a call of Python or of the core
  bool begun = false;
  std::optional<Scan> scan;  // stands behind `page`
  ScanPage page;
  bool whole = false;  // the page is all there is
};

struct Matches {
  static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

  Ref collection;
  KeyRange range;
  std::string description;  // the call that made it, for repr()
  bool reverse = false;
  std::uint64_t offset = 0;  // a slice: skip so many in iteration order, then give `limit`
  std::uint64_t limit = kNoLimit;
  std::weak_ptr<ReadAhead> newest = {};  // of the iterator made last; guarded by a CriticalSection of the object

  [[nodiscard]] bool sliced() const noexcept { return offset != 0 || limit != kNoLimit; }
  // A page of 64 keys costs no more than that, unless a pattern refuses most of what is visited.
  [[nodiscard]] bool page_is_short() const noexcept { return range.glob == nullptr; }
};

enum class Part { kKeys, kValues, kItems };

[[nodiscard]] Ref make_iterator(PyObject* matches, Part part);
// How many matches there are, if reading them ahead for an iterator tells: there is one that has not begun, and they
// are not too many.
[[nodiscard]] std::optional<std::uint64_t> count_ahead(PyObject* matches);

// Visits the keys of `matches` in its order, page by page, as copies; `visit` returns false to stop. It is called with
// the GIL held, may call Python, and may change the collection.
template <class Visit>
void visit_entries(const Matches& matches, bool with_values, Visit&& visit);

// The next page of a scan. Long scans let other Python threads run.
bool next_page(const Matches& matches, Scan& scan, ScanPage& page);
[[nodiscard]] Scan start_scan(const Matches& matches, bool with_values);

// Array access for collections with a schema (bind_columns.cpp); KindError for others.
PyObject* matches_column(PyObject* self, PyObject* name);
PyObject* matches_codes(PyObject* self, PyObject* name);
PyObject* matches_to_numpy(PyObject* self, PyObject*);

template <class Visit>
void visit_entries(const Matches& matches, bool with_values, Visit&& visit) {
  std::uint64_t skip = matches.offset;
  std::uint64_t left = matches.limit;
  Scan scan = start_scan(matches, with_values);
  ScanPage page;
  while (left != 0 && next_page(matches, scan, page)) {
    for (const ScanPage::Item& item : page.items) {
      if (skip != 0) {
        --skip;
        continue;
      }
      if (left-- == 0 || !visit(page, item)) return;
      if (left == 0) return;
    }
  }
}

}  // namespace kv::py
