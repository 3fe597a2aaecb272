"""LMDB through py-lmdb."""

import time
from collections.abc import Sequence
from typing import Any

from kvbench.durable.base import DurableStore, Put, Sync
from kvbench.third_party import third_party

MAP_BYTES = 4 << 30


class LmdbFile(DurableStore):
    """LMDB, a transaction for each put; sync=True; or sync=False with writemap, and sync() once a second."""

    def open(self, folder: str, sync: Sync) -> None:
        lazy = sync == "second"
        self._environment: Any = third_party("lmdb").open(
            f"{folder}/data", map_size=MAP_BYTES, sync=not lazy, writemap=lazy
        )
        self._lazy = lazy
        self._synced = time.monotonic()

    def close(self) -> None:
        self._environment.sync(True)
        self._environment.close()

    def put(self) -> Put:
        return self._put_lazily if self._lazy else self._put

    def _put(self, key: str, value: bytes) -> None:
        with self._environment.begin(write=True) as transaction:
            transaction.put(key.encode(), value)

    def _put_lazily(self, key: str, value: bytes) -> None:
        self._put(key, value)
        now = time.monotonic()
        if now - self._synced > 1:
            self._environment.sync()
            self._synced = now

    def fill(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        with self._environment.begin(write=True) as transaction:
            for key, value in zip(keys, values, strict=True):
                transaction.put(key.encode(), value)

    def get(self, key: str) -> bytes | None:
        with self._environment.begin() as transaction:
            found: bytes | None = transaction.get(key.encode())
            return found

    def read_all(self) -> int:
        with self._environment.begin() as transaction:
            return sum(1 for _ in transaction.cursor())
