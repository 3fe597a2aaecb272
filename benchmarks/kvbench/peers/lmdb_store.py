"""LMDB through py-lmdb: a B+ tree in a mapped file, here in memory and without syncs."""

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import Any

from kvbench.peers.base import Store, batches, scratch_folder
from kvbench.third_party import third_party

MAP_BYTES = 8 << 30


class Lmdb(Store):
    """LMDB through py-lmdb, file in memory, no sync, one transaction for each list."""

    def open(self, folder: str) -> None:
        self._folder = scratch_folder(folder)
        self.data_folder = self._folder.name
        self._environment: Any = third_party("lmdb").open(
            self._folder.name, map_size=MAP_BYTES, readahead=False, sync=False, writemap=True
        )
        self._transaction: Any = None

    def close(self) -> None:
        if self._environment:
            self._environment.close()
        self._folder.cleanup()

    def put(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        with self._environment.begin(write=True) as transaction:
            put = transaction.put
            for key, value in zip(keys, values, strict=True):
                put(key.encode(), value)

    def get(self, keys: Sequence[str]) -> None:
        with self._environment.begin() as transaction:
            get = transaction.get
            for key in keys:
                get(key.encode())

    def view(self, keys: Sequence[str]) -> None:
        with self._environment.begin(buffers=True) as transaction:
            get = transaction.get
            for key in keys:
                get(key.encode())

    def put_many(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        with self._environment.begin(write=True) as transaction:
            put = transaction.cursor().putmulti
            for some_keys, some_values in zip(batches(keys), batches(values), strict=True):
                put([(key.encode(), value) for key, value in zip(some_keys, some_values, strict=True)])

    def get_many(self, keys: Sequence[str]) -> None:
        with self._environment.begin() as transaction:
            get = transaction.cursor().getmulti
            for batch in batches(keys):
                get([key.encode() for key in batch])

    def value(self, key: str) -> bytes:
        with self._environment.begin() as transaction:
            return bytes(transaction.get(key.encode()))

    def prefix_keys(self, prefix: str) -> list[bytes]:
        start = prefix.encode()
        found = []
        with self._environment.begin() as transaction:
            cursor = transaction.cursor()
            if cursor.set_range(start):
                for key in cursor.iternext(keys=True, values=False):
                    if not key.startswith(start):
                        break
                    found.append(key)
        return found

    def prefix_items(self, prefix: str) -> list[tuple[bytes, bytes]]:
        start = prefix.encode()
        found = []
        with self._environment.begin() as transaction:
            cursor = transaction.cursor()
            if cursor.set_range(start):
                for item in cursor.iternext(keys=True, values=True):
                    if not item[0].startswith(start):
                        break
                    found.append(item)
        return found

    def scan(self) -> int:
        count = 0
        with self._environment.begin() as transaction:
            for _key, _value in transaction.cursor():
                count += 1
        return count

    def glob_keys(self, pattern: str) -> list[bytes]:
        matches = re.compile(fnmatch.translate(pattern).encode()).match
        return [key for key in self.prefix_keys(pattern.partition("*")[0]) if matches(key)]

    def before_fork(self) -> None:
        self._environment.close()  # an environment must not be used across fork
        self._environment = None

    def reader(self) -> Callable[[Sequence[str]], None]:
        environment = third_party("lmdb").open(self._folder.name, readonly=True, lock=False, readahead=False)
        transaction = environment.begin()

        def read(keys: Sequence[str], *, get: Callable[[bytes], object] = transaction.get) -> None:
            for key in keys:
                get(key.encode())

        self._environment = environment  # keeps it open as long as the transaction is used
        return read

    def put_array(self, key: str, array: Any) -> None:
        if self._transaction is None:
            self._transaction = self._environment.begin(write=True)
        self._transaction.put(key.encode(), array)

    def end_of_puts(self) -> None:
        self._transaction.commit()
        self._transaction = self._environment.begin(buffers=True)
        self._frombuffer = third_party("numpy").frombuffer

    def get_array(self, key: str) -> Any:
        return self._frombuffer(self._transaction.get(key.encode()))

    def end_of_gets(self) -> None:
        self._transaction.abort()
        self._transaction = None
