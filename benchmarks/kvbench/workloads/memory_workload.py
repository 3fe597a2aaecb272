"""Bytes per entry above the payload (a key of 23 bytes, a value of 100).

Keys and values are made while loading and not kept. Counted is the growth of this process, or of the peer's
server, after freed memory was given back. Memory that lies in files (tmpfs, memfd) counts once and in full:
as the process has touched it, as the files hold it or as the store has committed it, whichever is most.
"""

import os

from kvbench import data, peers
from kvbench.measure import Metrics, Result
from kvbench.memory_use import folder_bytes, give_back, memory_use
from kvbench.peers.base import BATCH, Accounting, Store
from kvbench.settings import Settings

PEERS = ("dict", peers.OURS, "lmdb", "redis", "oobtree", "sortedcontainers", "leveldb")

PAYLOAD = data.KEY_BYTES + data.VALUE_BYTES


def run(peer: str, settings: Settings) -> Result:
    store = peers.make(peer)
    store.open(settings.shm)
    try:
        return Result(_measure(store, settings), store.note)
    finally:
        store.close()


def _measure(store: Store, settings: Settings) -> Metrics:
    process = store.server_process or "self"
    count = settings.entries
    order = data.shuffled(count, 1, settings.work)
    block = os.urandom(1 << 20)
    give_back()
    before = memory_use(process)
    committed_before = store.committed_bytes() if isinstance(store, Accounting) else 0
    for start in range(0, count, BATCH):
        numbers = order[start : start + BATCH]
        offsets = [number % (len(block) - data.VALUE_BYTES) for number in numbers]
        store.put_many(
            [data.key(number) for number in numbers], [block[at : at + data.VALUE_BYTES] for at in offsets]
        )
    give_back()
    after = memory_use(process)

    anonymous = (after.anonymous - before.anonymous) / count
    shared = (after.shared - before.shared) / count
    metrics = {"anonymous_bytes": anonymous, "shared_bytes": shared}
    if store.data_folder:
        metrics["file_bytes"] = folder_bytes(store.data_folder) / count
    if isinstance(store, Accounting):
        metrics["used_bytes"] = store.used_bytes() / count
        metrics["committed_bytes"] = (store.committed_bytes() - committed_before) / count
    in_files = max(shared, metrics.get("file_bytes", 0), metrics.get("committed_bytes", 0))
    metrics["overhead_bytes"] = anonymous + in_files - PAYLOAD
    return metrics
