"""pyarrow: a table, with a dict from key to row number."""

from typing import Any

from kvbench.tables.base import Table
from kvbench.third_party import third_party


class PyarrowTable(Table):
    """Function csv.read_csv + dict of row numbers."""

    lookups = 10_000

    def prepare(self) -> None:
        self._csv = third_party("pyarrow.csv")
        self._compute = third_party("pyarrow.compute")

    def load(self, path: str) -> None:
        self._table: Any = self._csv.read_csv(path).combine_chunks()
        keys = self._table["key"].to_pylist()
        self._rows = dict(zip(keys, range(len(keys)), strict=True))

    def row(self, key: str) -> tuple[int, float, str]:
        at = self._rows[key]
        count, price, text = (self._table[name][at].as_py() for name in ("count", "price", "text"))
        return count, price, text

    def price_sum(self, prefix: str) -> float:
        matches = self._compute.starts_with(self._table["key"], pattern=prefix)
        return float(self._compute.sum(self._table["price"].filter(matches)).as_py())

    def count_sum(self) -> int:
        return int(self._compute.sum(self._table["count"]).as_py())
