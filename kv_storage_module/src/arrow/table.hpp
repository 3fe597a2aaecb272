// A collection as a table: what its columns are, and how a page of its entries becomes rows of them.
#pragma once

#include <memory>
#include <vector>

#include "arrow/column.hpp"
#include "collections/scanner.hpp"

namespace kv::arrow {

class Table {
 public:
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  virtual ~Table() = default;

  // As the consumer gets them.
  [[nodiscard]] const std::vector<Field>& fields() const noexcept { return fields_; }

  [[nodiscard]] PartScan scan(const Selection& selection) const;

  // Empty columns to append to: not always of the types of the fields.
  [[nodiscard]] virtual std::vector<Column> make_columns() const;
  // Appends the items [first, last) of a page. Outside of sections and locks.
  virtual void append(const ScanPage& page, std::size_t first, std::size_t last, std::vector<Column>& columns) = 0;
  // Hands over what was appended, all read from contents as `state` had. False, and nothing has changed: the collection
  // has other contents by now, so that the codes of its categories cannot be told.
  [[nodiscard]] virtual bool finish(const PartScan::State& state, std::vector<Column>& columns, ArrowArray* out);

 protected:
  Table(std::shared_ptr<HashImpl> collection, std::vector<Field> fields, bool has_values);

  [[nodiscard]] const HashImpl& collection() const noexcept { return *collection_; }

 private:
  std::shared_ptr<HashImpl> collection_;
  std::vector<Field> fields_;
  bool has_values_;
};

// See export_schema() for `requested` and for what they throw.
[[nodiscard]] std::unique_ptr<Table> make_record_table(const RecordHash& records, const ArrowSchema* requested);
// Reads until it knows the type of the values, which decides on the column.
[[nodiscard]] std::unique_ptr<Table> make_ordered_table(const Ordered& ordered, const Selection& selection,
                                                        const ArrowSchema* requested);

}  // namespace kv::arrow
