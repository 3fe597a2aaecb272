"""DuckDB: a table with a primary key, in memory."""

from typing import Any

from kvbench.tables.base import Table
from kvbench.third_party import third_party


class DuckdbTable(Table):
    """Table with primary key in memory, filled by read_csv."""

    lookups = 2_000

    def prepare(self) -> None:
        self._duckdb = third_party("duckdb")

    def load(self, path: str) -> None:
        self._connection: Any = self._duckdb.connect()
        self._connection.execute(
            "create table t(key varchar primary key, count bigint, price double, text varchar)"
        )
        self._connection.execute("insert into t select * from read_csv(?)", [path])

    def _one(self, query: str, *parameters: object) -> Any:
        return self._connection.execute(query, parameters).fetchone()

    def row(self, key: str) -> tuple[int, float, str]:
        count, price, text = self._one("select count, price, text from t where key = ?", key)
        return count, price, text

    def price_sum(self, prefix: str) -> float:
        return float(self._one("select sum(price) from t where starts_with(key, ?)", prefix)[0])

    def count_sum(self) -> int:
        return int(self._one("select sum(count) from t")[0])
