"""Ours: the Python module kv_storage, a private store in off-heap memory."""

from collections.abc import Callable, Sequence
from typing import Any

from kvbench.peers.base import Store, batches
from kvbench.third_party import third_party


class KvStorage(Store):
    """Storage.memory() of kv_storage: copies in and out, ordered, crash-safe, shared between processes."""

    def open(self, folder: str) -> None:
        self._store: Any = third_party("kv_storage").Storage.memory()

    def close(self) -> None:
        self._store.close()

    def put(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        put = self._store.put
        for key, value in zip(keys, values, strict=True):
            put(key, value)

    def get(self, keys: Sequence[str]) -> None:
        get = self._store.get
        for key in keys:
            get(key)

    def view(self, keys: Sequence[str]) -> None:
        view = self._store.view
        for key in keys:
            view(key)

    def put_many(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        put_many = self._store.put_many
        for some_keys, some_values in zip(batches(keys), batches(values), strict=True):
            put_many(some_keys, some_values)

    def get_many(self, keys: Sequence[str]) -> None:
        get_many = self._store.get_many
        for batch in batches(keys):
            get_many(batch)

    def value(self, key: str) -> bytes:
        found: bytes = self._store[key]
        return found

    def prefix_keys(self, prefix: str) -> list[str]:
        return list(self._store.find(prefix + "*").keys())

    def prefix_items(self, prefix: str) -> list[tuple[str, bytes]]:
        return list(self._store.find(prefix + "*").items())

    def scan(self) -> int:
        count = 0
        for _key, _value in self._store.items():
            count += 1
        return count

    def glob_keys(self, pattern: str) -> list[str]:
        return list(self._store.find(pattern).keys())

    def used_bytes(self) -> int:
        return int(self._store.stats()["used_bytes"])

    def committed_bytes(self) -> int:
        return int(self._store.stats()["committed_bytes"])

    def writer(self) -> Callable[[Sequence[str], Sequence[bytes]], None] | None:
        return self.put

    def put_array(self, key: str, array: Any) -> None:
        self._store.put(key, array)

    def end_of_puts(self) -> None:
        pass

    def get_array(self, key: str) -> Any:
        return self._store.get(key)

    def end_of_gets(self) -> None:
        pass
