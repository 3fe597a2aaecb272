"""sortedcontainers.SortedDict: a dict with a sorted list of its keys, in Python."""

from kvbench.peers.base import after_prefix
from kvbench.peers.builtin_dict import Dict
from kvbench.third_party import third_party


class SortedDict(Dict):
    """SortedDict of sortedcontainers, pure Python."""

    def open(self, folder: str) -> None:
        self._dict = third_party("sortedcontainers").SortedDict()

    def prefix_keys(self, prefix: str) -> list[str]:
        return list(self._dict.irange(prefix, after_prefix(prefix), (True, False)))

    def prefix_items(self, prefix: str) -> list[tuple[str, bytes]]:
        store = self._dict
        return [(key, store[key]) for key in store.irange(prefix, after_prefix(prefix), (True, False))]

    def scan(self) -> int:
        return sum(1 for _ in self._dict.items())
