"""The runner's own options: which arguments are ours, what they print, how a bad command line ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import REPOSITORY, Outcome, run_program

Run = Callable[..., Outcome]

SPELLINGS = ["--native_configuration", "--native-configuration"]


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "cfg.ini"
    path.write_text("[python]\ngc = off\n")
    return path


def gc_is_off(outcome: Outcome) -> bool:
    """Whether the configuration above was in force, by what `SHOW_GC` printed."""
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()[0] == "False"


SHOW_GC = "import gc, sys; print(gc.isenabled()); print(sys.argv[1:])"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_configuration_after_equals_sign_or_apart(run: Run, configuration: Path, spelling: str) -> None:
    assert gc_is_off(run(f"{spelling}={configuration}", "-c", SHOW_GC))
    assert gc_is_off(run(spelling, configuration, "-c", SHOW_GC))


@pytest.mark.parametrize("argument", ["--check", "--version", "--native_configuration=x", "--runner-help"])
def test_options_after_the_program_are_the_program_s(run: Run, argument: str) -> None:
    assert run("-c", "import sys; print(sys.argv[1:])", argument) == Outcome(0, f"{[argument]}\n", "")


def test_options_after_a_flag_of_python_are_python_s(run: Run, configuration: Path) -> None:
    done = run("-B", f"--native_configuration={configuration}", "-c", SHOW_GC)
    assert done.code == 2
    assert done.err.startswith(f"unknown option --native_configuration={configuration}\nusage: ")


def test_environment_stands_for_the_option(run: Run, configuration: Path) -> None:
    assert gc_is_off(run("-c", SHOW_GC, env={"RUNNER_NATIVE_CONFIGURATION": "cfg.ini"}))
    assert not gc_is_off(run("-c", SHOW_GC, env={"RUNNER_NATIVE_CONFIGURATION": ""}))


def test_option_wins_over_environment(run: Run, configuration: Path) -> None:
    done = run(
        f"--native_configuration={configuration}", "-c", SHOW_GC, env={"RUNNER_NATIVE_CONFIGURATION": "/none"}
    )
    assert gc_is_off(done)


def test_children_inherit_the_configuration(run: Run, configuration: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], cwd='elsewhere')"
    assert gc_is_off(run("--native_configuration=cfg.ini", "-c", script, SHOW_GC))


def test_program_does_not_see_the_runner_s_options(run: Run, configuration: Path) -> None:
    script = "import sys; print(sys.argv, sys.orig_argv[1:])"
    expected = f"{['-c', 'a']} {['-c', script, 'a']}\n"
    assert run("--progress", "--native_configuration", "cfg.ini", "-c", script, "a") == Outcome(
        0, expected, ""
    )


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version_begins_with_python_s_line(run: Run, python: Path, option: str) -> None:
    done = run(option)
    first, ours, pybind11, library, malloc = done.out.splitlines()
    assert Outcome(done.code, first + "\n", done.err) == run_program(python, "--version")
    version = re.search(r"project\(runner VERSION ([0-9.]+)", (REPOSITORY / "CMakeLists.txt").read_text())
    assert version is not None
    assert re.fullmatch(rf"runner {re.escape(version[1])} \(\w+, (GNU|Clang) [0-9.]+\)", ours)
    assert re.fullmatch(r"pybind11 3\.\d+\.\d+", pybind11)
    assert library == "libpython " + run("-c", "import sys; print(sys.version)").out.strip()
    assert re.fullmatch(r"malloc (jemalloc 5\.\d+\.\d+|the system's)", malloc)


def test_runner_help_shows_every_option(run: Run) -> None:
    done = run("--runner-help")
    assert (done.code, done.err) == (0, "")
    for text in (*SPELLINGS, "--check", "--progress", "--print-default-configuration", "--version", "--help"):
        assert text in done.out
    assert "PYTHONPATH" not in done.out


def test_help_shows_ours_then_python_s(run: Run) -> None:
    done = run("--help")
    assert done == Outcome(0, run("--runner-help").out + "\n" + run("-h").out, "")


def test_check_prints_the_configuration_in_force(run: Run, configuration: Path, tmp_path: Path) -> None:
    done = run("--native_configuration=cfg.ini", "--check", "-c", "print('not run')")
    assert done == Outcome(
        0,
        "[kv_storage]\npath =\nsync = interval\nsync_interval = 1s\nmax_memory = 0\nparts = 0\ncache = 256MB\ncsv =\n\n[python]\ngc = off\nallocator = pymalloc\n\n"
        "[runner]\nprogress = auto\nworkers = 0\nlisten =\nready_timeout = 10s\nstop_timeout = 30s\npid_file =\n",
        "",
    )
    (tmp_path / "printed.ini").write_text(done.out)
    assert run("--native_configuration=printed.ini", "--check") == done


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--native_configuration"], "--native_configuration: 1 required FILE missing"),
        (["--native_configuration=", "-c", "1"], "--native_configuration: 1 required FILE missing"),
        (["--native_configuration", "", "-c", "1"], "--native_configuration names no file"),
        (["--check"], "--check needs --native_configuration=FILE"),
        (["--check", "--version"], "only one of --check, --version, --help ... at a time"),
    ],
)
def test_bad_command_line(run: Run, arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[0] == f"runner: {message}"


def test_default_configuration_is_the_committed_file(run: Run) -> None:
    assert run("--print-default-configuration") == Outcome(
        0, (REPOSITORY / "configs/default.ini").read_text(), ""
    )


def test_default_configuration_is_valid_and_changes_nothing(run: Run) -> None:
    default = REPOSITORY / "configs/default.ini"
    checked = run(f"--native_configuration={default}", "--check")
    assert (checked.code, checked.err) == (0, "")
    written = [line for line in default.read_text().splitlines() if line and not line.startswith(";")]
    assert sorted(line for line in checked.out.splitlines() if line) == sorted(written)
