"""[kv_storage] path: the runner's store is that of a directory, and other processes join it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .support import Outcome, clean_environment

Run = Callable[..., Outcome]

OPTION = "--native_configuration=cfg.ini"
SERVICE = (
    "import sys; from kv_storage import Storage; kv = Storage(); kv['live'] = 'yes'; print('ready', flush=True);"
    "sys.stdin.readline(); print(kv.get('guest'))"
)
GUEST = "from kv_storage import Storage; kv = Storage('data'); print(kv['live'], len(kv.hash('rows'))); kv['guest'] = 'was here'"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text("[kv_storage]\npath = data\ncsv = rows.csv\n[csv]\nkey = {id}\n")
    (tmp_path / "rows.csv").write_text("id,n\na,1\nb,2\n")


@pytest.fixture
def service(tmp_path: Path, runner: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [runner, OPTION, "-c", SERVICE],
        cwd=tmp_path,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_guest_sees_the_live_data_of_a_service(run: Run, service: subprocess.Popen[str]) -> None:
    assert run("-c", GUEST) == Outcome(0, "yes 2\n", "")
    assert service.communicate("\n")[0] == "was here\n"


def test_the_path_is_relative_to_the_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    script = "from kv_storage import Storage; print(Storage().stats()['path'])"
    done = run("--native_configuration=../cfg.ini", "-c", script, cwd=tmp_path / "elsewhere")
    assert done == Outcome(0, f"{tmp_path}/data\n", "")


def test_a_second_runner_joins_and_loads_nothing_again(
    run: Run, tmp_path: Path, service: subprocess.Popen[str]
) -> None:
    (tmp_path / "rows.csv").write_text("broken")
    script = "from kv_storage import Storage; kv = Storage(); print(kv['live'], len(kv.hash('rows')))"
    assert run(OPTION, "-c", script) == Outcome(0, "yes 2\n", "")
    assert service.poll() is None


ROWS = "from kv_storage import Storage; print([(k, v['n']) for k, v in Storage().hash('rows').items()])"


def test_an_unchanged_file_is_loaded_once(run: Run, tmp_path: Path) -> None:
    load = (OPTION, "--progress", "-c", ROWS)
    first = run(*load)
    assert (first.out, "loaded" in first.err) == ("[('a', 1), ('b', 2)]\n", True)
    assert run(*load) == Outcome(0, "[('a', 1), ('b', 2)]\n", "")
    # What was written to the collection since stays.
    assert run(OPTION, "-c", "from kv_storage import Storage; del Storage().hash('rows')['a']").code == 0
    assert run(*load) == Outcome(0, "[('b', 2)]\n", "")
    (tmp_path / "rows.csv").touch()
    assert run(*load) == Outcome(0, "[('b', 2)]\n", "")
    (tmp_path / "rows.csv").write_text("id,n\na,3\n")
    again = run(*load)
    assert (again.out, "loaded" in again.err) == ("[('a', 3)]\n", True)
    (tmp_path / "cfg.ini").write_text(
        "[kv_storage]\npath = data\ncsv = rows.csv\n[csv]\nkey = {id}\nwhere = n > 100\n"
    )
    assert run(*load).out == "[]\n"


def test_sync_is_configured(run: Run, tmp_path: Path) -> None:
    script = "from kv_storage import Storage; d = Storage().stats()['durability']; print(d['sync'], d['sync_interval'])"
    assert run(OPTION, "-c", script) == Outcome(0, "interval 1.0\n", "")
    (tmp_path / "cfg.ini").write_text("[kv_storage]\npath = data\nsync = always\nsync_interval = 20ms\n")
    assert run(OPTION, "-c", script) == Outcome(0, "always 0.02\n", "")
    for line, message in (
        ("sync = sometimes", "'sometimes'"),
        ("sync_interval = 2h", "is not between 1ms and 1h"),
        ("sync_interval = 0s", "is not between 1ms and 1h"),
    ):
        (tmp_path / "cfg.ini").write_text(f"[kv_storage]\npath = data\n{line}\n")
        refused = run(OPTION, "-c", script)
        assert refused.code == 78
        assert message in refused.err


def test_a_damaged_directory_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    assert run(OPTION, "-c", "pass").code == 0
    manifest = tmp_path / "data" / "MANIFEST"
    manifest.write_bytes(manifest.read_bytes().replace(b"seed", b"sead"))
    refused = run(OPTION, "-c", "pass")
    assert refused.code != 0
    assert f"'{manifest}' is damaged" in refused.err


def test_children_through_another_program_join_by_themselves(run: Run) -> None:
    script = (
        "import subprocess, sys; from kv_storage import Storage; kv = Storage(); kv['n'] = 1;"
        'code = \'from kv_storage import Storage; kv = Storage(); kv.incr("n"); print(len(kv.hash("rows")))\';'
        "subprocess.run(['sh', '-c', '\"$@\"; true', 'sh', sys.executable, '-c', code], check=True); print(kv['n'])"
    )
    assert run(OPTION, "-c", script) == Outcome(0, "2\n2\n", "")


def test_a_path_that_cannot_be_is_refused_before_the_script_runs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    done = run(OPTION, "-c", "print('not run')")
    assert (done.code, done.out) == (71, "")
    assert done.err.startswith("runner: cannot open [kv_storage] path: ")
    assert str(tmp_path / "data") in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_by_name(runner: Path, tmp_path: Path) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if (
        shutil.which(nobody[0]) is None
        or subprocess.run([*nobody, runner, "-c", "pass"], check=False).returncode != 0
    ):
        pytest.skip(f"another user cannot run {runner}")
    public = Path(f"/tmp/runner-test-{os.getpid()}")  # pytest's own directories are closed to others
    public.mkdir(mode=0o755)
    try:
        (public / "cfg.ini").write_text("[kv_storage]\npath = data\n[runner]\nworkers = 1\n")
        (public / "data").mkdir(mode=0o700)
        done = subprocess.run(
            [*nobody, runner, OPTION, "-c", "print('not run')"],
            cwd=public,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(public)
    assert (done.returncode, done.stdout) == (71, "")
    assert done.stderr.startswith("runner: cannot open [kv_storage] path: ")
    assert "user" in done.stderr
