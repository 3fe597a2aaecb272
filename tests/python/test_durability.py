"""A data directory: what was acknowledged is there again, whoever was killed and whenever."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kv_storage import ArgumentError, CorruptionError, Storage

if TYPE_CHECKING:
    from kv_storage import RecordHash

SYNC_MODES = ("off", "interval", "always")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def contents(kv: Storage) -> dict[str, Any]:
    found: dict[str, Any] = {"": dict(kv.items())}
    for name, kind in kv.collections().items():
        if kind == "hash":
            found[name] = dict(kv.hash(name).items())
        elif kind == "records":
            found[name] = {key: row.asdict() for key, row in kv.hash(name).items()}
        elif kind == "map":
            found[name] = list(kv.map(name).items())
        elif kind == "set":
            found[name] = list(kv.set(name))
        elif kind == "list":
            found[name] = list(kv.list(name))
    return found


def durability(kv: Storage) -> Any:
    figures = kv.stats()["durability"]
    assert figures is not None
    return figures


@contextlib.contextmanager
def reopened(path: Path) -> Iterator[Storage]:
    with Storage(path) as kv:
        assert kv.verify() == []
        yield kv


@pytest.mark.parametrize("sync", SYNC_MODES)
def test_every_type_and_collection_is_there_again(path: Path, sync: Any) -> None:
    with Storage(path, sync=sync) as kv:
        for value in (None, True, -5, 2**80, 1.5, "text", b"bytes", date(2018, 6, 6), [1, {"a": (2, None)}]):
            kv[f"value {value!r}"] = value
        kv["array"] = np.arange(10_000, dtype="i4").reshape(100, 100)
        kv.put("with ttl", 1, ttl=1000)
        table = kv.hash("table", schema={"n": "i4", "carrier": "category", "day": "date"})
        table["a"] = {"n": 1, "carrier": "UA", "day": date(2018, 6, 6)}
        table["b"] = {"n": 2, "carrier": None, "day": None}
        table.set_fields("b", carrier="AA")
        kv.map("scores")[1.5] = "x"
        kv.set("days").add(date(2018, 6, 6))
        kv.list("names").extend(["a", "b", "a", None])
        kv.hash("gone")["x"] = 1
        kv.rename("gone", "renamed")
        kv.hash("dropped")["x"] = 1
        kv.drop("dropped")
        kv.cache("cache").put("x", 1)
        before = contents(kv)
    with reopened(path) as kv:
        assert kv["array"].dtype == np.dtype("i4")
        assert kv["array"].shape == (100, 100)
        assert (kv["array"] == np.arange(10_000).reshape(100, 100)).all()
        assert 900 < (kv.ttl("with ttl") or 0) <= 1000
        now = contents(kv)
        del before[""]["array"], now[""]["array"]
        assert now == before
        assert cast("RecordHash", kv.hash("table")).column("carrier").tolist() == ["UA", "AA"]
        assert "cache" not in kv.collections()


def test_arguments() -> None:
    for arguments, message in (
        ({"sync": "sometimes"}, "'off', 'interval' or 'always', not 'sometimes'"),
        ({"sync": 1}, "not 1"),
        ({"sync_interval": 0}, "greater than 0"),
        ({"sync_interval": 4000}, "is not between"),
    ):
        with pytest.raises(ArgumentError, match=message):
            Storage("/nowhere/at/all", **arguments)
    with pytest.raises(ArgumentError, match="go with the path"):
        Storage(sync="always")


def test_stats_flush_and_checkpoint(path: Path) -> None:
    with Storage.memory() as kv:
        assert kv.stats()["durability"] is None
        kv.flush()
        kv.checkpoint()
    with Storage(path, sync="off") as kv:
        kv["a"] = 1
        figures = durability(kv)
        assert figures["sync"] == "off"
        assert figures["log_bytes"] == figures["unsynced_bytes"] > 0
        assert figures["checkpoint"] == 0
        assert [figures[name] for name in ("failure", "checkpoint_error", "checkpoint_time")] == [None] * 3
        kv.flush()
        assert durability(kv)["unsynced_bytes"] == 0
        kv.checkpoint()
        figures = durability(kv)
        assert figures["log_bytes"] == 0
        assert figures["checkpoint"] > 0
        assert abs((figures["checkpoint_time"] or 0) - time.time()) < 60
        # Another handle changes the mode for all.
        with Storage(path, sync="interval", sync_interval=0.01):
            assert durability(kv)["sync"] == "interval"
            assert durability(kv)["sync_interval"] == 0.01


def test_the_interval_syncs_by_itself(path: Path) -> None:
    with Storage(path, sync_interval=0.01) as kv:
        kv["a"] = 1
        until = time.monotonic() + 60
        while durability(kv)["unsynced_bytes"]:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_forking_meets_no_thread_of_the_store(path: Path) -> None:
    with Storage(path, sync_interval=0.01) as kv:
        for i in range(5):
            kv[f"parent {i}"] = i
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "error", DeprecationWarning
                )  # os.fork() of a process with threads, from 3.12 on
                pid = os.fork()
            if pid == 0:
                kv[f"child {i}"] = i
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
    with reopened(path) as kv:
        assert len(kv) == 10


WRITER = """
import sys
from kv_storage import Storage
path, sync, name = sys.argv[1:]
kv = Storage(path, sync=sync)
own = kv.hash(name)
at = max((int(key) + 1 for key in own), default=0)
print("ready", flush=True)
while True:
    kv.incr("total")  # first: who is killed behind it counts this step again
    own[f"{at:08}"] = f"{name}-{at}" * (at % 50)
    if at % 7 == 0:
        del own[f"{at // 7:08}"]
        own[f"{at // 7:08}"] = "again"
    if at % 500 == 499:
        kv.checkpoint()
    at += 1
    sys.stdout.write(f"{at}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("sync", SYNC_MODES)
def test_what_was_acknowledged_survives_killing_the_whole_family(path: Path, sync: str) -> None:
    chance = random.Random(sync)
    for rounds in range(1, 5):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, os.fspath(path), sync, f"writer{n}"],
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            for n in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        time.sleep(chance.random() * 0.5)
        for writer in writers:
            os.killpg(writer.pid, signal.SIGKILL)
        with_acknowledged = []
        for writer in writers:
            assert writer.stdout is not None
            lines = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
            with_acknowledged.append(int(lines[-1]) if lines else 0)
            writer.stdout.close()
            writer.wait()
        with reopened(path) as kv:
            for n, acknowledged in enumerate(with_acknowledged):
                name = f"writer{n}"
                own = kv.hash(name)
                again = {at // 7 for at in range(0, acknowledged + 1, 7)}  # the next one may have begun
                for at in range(acknowledged):
                    value = own.get(f"{at:08}")
                    # The last step may be half done: each of its calls is, or is not.
                    assert value == f"{name}-{at}" * (at % 50) or (at in again and value in ("again", None))
                missing = [at for at in range(acknowledged) if f"{at:08}" not in own]
                assert len(missing) <= rounds
            assert kv.get("total", 0) >= sum(with_acknowledged)


def test_threads_write_durably_together(path: Path) -> None:
    with Storage(path, sync="always") as kv:

        def write(name: int) -> None:
            for i in range(25):
                kv[f"{name}-{i}"] = i

        threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert durability(kv)["unsynced_bytes"] == 0
        kv.put_many({f"many-{i}": i for i in range(1000)})
        assert durability(kv)["unsynced_bytes"] == 0
    with reopened(path) as kv:
        assert len(kv) == 1100


keys = st.sampled_from([f"k{i}" for i in range(20)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.integers() | st.text(max_size=20) | st.binary(max_size=2000)),
        st.tuples(st.just("delete"), keys, st.none()),
        st.tuples(st.just("incr"), st.just("number"), st.integers(-5, 5)),
        st.tuples(st.just("clear"), st.none(), st.none()),
        st.tuples(st.just("reopen"), st.none(), st.none()),
        st.tuples(st.just("checkpoint"), st.none(), st.none()),
        st.tuples(st.just("flush"), st.none(), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=steps)
def test_any_history_with_reopening_is_that_of_a_dict(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any, Any]]
) -> None:
    path = tmp_path_factory.mktemp("history") / "data"
    model: dict[str, Any] = {}
    kv = Storage(path, sync="off")
    for step, key, value in steps:
        if step == "put":
            kv[key] = model[key] = value
        elif step == "delete":
            assert kv.delete(key) == (model.pop(key, None) is not None)
        elif step == "incr":
            model[key] = model.get(key, 0) + value
            assert kv.incr(key, value) == model[key]
        elif step == "clear":
            kv.clear()
            model.clear()
        elif step == "reopen":
            kv.close()
            kv = Storage(path, sync="off")
        elif step == "checkpoint":
            kv.checkpoint()
        else:
            kv.flush()
        assert dict(kv.items()) == model
    kv.close()
    with reopened(path) as kv:
        assert dict(kv.items()) == model


def test_damage_is_refused_by_name_and_offset(path: Path) -> None:
    with Storage(path) as kv:
        for i in range(10):
            kv[f"key{i}"] = "value"
    (log,) = path.glob("log-*")
    damaged = bytearray(log.read_bytes())
    damaged[100] ^= 1
    log.write_bytes(damaged)
    with pytest.raises(CorruptionError, match=rf"{log}' is damaged at offset 64"):
        Storage(path)
