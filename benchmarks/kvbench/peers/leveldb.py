"""LevelDB through plyvel: a log-structured merge tree, here with its files in memory."""

from collections.abc import Sequence
from typing import Any

from kvbench.peers.base import Store, batches, scratch_folder
from kvbench.third_party import third_party


class LevelDB(Store):
    """LevelDB through plyvel, files in memory, no sync, bloom filter 10 bits, cache 256 MB."""

    def open(self, folder: str) -> None:
        self._folder = scratch_folder(folder)
        self.data_folder = self._folder.name
        self._database: Any = third_party("plyvel").DB(
            f"{self._folder.name}/db",
            create_if_missing=True,
            bloom_filter_bits=10,
            lru_cache_size=256 << 20,
            write_buffer_size=64 << 20,
        )

    def close(self) -> None:
        self._database.close()
        self._folder.cleanup()

    def put(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        put = self._database.put
        for key, value in zip(keys, values, strict=True):
            put(key.encode(), value)

    def get(self, keys: Sequence[str]) -> None:
        get = self._database.get
        for key in keys:
            get(key.encode())

    def put_many(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        for some_keys, some_values in zip(batches(keys), batches(values), strict=True):
            with self._database.write_batch() as batch:
                for key, value in zip(some_keys, some_values, strict=True):
                    batch.put(key.encode(), value)

    def get_many(self, keys: Sequence[str]) -> None:
        get = self._database.get
        for batch in batches(keys):
            [get(key.encode()) for key in batch]

    def value(self, key: str) -> bytes:
        return bytes(self._database.get(key.encode()))

    def prefix_keys(self, prefix: str) -> list[bytes]:
        return list(self._database.iterator(prefix=prefix.encode(), include_value=False))

    def prefix_items(self, prefix: str) -> list[tuple[bytes, bytes]]:
        return list(self._database.iterator(prefix=prefix.encode()))

    def scan(self) -> int:
        count = 0
        for _key, _value in self._database:
            count += 1
        return count
