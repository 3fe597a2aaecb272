"""polars: a frame, with a dict from key to row number, as it has no index of its own."""

from typing import Any

from kvbench.tables.base import Table
from kvbench.third_party import third_party


class PolarsTable(Table):
    """Function read_csv + dict of row numbers."""

    def prepare(self) -> None:
        self._polars = third_party("polars")

    def load(self, path: str) -> None:
        self._frame: Any = self._polars.read_csv(path)
        self._rows = dict(zip(self._frame["key"].to_list(), range(len(self._frame)), strict=True))

    def row(self, key: str) -> tuple[int, float, str]:
        _, count, price, text = self._frame.row(self._rows[key])
        return count, price, text

    def price_sum(self, prefix: str) -> float:
        matches = self._polars.col("key").str.starts_with(prefix)
        return float(self._frame.filter(matches)["price"].sum())

    def count_sum(self) -> int:
        return int(self._frame["count"].sum())
