"""LevelDB through plyvel."""

from collections.abc import Sequence
from typing import Any

from kvbench.durable.base import DurableStore, Put, Sync
from kvbench.third_party import third_party


class LevelDBFiles(DurableStore):
    """LevelDB; sync=True; or written to the log and left to the system."""

    def open(self, folder: str, sync: Sync) -> None:
        self._database: Any = third_party("plyvel").DB(f"{folder}/data", create_if_missing=True)
        self._sync = sync

    def close(self) -> None:
        self._database.close()

    def put(self) -> Put:
        put = self._database.put
        if self._sync == "always":
            return lambda key, value: put(key.encode(), value, sync=True)
        return lambda key, value: put(key.encode(), value)

    def fill(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        put = self.put()
        for key, value in zip(keys, values, strict=True):
            put(key, value)

    def get(self, key: str) -> bytes | None:
        found: bytes | None = self._database.get(key.encode())
        return found

    def read_all(self) -> int:
        return sum(1 for _ in self._database)
