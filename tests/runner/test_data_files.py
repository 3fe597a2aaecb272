"""--inspect-files and --repair: what a data directory holds, and what of a damaged one can be saved."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import Outcome, clean_environment

Run = Callable[..., Outcome]

FILL = """
from kv_storage import Storage
with Storage("data") as kv:
    for i in range(4):
        kv[f"key{i}"] = "value"
    kv.checkpoint()
    kv["behind"] = "the checkpoint"
"""
SHOW = "import sys; from kv_storage import Storage; print(sorted(Storage(sys.argv[1])))"


@pytest.fixture
def data(run: Run, tmp_path: Path) -> Path:
    assert run("-c", FILL) == Outcome(0, "", "")
    return tmp_path / "data"


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def damage(path: Path, at: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1
    path.write_bytes(damaged)


@pytest.mark.parametrize("option", ["--inspect-files", "--inspect_files"])
def test_a_sound_directory(run: Run, data: Path, option: str) -> None:
    before = contents(data)
    done = run(option, "data")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "data: not in use; this version reads formats up to 1"
    assert re.fullmatch(r"MANIFEST: \d+ bytes, seed [0-9a-f]+, next \d+, serial 1", lines[1])
    assert "  checkpoint 2 of 1 part" in lines
    assert any(
        re.fullmatch(r"checkpoint-2-0: \d+ bytes, format 1, .*, header checksum good", s) for s in lines
    )
    assert any("1 page (4 entries)" in line for line in lines)
    assert any(line.startswith("  5 put, up to offset") for line in lines)
    assert lines[-1] == "no damage"
    assert contents(data) == before


def test_a_directory_in_use(tmp_path: Path, runner: Path, run: Run) -> None:
    hold = "import sys; from kv_storage import Storage; kv = Storage('data'); kv['a'] = 1; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [runner, "-c", hold],
        cwd=tmp_path,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        done = run("--inspect-files", "data")
        assert done.code == 0
        assert done.out.startswith("data: in use, so this is what it was at some time; ")
        refused = run("--repair", "data", "--into", "new")
        assert (refused.code, refused.out) == (71, "")
        assert (
            refused.err == "runner: the store 'data' is in use: it can be repaired when all have closed it\n"
        )
        process.communicate("")
    assert not (tmp_path / "new").exists()


def test_damage_is_told_and_the_rest_is_saved(run: Run, data: Path) -> None:
    (log,) = data.glob("log-1-*")
    damage(data / "checkpoint-2-0", 150)  # in the page; what begins the collection is before it
    before = contents(data)
    done = run("--inspect-files", "data")
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[-1].startswith("DAMAGED: checkpoint-2-0 at offset ")
    done = run("--repair", "data", "--into", "new")
    assert (done.code, done.err) == (1, "")
    lost, saved = done.out.splitlines()
    assert lost.startswith("lost: checkpoint-2-0 at offset ")
    assert lost.endswith("; the file lacks 4 entries")
    assert saved == "saved: 1 entries in 1 collection, in new"
    assert contents(data) == before
    assert log.exists()
    assert run("-c", SHOW, "new") == Outcome(0, "['behind']\n", "")


def test_a_sound_directory_is_repaired_to_itself(run: Run, data: Path) -> None:
    done = run("--repair=data", "--into=new")
    assert done == Outcome(0, "saved: 5 entries in 1 collection, in new\n", "")
    assert run("-c", SHOW, "new").out == run("-c", SHOW, "data").out
    again = run("--repair", "data", "--into", "new")
    assert again == Outcome(2, "", "runner: 'new' exists and is not an empty directory\n")


def test_bad_command_lines(run: Run, tmp_path: Path) -> None:
    for arguments, code, message in (
        (
            ["--repair", "data"],
            2,
            "runner: --repair PATH goes with --into NEW, the directory to be written\n",
        ),
        (["--into", "data"], 2, "runner: --repair PATH goes with --into NEW, the directory to be written\n"),
        (["--inspect-files", "none"], 66, "runner: there is no directory 'none'\n"),
        (["--repair", "none", "--into", "new"], 66, "runner: there is no directory 'none'\n"),
        (["--repair", ".", "--into", "new"], 66, "runner: there are no files of a store in '.'\n"),
    ):
        assert run(*arguments) == Outcome(code, "", message)
    assert list(tmp_path.iterdir()) == []
