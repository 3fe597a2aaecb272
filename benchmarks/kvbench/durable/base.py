"""What the workload `durable` asks of a peer."""

import abc
import inspect
from collections.abc import Callable, Sequence
from typing import Literal

Sync = Literal["always", "second"]  # on disk when a put returns; about once a second
Put = Callable[[str, bytes], object]


class DurableStore(abc.ABC):
    """A key-value store with its files below a folder. The docstring of an adapter says how the two syncs are made."""

    restarts = True  # whether it can be opened again and asked
    several_writers = False  # whether a forked process may write through `put()` of the open store

    @property
    def note(self) -> str:
        return inspect.getdoc(type(self)) or ""

    @abc.abstractmethod
    def open(self, folder: str, sync: Sync) -> None:
        """Makes a store, or opens the one that is there, to the point where a key can be asked for."""

    @abc.abstractmethod
    def close(self) -> None: ...

    @abc.abstractmethod
    def put(self) -> Put:
        """What writes one entry, as directly as the peer's user can have it."""

    @abc.abstractmethod
    def fill(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        """Writes all, in the fastest way that the peer documents."""

    @abc.abstractmethod
    def get(self, key: str) -> bytes | None: ...

    @abc.abstractmethod
    def read_all(self) -> int:
        """Makes every entry answerable from memory, by reading it where `open` did not; returns how many there are."""
