"""What the CSV workload asks of a peer."""

import abc
import inspect


class Table(abc.ABC):
    """A CSV file of `key,count,price,text` that can be asked. What it returns is checked.

    The docstring of an adapter says in one line what is measured; reports quote it.
    """

    lookups = 100_000  # look-ups to time; fewer where one takes long

    @property
    def note(self) -> str:
        return inspect.getdoc(type(self)) or ""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Imports what the peer needs: not timed."""

    @abc.abstractmethod
    def load(self, path: str) -> None:
        """Reads the file and makes it ready to be asked by key."""

    @abc.abstractmethod
    def row(self, key: str) -> tuple[int, float, str]:
        """Count, price and text of a key."""

    @abc.abstractmethod
    def price_sum(self, prefix: str) -> float:
        """Sum of the prices of all keys beginning with `prefix`."""

    @abc.abstractmethod
    def count_sum(self) -> int:
        """Sum of the whole column `count`."""
