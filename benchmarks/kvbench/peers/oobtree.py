"""BTrees.OOBTree: ordered tree of Python objects, in C."""

from collections.abc import Sequence

from kvbench.peers.base import after_prefix, batches
from kvbench.peers.builtin_dict import Dict
from kvbench.third_party import third_party


class OOBTree(Dict):
    """OOBTree of BTrees, in C."""

    def open(self, folder: str) -> None:
        self._dict = third_party("BTrees.OOBTree").OOBTree()

    def put_many(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        for some_keys, some_values in zip(batches(keys), batches(values), strict=True):
            self._dict.update(list(zip(some_keys, some_values, strict=True)))

    def prefix_keys(self, prefix: str) -> list[str]:
        return list(self._dict.keys(prefix, after_prefix(prefix), False, True))

    def prefix_items(self, prefix: str) -> list[tuple[str, bytes]]:
        return list(self._dict.items(prefix, after_prefix(prefix), False, True))

    def scan(self) -> int:
        count = 0
        for _key, _value in self._dict.items():
            count += 1
        return count
