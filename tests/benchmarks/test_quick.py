"""The benchmark programs run from end to end, and their JSON has what plots and documentation read."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WORKLOADS = {"kv", "prefix", "memory", "gc", "csv", "cores", "start", "numpy", "cache", "ordered", "durable"}
BASE = {"csv": "csv+dict", "start": "python3", "durable": "append"}  # what dict is elsewhere

pytest.importorskip("kv_storage")
pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("benchmarks")
    peers = ",".join(["dict", "kv_storage", *BASE.values()])
    command = [
        sys.executable,
        str(BENCHMARKS / "run.py"),
        "--quick",
        "--peers",
        peers,
        "--runner",
        sys.executable,
    ]
    command += ["--work", str(folder), "--json", str(folder / "result.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return loaded


def test_result_says_where_and_how_it_was_taken(document: dict[str, Any]) -> None:
    assert document["schema"] == 1
    assert document["quick"] is True
    assert document["repeats"] == 1
    assert "--quick" in document["command"]
    assert set(document["machine"]) == {"cpu", "cores", "memory_gib", "system", "kernel", "python"}
    assert document["date"].endswith("+00:00")
    assert document["errors"] == []


def test_every_workload_measured_ours_and_its_base(document: dict[str, Any]) -> None:
    measured = {(line["workload"], line["peer"]) for line in document["results"]}
    expected = {(workload, "kv_storage") for workload in WORKLOADS}
    expected |= {(workload, BASE.get(workload, "dict")) for workload in WORKLOADS}
    assert measured == expected


def test_every_figure_has_a_median_between_its_least_and_most(document: dict[str, Any]) -> None:
    for line in document["results"]:
        assert line["metrics"], line
        for name, figure in line["metrics"].items():
            assert figure["least"] <= figure["median"] <= figure["most"], (
                line["workload"],
                line["peer"],
                name,
            )


def test_targets_against_dict_and_absolute_ones_are_judged(document: dict[str, Any]) -> None:
    judged = {(verdict["workload"], verdict["metric"]): verdict for verdict in document["targets"]}
    metrics = {
        *(("kv", f"{name}_ns") for name in ("put", "get", "view", "get_many", "put_many")),
        *(("kv", f"hot_get_{name}_ns") for name in ("fresh", "hashed")),
        ("prefix", "glob_growth"),
        ("memory", "overhead_bytes"),
        ("cores", "scaling"),
        ("start", "pass_x_python"),
        ("numpy", "large_get_us"),
    }
    assert metrics <= set(judged)
    for verdict in judged.values():
        assert isinstance(verdict["met"], bool)
        assert verdict["value"] is not None


def test_merging_keeps_where_each_part_came_from(document: dict[str, Any], tmp_path: Path) -> None:
    parts = []
    for day in range(1, 4):
        parts.append(tmp_path / f"{day}.json")
        parts[-1].write_text(json.dumps(document | {"date": f"2026-01-0{day}T00:00:00+00:00"}))

    def merge(*documents: Path) -> Path:
        whole = tmp_path / "whole.json"
        command = [sys.executable, str(BENCHMARKS / "merge.py"), *map(str, documents), "--json", str(whole)]
        subprocess.run(command, check=True)
        return whole

    whole = json.loads(merge(merge(*parts[:2]), parts[2]).read_text())
    assert [run["date"][:10] for run in whole["runs"]] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert whole["results"] == document["results"]
