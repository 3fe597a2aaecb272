"""What happens before the interpreter starts: the store, the CSV files in it, and who shares it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import Outcome, borrow_packages, clean_environment, restore_signals

Run = Callable[..., Outcome]

CONFIGURATION = "[kv_storage]\ncsv = data.csv\n[csv]\nkey = {id}\n"
DATA = "id,n\na,1\nb,2\n"
LOADED = re.compile(r"loaded data\.csv: 2 rows in \d+\.\d s\n")
SHOW = "from kv_storage import Storage; print([(k, v.asdict()) for k, v in Storage().hash('data').items()])"
SHOWN = "[('a', {'n': 1}), ('b', {'n': 2})]\n"  # a text that is all of the key is not stored twice
OPTION = "--native_configuration=cfg.ini"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text(CONFIGURATION)
    (tmp_path / "data.csv").write_text(DATA)


def with_transform(directory: Path, function: str, module: str = "shape.py") -> None:
    """Configure data.csv to be loaded through `shape:change`, and write that function."""
    (directory / "cfg.ini").write_text(CONFIGURATION + "transform = shape:change\n")
    (directory / module).parent.mkdir(exist_ok=True)
    (directory / module).write_text(function)


# --- loading


def test_script_finds_what_the_configuration_names(run: Run) -> None:
    assert run(OPTION, "-c", SHOW) == Outcome(0, SHOWN, "")


def test_module_is_there_from_the_start_if_there_is_a_store(run: Run) -> None:
    script = "import sys; print('kv_storage' in sys.modules)"
    assert run(OPTION, "-c", script) == Outcome(0, "True\n", "")
    assert run("-c", script) == Outcome(0, "False\n", "")


def test_several_files_into_several_collections(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text(
        "[csv:first]\npath = data.csv\nkey = {id}\n"
        "[csv:second]\npath = sub/more.tsv\nkey = {n:03}\ninto = named\nwhere = n > 1\n"
        "types = n:int16, id:category\n"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/more.tsv").write_text("id\tn\nx\t1\ny\t2\n")
    script = (
        "from kv_storage import Storage; kv = Storage(); print(sorted(kv.collections()));"
        "print(list(kv.hash('first')), kv.hash('named')['002'].asdict(), len(kv.hash('named')), len(kv))"
    )
    done = run(OPTION, "-c", script)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "['a', 'b'] {'id': 'y', 'n': 2} 1 0"


def test_paths_are_relative_to_the_configuration(run: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run("--native_configuration=../cfg.ini", "-c", SHOW, cwd=elsewhere) == Outcome(0, SHOWN, "")


def test_no_thread_is_left_when_the_script_starts(run: Run) -> None:
    """Otherwise os.fork() warns from 3.12 on."""
    script = "import os; print(os.listdir('/proc/self/task') == [str(os.getpid())]); os.fork() or os._exit(0)"
    assert run(OPTION, "-W", "error", "-c", script) == Outcome(0, "True\n", "")


def test_script_that_cannot_be_read_is_reported_before_loading(run: Run) -> None:
    done = run("--progress", OPTION, "missing.py")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("missing.py': [Errno 2] No such file or directory\n")
    assert "data.csv" not in done.err


@pytest.mark.parametrize(
    ("script", "code"),
    [("raise SystemExit(3)", 3), ("import os; os._exit(4)", 4), ("1 / 0", 1), ("import os; os.abort()", -6)],
)
def test_exit_code_is_the_script_s(run: Run, script: str, code: int) -> None:
    assert run(OPTION, "-c", script).code == code


# --- failures


def failing_csv(text: str, message: str, code: int = 65, settings: str = "") -> tuple[str, str, int, str]:
    return text, settings, code, message


@pytest.mark.parametrize(
    ("text", "settings", "code", "message"),
    [
        failing_csv("id,n\na,1\nb\n", r"/data\.csv:3:.*"),
        failing_csv('id,n\n"a,1\n', r"/data\.csv:2:.*"),
        failing_csv("id,n\na,1\na,2\n", r"/data\.csv:3:.*"),
        failing_csv("", r"/data\.csv:1:.*"),
        failing_csv(DATA, r"key:.*'idd'.*'id'.*", 78, "key = {idd}"),
        failing_csv(DATA, r"where:.*", 78, "key = {id}\nwhere = n ="),
        failing_csv(DATA, r".*delimiter and the quote.*", 78, 'key = {id}\ndelimiter = "'),
    ],
    ids=["ragged", "unterminated", "duplicate", "empty", "key", "where", "dialect"],
)
def test_bad_csv_stops_with_file_and_line(
    run: Run, tmp_path: Path, text: str, settings: str, code: int, message: str
) -> None:
    (tmp_path / "data.csv").write_text(text)
    if settings:
        (tmp_path / "cfg.ini").write_text(f"[kv_storage]\ncsv = data.csv\n[csv]\n{settings}\n")
    done = run(OPTION, "-c", "print('not run')")
    assert (done.code, done.out) == (code, "")
    assert re.fullmatch(rf"runner: loading \[csv\]: ({re.escape(str(tmp_path))})?{message}\n", done.err), (
        done.err
    )


def test_data_that_does_not_fit(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text(CONFIGURATION.replace("csv =", "max_memory = 8MiB\ncsv ="))
    (tmp_path / "data.csv").write_text("id,n\n" + "".join(f"k{i:099},1\n" for i in range(100_000)))
    done = run(OPTION, "-c", "print('not run')")
    assert (done.code, done.out) == (71, "")
    assert re.fullmatch(r"runner: loading \[csv\]: .*max_memory.*\n", done.err), done.err


def test_store_that_is_too_small(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text("[kv_storage]\nmax_memory = 1MiB\n")
    done = run(OPTION, "-c", "print('not run')")
    assert (done.code, done.out) == (78, "")
    assert re.fullmatch(r"runner: cannot make the store: max_memory = 1048576 is too small: .*\n", done.err)


# --- progress


def test_progress_is_silent_without_a_terminal(run: Run) -> None:
    assert run(OPTION, "-c", "pass") == Outcome(0, "", "")


def test_progress_by_option(run: Run) -> None:
    done = run("--progress", OPTION, "-c", "pass")
    assert (done.code, done.out) == (0, "")
    assert LOADED.fullmatch(done.err.splitlines(keepends=True)[-1])


@pytest.mark.parametrize(("mode", "is_shown"), [("on", True), ("off", False), ("auto", False)])
def test_progress_by_configuration(run: Run, tmp_path: Path, mode: str, is_shown: bool) -> None:
    (tmp_path / "cfg.ini").write_text(f"{CONFIGURATION}[runner]\nprogress = {mode}\n")
    done = run(OPTION, "-c", "pass")
    assert bool(LOADED.search(done.err)) == is_shown


def test_progress_on_a_terminal_is_one_line(runner: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    subprocess.run(
        [runner, OPTION, "-c", "pass"],
        cwd=tmp_path,
        env=clean_environment(),
        stderr=theirs,
        check=True,
        timeout=60,
    )
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    *overwritten, last = shown.removesuffix("\r\n").split("\r\x1b[K")
    assert "\n" not in "".join(overwritten)
    assert LOADED.fullmatch(last + "\n")


# --- who shares the store


SHARE = """
import multiprocessing, os, subprocess, sys
from kv_storage import Storage

def child(name):
    kv = Storage()
    kv[name] = len(kv.hash("data"))

if __name__ == "__main__":
    kv = Storage()
    for method in ("fork", "spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=child, args=(method,))
        process.start()
        process.join()
    script = "from kv_storage import Storage; kv = Storage(); kv['subprocess'] = len(kv.hash('data'))"
    subprocess.run([sys.executable, "-c", script], check=True)
    subprocess.run([sys.executable, "-c", script.replace("subprocess", "moved")], cwd="/", check=True)
    print(sorted(kv.items()))
"""


def test_children_share_the_store_and_load_nothing_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SHARE)
    (tmp_path / "cfg.ini").write_text(CONFIGURATION + "[runner]\nprogress = on\n")
    done = run(OPTION, "main.py")
    names = ("fork", "forkserver", "moved", "spawn", "subprocess")
    assert (done.code, done.out) == (0, f"{[(name, 2) for name in names]}\n"), done.err
    assert len(LOADED.findall(done.err)) == 1


def test_a_child_that_names_a_configuration_has_a_store_of_its_own(run: Run) -> None:
    child = "from kv_storage import Storage; print(len(Storage()))"
    script = (
        "import subprocess, sys; from kv_storage import Storage; kv = Storage(); kv['x'] = 1;"
        f"subprocess.run([sys.executable, '{OPTION}', '-c', {child!r}])"
    )
    assert run(OPTION, "-c", script) == Outcome(0, "0\n", "")


@pytest.mark.parametrize("address", ["", "1:3:0", "nonsense", "999999999:3:123"])
def test_a_parent_that_is_gone_is_none(run: Run, address: str) -> None:
    environment = {"KV_STORAGE_ATTACH": address, "RUNNER_NATIVE_CONFIGURATION": "cfg.ini"}
    assert run("-c", SHOW, env=environment) == Outcome(0, SHOWN, "")


def test_a_program_that_replaces_itself_loads_again(run: Run) -> None:
    script = f"import os, sys; os.execv(sys.executable, [sys.executable, '-c', {SHOW!r}])"
    assert run(OPTION, "-c", script) == Outcome(0, SHOWN, "")


# --- transform


DOUBLE = "def change(batch):\n    batch['n'] = batch['n'] * 2\n    return batch\n"


@pytest.fixture
def with_numpy(runner: Path) -> dict[str, str]:
    """An environment in which the runner finds NumPy."""
    return borrow_packages(runner, "numpy")


@pytest.mark.parametrize("module", ["shape.py", "scripts/shape.py"], ids=["beside cfg", "beside script"])
def test_transform(run: Run, tmp_path: Path, with_numpy: dict[str, str], module: str) -> None:
    with_transform(tmp_path, DOUBLE, module)
    (tmp_path / "scripts").mkdir(exist_ok=True)
    (tmp_path / "scripts/main.py").write_text(SHOW + "; print(input())")
    shown = SHOWN.replace("'n': 2", "'n': 4").replace("'n': 1", "'n': 2")
    done = run(OPTION, "scripts/main.py", stdin="for the script\n", env=with_numpy)
    assert done == Outcome(0, shown + "for the script\n", "")


def test_transform_that_raises(run: Run, tmp_path: Path, with_numpy: dict[str, str]) -> None:
    with_transform(tmp_path, "def change(batch):\n    raise ValueError('no good')\n")
    done = run(OPTION, "-c", "print('not run')", env=with_numpy)
    *traceback, error, last = done.err.splitlines()
    assert (done.code, done.out) == (65, "")
    assert traceback[0] == "Traceback (most recent call last):"
    assert "no good" in error
    path = tmp_path / "data.csv"
    assert last == f"runner: loading [csv] '{path}' with transform 'shape:change' failed: exit code 1"


@pytest.mark.parametrize(
    ("module", "error"),
    [
        ("", "AttributeError: module 'shape' has no attribute 'change'"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_transform_that_does_not_exist(run: Run, tmp_path: Path, module: str, error: str) -> None:
    with_transform(tmp_path, module)
    done = run(OPTION, "-c", "print('not run')")
    assert (done.code, done.out) == (65, "")
    assert done.err.splitlines()[-2] == error


def test_transform_killed(run: Run, tmp_path: Path) -> None:
    with_transform(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    done = run(OPTION, "-c", "print('not run')")
    assert (done.code, done.out) == (65, "")
    assert done.err.endswith("failed: signal 9\n")


# --- interrupts


def interrupt(runner: Path, directory: Path, number: signal.Signals) -> Outcome:
    """Send a signal as soon as something is written to standard error."""
    process = subprocess.Popen(
        [runner, "--progress", OPTION, "-c", "print('not run')"],
        cwd=directory,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        preexec_fn=restore_signals,
    )
    assert process.stderr is not None
    first = process.stderr.read(1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out.decode(), (first + err).decode())


INTERRUPTS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", INTERRUPTS)
def test_interrupt_while_loading(runner: Path, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "cfg.ini").write_text(CONFIGURATION + "on_duplicate = last\n")
    (tmp_path / "data.csv").write_bytes(b"id,n\n" + b"a,1\n" * 20_000_000)
    done = interrupt(runner, tmp_path, number)
    assert (done.code, done.out) == (-number, "")
    assert re.fullmatch(r"(loading data\.csv: \d+ % [\d,]+ rows \d+\.\d s\n)+", done.err)


@pytest.mark.parametrize("number", INTERRUPTS)
def test_interrupt_while_a_transform_runs(runner: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The loader is told, too, and nothing stays behind: it would keep our pipes open."""
    with_transform(
        tmp_path, "import sys, threading; print('in it', file=sys.stderr); threading.Event().wait()"
    )
    done = interrupt(runner, tmp_path, number)
    assert (done.code, done.out) == (-number, "")
    assert done.err.startswith("in it\n")
    assert "loaded" not in done.err
