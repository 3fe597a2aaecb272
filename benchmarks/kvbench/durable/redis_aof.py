"""Redis with its append-only file."""

from collections.abc import Sequence
from typing import Any

from kvbench.durable.base import DurableStore, Put, Sync
from kvbench.peers.base import batches
from kvbench.peers.redis_server import RedisServer


class RedisAof(DurableStore):
    """A redis-server of its own on a unix socket, append-only file; appendfsync always; or everysec."""

    def open(self, folder: str, sync: Sync) -> None:
        policy = "always" if sync == "always" else "everysec"
        self._server = RedisServer(folder, "--appendonly", "yes", "--appendfsync", policy)
        try:
            self._client: Any = self._server.connect()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._server.stop()

    def put(self) -> Put:
        put: Put = self._client.set
        return put

    def fill(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        for some_keys, some_values in zip(batches(keys), batches(values), strict=True):
            self._client.mset(dict(zip(some_keys, some_values, strict=True)))

    def get(self, key: str) -> bytes | None:
        found: bytes | None = self._client.get(key)
        return found

    def read_all(self) -> int:
        return int(self._client.dbsize())  # starting has everything in memory
