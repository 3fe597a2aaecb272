"""Ours: kv.load_csv into a collection with a schema."""

from typing import Any

from kvbench.tables.base import Table
from kvbench.third_party import third_party


class KvStorageTable(Table):
    """Storage.load_csv into a schema Hash."""

    def prepare(self) -> None:
        self._module = third_party("kv_storage")
        third_party("numpy")  # answers are arrays

    def load(self, path: str) -> None:
        self._store: Any = self._module.Storage.memory()
        self._store.load_csv(path, "rows", key="{key}")
        self._rows = self._store.hash("rows")

    def row(self, key: str) -> tuple[int, float, str]:
        row = self._rows[key]
        return row["count"], row["price"], row["text"]

    def price_sum(self, prefix: str) -> float:
        return float(self._rows.find(prefix + "*").column("price").sum())

    def count_sum(self) -> int:
        return int(self._rows.column("count").sum())
