"""Ours, with a path."""

from collections.abc import Sequence
from typing import Any

from kvbench.durable.base import DurableStore, Put, Sync
from kvbench.peers.base import batches
from kvbench.third_party import third_party


class KvStoragePath(DurableStore):
    """Storage(path) of kv_storage: sync="always"; sync="interval" of one second, the default."""

    several_writers = True

    def open(self, folder: str, sync: Sync) -> None:
        mode = "always" if sync == "always" else "interval"
        self._store: Any = third_party("kv_storage").Storage(f"{folder}/data", sync=mode)

    def close(self) -> None:
        self._store.close()

    def put(self) -> Put:
        put: Put = self._store.put
        return put

    def fill(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        for some_keys, some_values in zip(batches(keys), batches(values), strict=True):
            self._store.put_many(some_keys, some_values)

    def get(self, key: str) -> bytes | None:
        found: bytes | None = self._store.get(key)
        return found

    def read_all(self) -> int:
        return len(self._store)  # opening has everything in memory
