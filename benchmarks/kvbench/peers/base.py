"""What the workloads ask of a peer.

Keys are `str`, values `bytes`: what a peer's user must convert is part of the cost.
"""

import abc
import inspect
import tempfile
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any, Protocol, TypeVar, runtime_checkable

BATCH = 1_000
Item = TypeVar("Item")


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def after_prefix(prefix: str) -> str:
    """The least string above all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def scratch_folder(where: str) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kv-storage-bench-", dir=where, ignore_cleanup_errors=True)


class Store(abc.ABC):
    """A key-value store. Methods take whole lists: the loop around each call is then the same for all peers.

    The docstring of an adapter says in one line what is measured; reports quote it.
    """

    single_calls: int | None = (
        None  # one-by-one calls worth waiting for, where one takes a round trip; None = all
    )
    server_process: int | None = None  # the process that holds the data, if not this one
    data_folder: str | None = None  # where the data lie, if in files

    @property
    def note(self) -> str:
        return inspect.getdoc(type(self)) or ""

    @abc.abstractmethod
    def open(self, folder: str) -> None:
        """Makes an empty store; files, if any, go below `folder`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Gives everything back. The store may be opened again."""

    @abc.abstractmethod
    def put(self, keys: Sequence[str], values: Sequence[bytes]) -> None: ...

    @abc.abstractmethod
    def get(self, keys: Sequence[str]) -> None: ...

    @abc.abstractmethod
    def put_many(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        """In calls of BATCH entries."""

    @abc.abstractmethod
    def get_many(self, keys: Sequence[str]) -> None:
        """In calls of BATCH keys."""

    @abc.abstractmethod
    def value(self, key: str) -> bytes:
        """One value, to check that the store holds what was put."""

    def before_fork(self) -> None:  # noqa: B027 - most peers have nothing to do
        """Called once in the parent when the store is full and readers are about to be forked."""

    def reader(self) -> Callable[[Sequence[str]], None]:
        """Called in a forked process; returns what looks up a list of keys there."""
        return self.get

    def writer(self) -> Callable[[Sequence[str], Sequence[bytes]], None] | None:
        """Called in a forked process; returns what overwrites a list of keys while readers read, if that works."""
        return None


@runtime_checkable
class Views(Protocol):
    """Stores that hand out their own memory."""

    def view(self, keys: Sequence[str]) -> None: ...


@runtime_checkable
class PrefixQueries(Protocol):
    """Stores that answer which keys begin with a text."""

    def prefix_keys(self, prefix: str) -> Sequence[str | bytes]: ...
    def prefix_items(self, prefix: str) -> Sized: ...


@runtime_checkable
class OrderedScan(Protocol):
    """Stores that walk all items in key order."""

    def scan(self) -> int: ...


@runtime_checkable
class Globs(Protocol):
    """Stores whose user can find keys by a pattern with a wildcard inside."""

    def glob_keys(self, pattern: str) -> Sequence[str | bytes]: ...


@runtime_checkable
class Accounting(Protocol):
    """Stores that know their own size."""

    def used_bytes(self) -> int: ...
    def committed_bytes(self) -> int: ...


@runtime_checkable
class Arrays(Protocol):
    """Stores that NumPy arrays can be put into and looked at."""

    def put_array(self, key: str, array: Any) -> None: ...
    def end_of_puts(self) -> None: ...
    def get_array(self, key: str) -> Any: ...
    def end_of_gets(self) -> None: ...
