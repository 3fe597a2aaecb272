"""pandas: a frame indexed by key."""

from typing import Any

from kvbench.tables.base import Table
from kvbench.third_party import third_party


class PandasTable(Table):
    """Function read_csv + set_index + loc."""

    lookups = 2_000

    def prepare(self) -> None:
        self._pandas = third_party("pandas")

    def load(self, path: str) -> None:
        self._frame: Any = self._pandas.read_csv(path).set_index("key")

    def row(self, key: str) -> tuple[int, float, str]:
        count, price, text = self._frame.loc[key]
        return int(count), float(price), str(text)

    def price_sum(self, prefix: str) -> float:
        return float(self._frame.loc[self._frame.index.str.startswith(prefix), "price"].sum())

    def count_sum(self) -> int:
        return int(self._frame["count"].sum())
