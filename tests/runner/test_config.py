"""The configuration file: what is accepted; what is refused, with file, line and the nearest valid name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import Outcome

Run = Callable[..., Outcome]


@pytest.fixture
def check(run: Run, tmp_path: Path) -> Callable[[str | bytes], Outcome]:
    """What --check says of a configuration with this text, beside a data.csv."""
    (tmp_path / "data.csv").write_text("id,n\na,1\n")

    def check_text(text: str | bytes) -> Outcome:
        (tmp_path / "cfg.ini").write_bytes(text if isinstance(text, bytes) else text.encode())
        return run("--native_configuration=cfg.ini", "--check")

    return check_text


Check = Callable[[str | bytes], Outcome]


def in_force(outcome: Outcome) -> dict[str, dict[str, str]]:
    """The sections that --check printed."""
    assert (outcome.code, outcome.err) == (0, "")
    sections: dict[str, dict[str, str]] = {}
    for line in outcome.out.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line:
            name, _, value = line.partition("=")
            section[name.strip()] = value.strip()
    return sections


KNOWN = "sections are kv_storage, csv, python, runner"
SIZES = "accepted: bytes such as 0 or 4096, 256MB (10^6), 1GiB (2^30), 10%"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        # names
        ("[kv_storage]\nprats = 2", ["2: [kv_storage] unknown key 'prats'; did you mean 'parts'?"]),
        (
            "[kv_storage]\nxyzzy = 2",
            [
                "2: [kv_storage] unknown key 'xyzzy'; its keys are path, sync, sync_interval, max_memory, parts, cache, csv"
            ],
        ),
        ("[kv_storage]\nParts = 2", ["2: [kv_storage] unknown key 'Parts'; did you mean 'parts'?"]),
        ("[kv_storag]", ["1: unknown section [kv_storag]; did you mean 'kv_storage'?"]),
        ("[nonsense]\nx = 1", [f"1: unknown section [nonsense]; {KNOWN}"]),
        ("[]", [f"1: unknown section []; {KNOWN}"]),
        ("[python:x]", ["1: unknown section [python:x]; did you mean 'python'?"]),
        ("[csv:]\nkey = {id}", ["1: [csv:NAME] needs a name"]),
        ("parts = 1", ["1: 'parts' comes before any [section]"]),
        (
            "[kv_storage]\n= 1",
            [
                "2: [kv_storage] unknown key ''; its keys are path, sync, sync_interval, max_memory, parts, cache, csv"
            ],
        ),
        # twice
        ("[kv_storage]\nparts = 1\nparts = 1", ["3: [kv_storage] key 'parts' is there twice"]),
        ("[runner]\n[python]\n\n[runner]", ["4: section [runner] is there twice"]),
        # values
        ("[kv_storage]\nmax_memory = lots", [f"2: [kv_storage] max_memory: 'lots' is not a size; {SIZES}"]),
        ("[kv_storage]\nmax_memory = 1XB", [f"2: [kv_storage] max_memory: '1XB' is not a size; {SIZES}"]),
        ("[kv_storage]\nmax_memory = -1", [f"2: [kv_storage] max_memory: '-1' is not a size; {SIZES}"]),
        ("[kv_storage]\nmax_memory =", [f"2: [kv_storage] max_memory: '' is not a size; {SIZES}"]),
        (
            "[kv_storage]\nmax_memory = 99999999TB",
            [f"2: [kv_storage] max_memory: '99999999TB' is not a size; {SIZES}"],
        ),
        (
            "[kv_storage]\nmax_memory = 0%",
            ["2: [kv_storage] max_memory: '0%' is not a share from 1% to 100%"],
        ),
        (
            "[kv_storage]\nmax_memory = 101%",
            ["2: [kv_storage] max_memory: '101%' is not a share from 1% to 100%"],
        ),
        ("[kv_storage]\nparts = 65", ["2: [kv_storage] parts: '65' is not a whole number from 0 to 64"]),
        ("[kv_storage]\nparts = 1.5", ["2: [kv_storage] parts: '1.5' is not a whole number from 0 to 64"]),
        ("[python]\ngc = of", ["2: [python] gc: 'of' is not accepted; did you mean 'on'?"]),
        (
            "[python]\ngc = sometimes",
            ["2: [python] gc: 'sometimes' is not accepted; accepted are on, off, freeze"],
        ),
        (
            "[python]\nallocator = jemalloc",
            ["2: [python] allocator: 'jemalloc' is not accepted; did you mean 'pymalloc'?"],
        ),
        (
            "[python]\nallocator = hoard",
            ["2: [python] allocator: 'hoard' is not accepted; accepted are pymalloc, malloc"],
        ),
        (
            "[runner]\nprogress = yes",
            ["2: [runner] progress: 'yes' is not accepted; accepted are auto, on, off"],
        ),
        # lines
        (
            "[kv_storage",
            ["1: expected ']' after the name of the section", f"1: unknown section [kv_storage]; {KNOWN}"][
                :1
            ],
        ),
        ("[kv_storage] parts = 1", ["1: unexpected text after the section header"]),
        ("[kv_storage]\nparts", ["2: expected 'key = value' or '[section]'"]),
        ("[kv_storage]\nparts = 1\n[python]\nx\n", ["4: expected 'key = value' or '[section]'"]),
        (
            "[kv_storage]\n  parts = 1\n  max_memory = 0",
            [
                "3: an indented line continues the value above: remove the blanks before it",
                "2: [kv_storage] parts: '1 max_memory = 0' is not a whole number from 0 to 64",
            ],
        ),
        (" [kv_storage]", ["1: a section header may not be indented"]),
        ("[kv_storage]\n" + "k" * 300 + " = 1", ["2: too long a key, or too many blanks in a row"]),
        # bytes
        (b"[kv_storage]\nparts = 1\n; caf\xe9\n", ["3: not UTF-8"]),
        (b"[kv_storage]\nparts = \xc0\xb1\n", ["2: not UTF-8"]),
        (b"[kv_storage]\nparts\0 = 1\n", ["2: a NUL byte: this is no text file"]),
        (b"[kv_storage]\n" + b"; x\n" * 300_000, [" over 1 MiB: this is no configuration file"]),
        # CSV sections
        (
            "[kv_storage]\ncsv = data.csv",
            [" [kv_storage] csv needs a section [csv] with a key, such as key = {id}"],
        ),
        ("[kv_storage]\ncsv = data.csv\n[csv]", ["3: [csv] needs a key, such as key = {id}"]),
        ("[csv]\nkey = {id}", ["1: [csv] names no file: set [kv_storage] csv, or path here"]),
        ("[csv:x]\nkey = {id}", ["1: [csv:x] names no file: set path"]),
        ("[csv:x]", ["1: [csv:x] names no file: set path"]),
        (
            "[kv_storage]\ncsv = data.csv\n[csv]\nkey = {id}\npath = data.csv",
            ["3: [csv] path is set, and so is [kv_storage] csv: keep one"],
        ),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\ninto = x\n[csv:x]\npath = data.csv\nkey = {id}",
            ["5: [csv:x] and [csv:a] load into the same collection 'x'"],
        ),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\non_duplicate = lst",
            ["4: [csv:a] on_duplicate: 'lst' is not accepted; did you mean 'last'?"],
        ),
        ("[csv:a]\npath = data.csv\nkey = {id}\ntypes = n", ["4: [csv:a] types: 'n' is not 'column:type'"]),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\ntypes = n:float32,,",
            ["4: [csv:a] types: an empty item in the list 'n:float32,,'"],
        ),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\ntypes = n:float32, n:float32",
            ["4: [csv:a] types: column 'n' is named twice"],
        ),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\ntransform = module",
            ["4: [csv:a] transform: 'module' is not 'module:function'"],
        ),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\ntransform = :f",
            ["4: [csv:a] transform: ':f' is not 'module:function'"],
        ),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\nheader = maybe",
            ["4: [csv:a] header: 'maybe' is not accepted; accepted are yes, no, auto"],
        ),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\ndelimiter = ::",
            [
                "4: [csv:a] delimiter: '::' is not a character; accepted: any one character of ASCII,"
                " auto, comma, tab, semicolon, pipe, space"
            ],
        ),
        (
            "[csv:a]\npath = data.csv\nkey = {id}\nthreads = many",
            ["4: [csv:a] threads: 'many' is not a whole number from 0 to 1024"],
        ),
        # several at once
        (
            "[kv_storage]\nprats = 1\nparts = x\n[runer]",
            [
                "2: [kv_storage] unknown key 'prats'; did you mean 'parts'?",
                "3: [kv_storage] parts: 'x' is not a whole number from 0 to 64",
                "4: unknown section [runer]; did you mean 'runner'?",
            ],
        ),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, str | bytes) else None,
)
def test_bad_configuration(check: Check, text: str | bytes, problems: list[str]) -> None:
    done = check(text)
    assert (done.code, done.out) == (78, "")
    assert sorted(done.err.splitlines()) == sorted(f"cfg.ini:{problem}" for problem in problems)


@pytest.mark.parametrize("key", ["sync", "sync_interval"])
def test_keys_of_another_section_are_refused(check: Check, key: str) -> None:
    for section in ("python", "runner"):
        done = check(f"[{section}]\n{key} = 1")
        assert done.code == 78
        assert done.err.startswith(f"cfg.ini:2: [{section}] unknown key '{key}'; ")


@pytest.mark.parametrize(
    "text", ["0", "4096", "1 B", "2KB", "256MB", "1 GB", "1gib", "1TiB", "10%", "10 %", "100%"]
)
def test_sizes(check: Check, text: str) -> None:
    assert in_force(check(f"[kv_storage]\nmax_memory = {text}"))["kv_storage"]["max_memory"] == text


def test_comments_blanks_and_line_ends(check: Check) -> None:
    store = "\ufeff; a comment\r\n# another\r\n\r\n[kv_storage] ; which\r\n\tparts=3 ; three\r\n"
    text = store + "\n[python]\ngc: off"
    sections = in_force(check(text))
    assert sections["kv_storage"]["parts"] == "3"
    assert sections["python"]["gc"] == "off"


@pytest.mark.parametrize("marks", [1, 2, 3])
def test_byte_order_marks_hide_nothing(check: Check, marks: int) -> None:
    assert in_force(check("\ufeff" * marks + "[kv_storage]\nparts = 3\n"))["kv_storage"]["parts"] == "3"


def test_empty_file_means_the_defaults(check: Check) -> None:
    assert in_force(check("")) == in_force(check("[kv_storage]\nparts = 0\n"))


@pytest.mark.parametrize("columns", [10, 1000])
def test_long_lines(check: Check, columns: int) -> None:
    """inih by itself splits lines of over 200 bytes."""
    types = ", ".join(f"column_{i}:float32" for i in range(columns))
    text = f"[csv:x]\npath = data.csv\nkey = {{id}}\ntypes = {types} ; {'comment ' * 50}\nwhere = n == 1\n"
    section = in_force(check(text))["csv:x"]
    assert section["types"] == types
    assert section["where"] == "n == 1"


def test_long_lines_survive_every_place_of_the_cut(check: Check) -> None:
    for length in range(170, 215):
        where = "n == '" + "a" * (length - 30) + "; b; # c;d " + "é" * 150 + " e' or  n  ==  2"
        text = f"[csv:x]\npath = data.csv\nkey = {{id}}\nwhere = {where}\n"
        expected = where.split(" ;")[0]
        assert in_force(check(text))["csv:x"]["where"] == expected


def test_indented_lines_continue_a_value(check: Check) -> None:
    where = "where = n == 1 or\n  n == 2 or ; first\n  ; between\n\tn == 3\n"
    text = "[csv:x]\npath = data.csv\nkey = {id}\n" + where + "types =\n  n:float32\n"
    section = in_force(check(text))["csv:x"]
    assert section["where"] == "n == 1 or n == 2 or n == 3"
    assert section["types"] == "n:float32"


def test_an_unused_csv_section_is_no_error(check: Check) -> None:
    assert "csv" in in_force(check("[csv]\ninto = x"))


def test_short_form(check: Check) -> None:
    sections = in_force(
        check("[kv_storage]\ncsv = data.csv\n[csv]\nkey = {id}\n[csv:more]\npath = data.csv\nkey = {id}")
    )
    assert sections["kv_storage"]["csv"] == "data.csv"
    assert sections["csv:more"]["path"] == "data.csv"


def test_two_short_forms_into_one_collection(check: Check) -> None:
    done = check("[kv_storage]\ncsv = data.csv\n[csv]\nkey = {id}\n[csv:data]\npath = data.csv\nkey = {id}")
    assert done == Outcome(78, "", "cfg.ini:5: [csv:data] and [csv] load into the same collection 'data'\n")


def test_missing_configuration(run: Run) -> None:
    done = run("--native_configuration=no.ini", "-c", "print('not run')")
    assert done == Outcome(
        66, "", "runner: cannot read the configuration 'no.ini': No such file or directory\n"
    )


def test_directory_for_the_configuration(run: Run) -> None:
    done = run("--native_configuration=/", "-c", "print('not run')")
    assert done == Outcome(66, "", "runner: cannot read the configuration '/': Is a directory\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").touch(mode=0)
    done = run("--native_configuration=cfg.ini", "-c", "print('not run')")
    assert done == Outcome(66, "", "runner: cannot read the configuration 'cfg.ini': Permission denied\n")


@pytest.mark.parametrize(
    ("name", "reason"), [("no.csv", "No such file or directory"), (".", "Is a directory")]
)
def test_csv_file_that_cannot_be_read(check: Check, tmp_path: Path, name: str, reason: str) -> None:
    path = str(tmp_path / name) + ("/" if name == "." else "")
    done = check(f"[csv:x]\npath = {name}\nkey = {{id}}\n")
    assert done == Outcome(66, "", f"cfg.ini:1: [csv:x] cannot read '{path.replace('/./', '/')}': {reason}\n")


def test_bad_configuration_comes_before_the_program(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text("[kv_storage]\nparts = -1")
    done = run("--native_configuration=cfg.ini", "-c", "print('not run')")
    assert done == Outcome(78, "", "cfg.ini:2: [kv_storage] parts: '-1' is not a whole number from 0 to 64\n")
