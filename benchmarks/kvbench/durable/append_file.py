"""The limit: a file that is appended to."""

import os
import time
from collections.abc import Sequence
from typing import BinaryIO

from kvbench.durable.base import DurableStore, Put, Sync

BUFFER_BYTES = 1 << 20


class AppendFile(DurableStore):
    """A file that is only appended to: write + fdatasync for each entry; or through a buffer, with one fdatasync a second."""

    restarts = False

    def open(self, folder: str, sync: Sync) -> None:
        buffering = BUFFER_BYTES if sync == "second" else 0
        self._file: BinaryIO = open(f"{folder}/log", "ab", buffering=buffering)  # noqa: SIM115 - closed by close()
        self._sync = sync
        self._synced = time.monotonic()

    def close(self) -> None:
        self._file.close()

    def put(self) -> Put:
        return self._put_synced if self._sync == "always" else self._put_buffered

    def _put_synced(self, key: str, value: bytes) -> None:
        self._file.write(key.encode() + value)
        os.fdatasync(self._file.fileno())

    def _put_buffered(self, key: str, value: bytes) -> None:
        self._file.write(key.encode() + value)
        now = time.monotonic()
        if now - self._synced > 1:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._synced = now

    def fill(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        raise NotImplementedError

    def get(self, key: str) -> bytes | None:
        raise NotImplementedError

    def read_all(self) -> int:
        raise NotImplementedError
