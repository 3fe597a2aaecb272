// What a stream pulls its batches from.
#pragma once

#include <vector>

#include "arrow/field.hpp"

namespace kv::arrow {

class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  [[nodiscard]] virtual const std::vector<Field>& fields() const noexcept = 0;
  // Up to kBatchRows rows, or a few more; false = there are none left. It may be called again if it threw: the batch is
  // read again.
  virtual bool next(ArrowArray* out) = 0;
  // All that are left, as one batch: also if there are none.
  virtual void rest(ArrowArray* out) = 0;
};

}  // namespace kv::arrow
