"""Lists in a data directory: what was acknowledged is there again, in its order."""

from __future__ import annotations

import inspect
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kv_storage import Storage
from numpy.testing import assert_array_equal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_every_type_is_there_again_and_the_list_goes_on(path: Path) -> None:
    values = [None, True, -5, 2**80, 1.5, float("inf"), "text", b"bytes", [1, {"a": (2, None)}], "text", ""]
    for checkpointed in (False, True):
        with Storage(path) as kv:
            items = kv.list(f"items {checkpointed}")
            items.extend(values)
            items.append(np.arange(1000).reshape(10, 100))
            if checkpointed:
                kv.checkpoint()
            items.append("last")
        with Storage(path) as kv:
            assert kv.verify() == []
            items = kv.list(f"items {checkpointed}")
            assert items[:-2] == values
            assert [type(item) for item in items[:-2]] == [type(value) for value in values]
            assert_array_equal(items[-2], np.arange(1000).reshape(10, 100))
            assert items[-1] == "last"
            items.sort(key=repr)
            items += [1, 2]
    with Storage(path) as kv:
        first, second = kv.list("items False"), kv.list("items True")
        assert len(first) == len(second) == len(values) + 4
        assert first[-2:] == second[-2:] == [1, 2]


def test_long_columns(path: Path) -> None:
    hours = np.arange(200_000) % 24
    with Storage(path) as kv:
        column = kv.list("hours")
        column.extend(hours)
        column[1000:1010] = ["x"] * 5
        kv.checkpoint()
        del column[::2]
        column.reverse()
    expected: list[Any] = hours.tolist()
    expected[1000:1010] = ["x"] * 5
    del expected[::2]
    expected.reverse()
    with Storage(path) as kv:
        assert kv.list("hours") == expected
        assert kv.verify() == []


def step(items: Any, at: int, checkpoint: Callable[[], None]) -> None:
    """One call; which one follows from its number."""
    size = len(items)
    value = f"value {at % 40}" if at % 3 else at
    if at % 7 == 3 and size:
        del items[at * 31 % size]
    elif at % 7 == 4 and size:
        items[at * 17 % size] = value
    elif at % 7 == 5 and size:
        items.pop()
    elif at % 97 == 6:
        items.reverse()
    elif at % 1000 == 999:
        items.clear()
    elif at % 250 == 77:
        checkpoint()
    else:
        items.insert(at * 13 % (size + 1), value)


WRITER = f"""
import sys
from collections.abc import Callable
from typing import Any
from kv_storage import Storage
{inspect.getsource(step)}
path, sync, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
kv = Storage(path, sync=sync)
items = kv.list("items")
print("ready", flush=True)
while True:
    step(items, at, kv.checkpoint)
    at += 1
    sys.stdout.write(f"{{at}}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("sync", ["off", "interval", "always"])
def test_what_was_acknowledged_survives_killing_the_whole_family(path: Path, sync: str) -> None:
    chance = random.Random(sync)
    model: list[Any] = []
    at = 0
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, os.fspath(path), sync, str(at)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(chance.random() * 0.5)
        os.killpg(writer.pid, signal.SIGKILL)
        lines = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = int(lines[-1]) if lines else at
        writer.stdout.close()
        writer.wait()
        for number in range(at, acknowledged):
            step(model, number, lambda: None)
        at = acknowledged
        with Storage(path) as kv:
            assert kv.verify() == []
            found = list(kv.list("items"))
        if found != model:  # the step that nobody was told of
            step(model, at, lambda: None)
            at += 1
        assert found == model


values = (
    st.sampled_from(["a", "b", "c", 1, 1.0, True, None, "x" * 1000]) | st.integers() | st.text(max_size=5)
)
index = st.integers(-12, 12)
bound = st.none() | index
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), values),
        st.tuples(st.just("extend"), st.lists(values, max_size=10)),
        st.tuples(st.just("insert"), st.tuples(index, values)),
        st.tuples(st.just("set"), st.tuples(index, values)),
        st.tuples(st.just("delete"), index),
        st.tuples(st.just("pop"), index),
        st.tuples(st.just("remove"), values),
        st.tuples(st.just("replace"), st.tuples(bound, bound, st.lists(values, max_size=6))),
        st.tuples(st.just("delete slice"), st.tuples(bound, bound, st.sampled_from([1, 2, -1, -3]))),
        st.tuples(st.sampled_from(["reverse", "clear", "repeat"]), st.none()),
        st.tuples(st.sampled_from(["reopen", "checkpoint", "rename"]), st.none()),
    ),
    max_size=40,
)


def change(items: Any, what: str, given: Any) -> Any:
    """Do it, and answer what a list answers or raises."""
    try:
        match what:
            case "append" | "extend" | "remove" | "pop":
                return getattr(items, what)(given)
            case "insert":
                items.insert(*given)
            case "set":
                items[given[0]] = given[1]
            case "delete":
                del items[given]
            case "replace":
                items[given[0] : given[1]] = given[2]
            case "delete slice":
                del items[slice(*given)]
            case "repeat":
                if len(items) < 200:
                    items *= 2
            case "reverse" | "clear":
                getattr(items, what)()
    except (IndexError, ValueError) as error:
        return type(error)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=steps)
def test_any_history_with_reopening_is_that_of_a_list(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("history") / "data"
    model: list[Any] = []
    kv = Storage(path, sync="off")
    names = ["items", "renamed"]
    for what, given_ in steps:
        items = kv.list(names[0])
        if what == "reopen":
            kv.close()
            kv = Storage(path, sync="off")
        elif what == "checkpoint":
            kv.checkpoint()
        elif what == "rename":
            kv.rename(*names)
            names.reverse()
        else:
            assert change(items, what, given_) == change(model, what, given_)
        found = kv.list(names[0])[:]
        assert found == model
        assert [type(value) for value in found] == [type(value) for value in model]
    kv.close()
    with Storage(path) as kv:
        assert kv.list(names[0]) == model
        assert kv.verify() == []


def test_a_backup_has_the_list(path: Path, tmp_path: Path) -> None:
    with Storage(path) as kv:
        items = kv.list("items")
        items.extend(range(10_000))
        kv.backup(tmp_path / "first")
        items.insert(0, "later")
        kv.backup(tmp_path / "second")
    with Storage(tmp_path / "first") as kv:
        assert kv.list("items") == list(range(10_000))
    with Storage(tmp_path / "second") as kv:
        assert kv.list("items") == ["later", *range(10_000)]
        kv.list("items").pop()
    with Storage(tmp_path / "second") as kv:
        assert kv.list("items") == ["later", *range(9_999)]


def test_a_list_dropped_or_made_again_is_another(path: Path) -> None:
    with Storage(path) as kv:
        kv.list("items").extend("abc")
        kv.checkpoint()
        kv.drop("items")
        kv.list("items").append("new")
    with Storage(path) as kv:
        assert kv.list("items") == ["new"]
        kv.list("items").clear()
    for _ in range(2):
        with Storage(path) as kv:
            assert kv.list("items") == []
            assert kv.collections() == {"items": "list"}
            kv.checkpoint()


def test_several_processes_change_one_list(path: Path) -> None:
    with Storage(path) as kv:
        pids = []
        for name in range(3):
            pid = os.fork()
            if pid == 0:
                items = kv.list("items")
                for i in range(300):
                    items.insert(0, [name, i])
                os._exit(0)
            pids.append(pid)
        assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
        before = kv.list("items")[:]
    with Storage(path) as kv:
        assert kv.list("items") == before
    for name in range(3):
        own = [i for who, i in before if who == name]
        assert len(own) == 300
        assert all(a > b for a, b in pairwise(own))
