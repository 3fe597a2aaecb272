"""RocksDB through rocksdict."""

from collections.abc import Sequence
from typing import Any

from kvbench.durable.base import DurableStore, Put, Sync
from kvbench.third_party import third_party


class RocksDBFiles(DurableStore):
    """RocksDB with its write-ahead log; sync; or written to the log and left to the system."""

    def open(self, folder: str, sync: Sync) -> None:
        rocksdict = third_party("rocksdict")
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        self._database: Any = rocksdict.Rdict(f"{folder}/data", options)
        how = rocksdict.WriteOptions()
        how.sync = sync == "always"
        self._database.set_write_options(how)

    def close(self) -> None:
        self._database.close()

    def put(self) -> Put:
        put = self._database.put
        return lambda key, value: put(key.encode(), value)

    def fill(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        put = self.put()
        for key, value in zip(keys, values, strict=True):
            put(key, value)
        self._database.flush()

    def get(self, key: str) -> bytes | None:
        found: bytes | None = self._database.get(key.encode())
        return found

    def read_all(self) -> int:
        return sum(1 for _ in self._database.items())
