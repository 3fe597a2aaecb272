"""SQLite of the standard library."""

import sqlite3
from collections.abc import Sequence

from kvbench.durable.base import DurableStore, Put, Sync

PUT = "insert or replace into entries values (?, ?)"


class SqliteFile(DurableStore):
    """SQLite in WAL mode, autocommit; synchronous=FULL; or NORMAL, which leaves the log to the system."""

    def open(self, folder: str, sync: Sync) -> None:
        self._database = sqlite3.connect(f"{folder}/data", isolation_level=None)
        self._database.execute("pragma journal_mode=wal")
        self._database.execute(f"pragma synchronous={'full' if sync == 'always' else 'normal'}")
        self._database.execute(
            "create table if not exists entries (key text primary key, value blob) without rowid"
        )

    def close(self) -> None:
        self._database.close()

    def put(self) -> Put:
        execute = self._database.execute
        return lambda key, value: execute(PUT, (key, value))

    def fill(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        self._database.execute("begin")
        self._database.executemany(PUT, zip(keys, values, strict=True))
        self._database.execute("commit")

    def get(self, key: str) -> bytes | None:
        row = self._database.execute("select value from entries where key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def read_all(self) -> int:
        return sum(1 for _ in self._database.execute("select key, value from entries"))
