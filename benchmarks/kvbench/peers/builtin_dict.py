"""The plain dict: stores references, so it copies nothing and its values are Python objects."""

import fnmatch
from collections.abc import Sequence
from typing import Any

from kvbench.peers.base import Store, batches


class Dict(Store):
    """The built-in: stores references, copies nothing, unordered."""

    def __init__(self) -> None:
        self._dict: Any = {}

    def open(self, folder: str) -> None:
        self._dict = {}

    def close(self) -> None:
        self._dict = {}

    def put(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        store = self._dict
        for key, value in zip(keys, values, strict=True):
            store[key] = value

    def get(self, keys: Sequence[str]) -> None:
        store = self._dict
        for key in keys:
            store[key]

    def put_many(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        update = self._dict.update
        for some_keys, some_values in zip(batches(keys), batches(values), strict=True):
            update(zip(some_keys, some_values, strict=True))

    def get_many(self, keys: Sequence[str]) -> None:
        store = self._dict
        for batch in batches(keys):
            [store[key] for key in batch]

    def value(self, key: str) -> bytes:
        found: bytes = self._dict[key]
        return found

    def prefix_keys(self, prefix: str) -> list[str]:
        return [key for key in self._dict if key.startswith(prefix)]

    def prefix_items(self, prefix: str) -> list[tuple[str, bytes]]:
        return [item for item in self._dict.items() if item[0].startswith(prefix)]

    def scan(self) -> int:
        store = self._dict
        count = 0
        for key in sorted(store):
            store[key]
            count += 1
        return count

    def glob_keys(self, pattern: str) -> list[str]:
        return fnmatch.filter(self._dict, pattern)

    def put_array(self, key: str, array: Any) -> None:
        self._dict[key] = array.copy()

    def end_of_puts(self) -> None:
        pass

    def get_array(self, key: str) -> Any:
        return self._dict[key]

    def end_of_gets(self) -> None:
        pass
