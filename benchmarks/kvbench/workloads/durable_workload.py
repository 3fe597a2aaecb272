"""Puts one by one that are on disk when they return, or about a second later; and opening a million entries again.

Files lie below the folder of generated input, which should be on a disk that syncs for real. The limit is measured in
every process, before and after: how often that disk writes 4 KiB into a file that has its blocks already, and syncs.
"""

import json
import os
import time

from kvbench import data, durable
from kvbench.durable.base import DurableStore, Put, Sync
from kvbench.measure import Metrics, Result
from kvbench.peers import OURS
from kvbench.peers.base import scratch_folder
from kvbench.settings import Settings

PEERS = ("append", OURS, "lmdb", "leveldb", "rocksdb", "sqlite", "redis")

PROBE_BYTES = 4096
PROBE_BLOCKS = 4096
VALUES = 128
LOOK_AT_THE_CLOCK = 16  # puts between two looks
SPREAD = 7919  # a prime: keys come in no order


def run(peer: str, settings: Settings) -> Result:
    os.makedirs(settings.work, exist_ok=True)
    store = durable.make(peer)
    before = _syncs_per_s(settings)
    metrics = {
        (name if name == "two_x_one" else f"always_{name}"): figure
        for name, figure in _puts(store, "always", settings).items()
    }
    limit = (before + _syncs_per_s(settings)) / 2
    metrics |= {"limit_per_s": limit, "always_x_limit": metrics["always_puts_per_s"] / limit}
    metrics |= {f"second_{name}": figure for name, figure in _puts(store, "second", settings).items()}
    if store.restarts:
        metrics |= _restart(store, settings)
    return Result(metrics, store.note)


def _syncs_per_s(settings: Settings) -> float:
    block = os.urandom(PROBE_BYTES)
    with scratch_folder(settings.work) as folder, open(f"{folder}/probe", "wb", buffering=0) as probe:
        probe.write(bytes(PROBE_BYTES * PROBE_BLOCKS))
        os.fsync(probe.fileno())
        done = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < settings.query_seconds:
            os.pwrite(probe.fileno(), block, done % PROBE_BLOCKS * PROBE_BYTES)
            os.fdatasync(probe.fileno())
            done += 1
        return done / elapsed


def _puts(store: DurableStore, sync: Sync, settings: Settings) -> Metrics:
    with scratch_folder(settings.work) as folder:
        store.open(folder, sync)
        try:
            one = _rate(store.put(), 0, settings)
            if sync != "always" or not store.several_writers:
                return {"puts_per_s": one}
            two = _two_writers(store.put(), settings)
            again = _rate(store.put(), 0, settings)  # the device's speed drifts
            one = (one + again) / 2
            return {"puts_per_s": one, "two_puts_per_s": two, "two_x_one": two / one}
        finally:
            store.close()


def _rate(put: Put, first: int, settings: Settings) -> float:
    """Puts a second, over twice `query_seconds`: long enough to have synced once where that happens every second."""
    values = data.values(VALUES)
    done = 0
    start = time.perf_counter()
    until = start + 2 * settings.query_seconds
    while True:
        put(data.key((first + done * SPREAD) % settings.entries), values[done % VALUES])
        done += 1
        if (done < LOOK_AT_THE_CLOCK or done % LOOK_AT_THE_CLOCK == 0) and time.perf_counter() > until:
            return done / (time.perf_counter() - start)


def _two_writers(put: Put, settings: Settings) -> float:
    """Both rates together; the second writer is a forked process."""
    report, to_report = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(to_report, json.dumps(_rate(put, 1, settings)).encode())
        finally:
            os._exit(0)
    os.close(to_report)
    own = _rate(put, 0, settings)
    with open(report) as lines:
        other = json.loads(lines.read())
    os.waitpid(child, 0)
    return own + float(other)


def _restart(store: DurableStore, settings: Settings) -> Metrics:
    keys = data.shuffled_keys(settings.entries, 1, settings.work)
    values = data.values(settings.entries)
    with scratch_folder(settings.work) as folder:
        store.open(folder, "second")
        try:
            store.fill(keys, values)
        finally:
            store.close()
        bytes_on_disk = sum(entry.stat().st_blocks * 512 for entry in _files(folder))
        start = time.perf_counter()
        store.open(folder, "second")
        try:
            assert store.get(keys[0]) == values[0]
            first = time.perf_counter() - start
            assert store.read_all() == settings.entries
            whole = time.perf_counter() - start
        finally:
            store.close()
    return {
        "disk_entry_bytes": bytes_on_disk / settings.entries,
        "first_get_ms": first * 1e3,
        "reopen_ms": whole * 1e3,
    }


def _files(folder: str) -> list[os.DirEntry[str]]:
    found: list[os.DirEntry[str]] = []
    for entry in os.scandir(folder):
        if entry.is_dir():
            found += _files(entry.path)
        else:
            found.append(entry)
    return found
