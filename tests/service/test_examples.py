"""The small example scripts do what they say."""

from __future__ import annotations

import csv
import statistics
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from .support import ROOT, environment, runner_binary


def run_script(name: str, *arguments: str) -> list[str]:
    command = [runner_binary(), str(ROOT / "scripts" / name), *arguments]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_hello() -> None:
    assert run_script("hello.py") == [
        "{'number': 5, 'even': False}",
        "1000 keys of June, 34 of the sixth",
        "mean weight 0.500 over an array that was not copied",
        "visits 1",
    ]


def test_leaderboard() -> None:
    assert run_script("leaderboard.py") == [
        "1000 players, written by 4 processes",
        "1. player-393 with 9997",
        "2. player-786 with 9987",
        "3. player-139 with 9978",
        "player-42 is number 764",
        "the median score is 5013",
        "100 players have 5000 to 5999",
        "67 veterans are winners",
    ]


def test_frames_hands_flights_to_the_frames_of_others() -> None:
    for library in ("duckdb", "polars", "pyarrow"):
        pytest.importorskip(library)
    sample = ROOT / "tests/data/flights_sample.csv"
    with sample.open(newline="") as file:
        flights = list(csv.DictReader(file))
    delays: dict[str, list[float]] = {}
    for flight in flights:
        if flight["dep_delay"] != "NA":
            delays.setdefault(flight["carrier"], []).append(float(flight["dep_delay"]))
    worst = sorted(delays, key=lambda carrier: -statistics.mean(delays[carrier]))[:3]
    lines = run_script("frames.py", str(sample))
    missing = [flight["dep_delay"] for flight in flights].count("NA")
    assert lines[0] == f"pyarrow: {len(flights)} rows of {len(flights[0]) + 1} columns, {missing} never left"
    assert lines[1:4] == [
        f"duckdb: {carrier} is {statistics.mean(delays[carrier]):.1f} minutes late in {len(delays[carrier])} flights"
        for carrier in worst
    ]
    assert lines[5].startswith("polars: JFK-LAX has 5 flights")


def test_reload_demo_loses_the_dict_and_keeps_the_store() -> None:
    counts = [line.split()[-3::2] for line in run_script("reload_demo.py")]
    assert counts == [["1", "1"], ["2", "2"], ["1", "3"], ["1", "4"]]


def test_sessions_live_while_they_are_used() -> None:
    assert run_script("sessions.py") == [
        "Ada's session: {'user': 'Ada'} of 2",
        "Bob logs out: True leaves 1",
        "Eve was idle: None leaves 1",
    ]


def test_peek_looks_into_a_running_service(tmp_path: Path) -> None:
    service = (
        "import sys; from kv_storage import Storage; kv = Storage(sys.argv[1]); kv['user:1'] = 'Ann'; kv['visits'] = 7;"
        "kv.hash('h')['x'] = 1; print('ready', flush=True); sys.stdin.read()"
    )
    runner = runner_binary()
    with subprocess.Popen(
        [runner, "-c", service, tmp_path / "data"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        command = [runner, str(ROOT / "scripts/peek.py"), str(tmp_path / "data"), "user:*"]
        peek = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        assert process.stdin is not None
        process.stdin.close()
    assert (peek.returncode, peek.stderr) == (0, "")
    lines = peek.stdout.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'data'}: 2 keys, ")
    assert f"  process {process.pid}: 0 bytes pinned" in lines
    assert lines[-2:] == ["  hash 'h': 1 keys", "  'user:1': 'Ann'"]


def test_memoize() -> None:
    assert run_script("memoize.py") == [
        "every process got [4.0, 3.3000000000000003, 4.0] True",
        "computed {'book': 1, 'pen': 1}",
        "hits and misses True True",
        "<html> no such page 4 entries",
        "after cache_clear 4.0 computed 2 times",
    ]


def test_tailnums_keeps_a_column_as_a_list(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_bytes((ROOT / "tests/data/flights_sample.csv").read_bytes())
    command = [runner_binary(), str(ROOT / "scripts" / "tailnums.py"), str(tmp_path)]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    with (tmp_path / "flights.csv").open(encoding="utf-8", newline="") as file:
        tails = [None if row["tailnum"] in {"", "NA"} else row["tailnum"] for row in csv.DictReader(file)]
    counts = Counter(tail for tail in tails if tail is not None)
    assert lines[0].startswith(f"{len(tails):,} flights take ")
    assert lines[1] == f"by {len(counts):,} aircraft, on {tails.count(None)} flights it is not known which"
    busiest = lines[2].split()[0]
    assert counts[busiest] == max(counts.values())
    assert f"flew {counts[busiest]} times, first as flight number {tails.index(busiest):,}:" in lines[2]
    assert len(lines) == 4
