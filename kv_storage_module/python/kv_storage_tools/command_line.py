"""`runner -m kv_storage`: tools for a whole store, also beside a live service. docs/tools.md describes them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, BinaryIO

from kv_storage import Error, KindError, Storage
from kv_storage_tools.blocks import DumpError
from kv_storage_tools.report import entry_lines, info, info_lines, json_key, json_value
from kv_storage_tools.transfer import KINDS, LoadError, dump, load, open_collection

DONE, NO, WRONG_USE, FAILED = 0, 1, 2, 3
PIPE_CLOSED, INTERRUPTED = 141, 130  # as a shell shows a program that SIGPIPE or SIGINT ended

_KEY_PARSERS: dict[str | None, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bytes": os.fsencode,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    None: str,
}
_EXIT_CODES = """\
exit codes: 0 done; 1 the answer is no (no such key, no match, violations found); 2 wrong use;
  3 failed (no such store or collection, a damaged file, no memory); 141 the reader of a pipe left.
"""


class UseError(Exception):
    """The arguments ask for what there is not: the message says what there is."""


def main(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit code."""
    options = _parse(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is left in its buffer goes there
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except (DumpError, LoadError, UseError, Error, OSError, ImportError) as error:
        print(f"kv_storage: {error}", file=sys.stderr)
        return FAILED
    return code


# ---- Arguments ----


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """An optional PATH behind an option is absent to argparse: it is what is left over then."""
    parser = _parser()
    options, left = parser.parse_known_args(arguments)
    if len(left) == 1 and options.path is None and not left[0].startswith("-"):
        options.path = left.pop()
    if left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    return options


def _parser() -> argparse.ArgumentParser:
    name = os.path.basename(sys.executable) or "python3"
    parser = argparse.ArgumentParser(
        prog=f"{name} -m kv_storage",
        description="Look into, dump, load and check a store, also beside the processes that use it.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = _add(commands, "info", _info, "what the store holds: memory, collections, processes")
    command.add_argument("--quick", action="store_true", help="do not count the memory of each collection")
    _add_common(command)

    command = _add(commands, "get", _get, "the value of a key")
    command.add_argument(
        "key", metavar="KEY", help="the key; of a Map as text: 5, 0.5, 2018-06-06; of a List the position"
    )
    _add_common(command, collection=True)

    command = _add(commands, "find", _find, "the entries whose keys match a pattern")
    command.add_argument("pattern", metavar="PATTERN", help="as in fnmatch: * ? [a-z] [!a]")
    command.add_argument("--limit", metavar="N", type=_count, help="at most N of them")
    command.add_argument("--keys", action="store_true", help="keys only: values are not read")
    _add_common(command, collection=True)

    command = _add(commands, "dump", _dump, "write the store, or collections of it, to standard output")
    command.add_argument(
        "-c",
        "--collection",
        metavar="NAME",
        action="append",
        help="only this one; may be repeated; '' is the root",
    )
    command.add_argument("-o", "--output", metavar="FILE", help="to a file that appears when it is complete")
    _add_common(command, json=False)

    command = _add(commands, "load", _load, "put into the store what a dump holds: all of it or nothing")
    command.add_argument("file", metavar="FILE", help="a dump; - is standard input")
    command.add_argument(
        "--replace",
        action="store_true",
        help="present collections of the same names, and keys of the root, give way",
    )
    _add_common(command)

    command = _add(commands, "check", _check, "walk every structure, count memory again, print what is wrong")
    _add_common(command)
    return parser


def _add(commands: Any, name: str, run: Any, what: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=what[0].upper() + what[1:] + ".", epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.set_defaults(run=run)
    return made


def _add_common(command: argparse.ArgumentParser, *, collection: bool = False, json: bool = True) -> None:
    if collection:
        command.add_argument(
            "-c", "--collection", metavar="NAME", default="", help="in this collection, not the root"
        )
    if json:
        command.add_argument("--json", action="store_true", help="JSON instead of text")
    command.add_argument(
        "path", metavar="PATH", nargs="?", help="data directory; without one, the store that Storage() opens"
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError
    return count


# ---- Commands ----


@contextmanager
def _store(path: str | None, *, make: bool = False) -> Iterator[Storage]:
    if path is not None and not make and not os.path.exists(os.path.join(path, "LOCK")):
        reason = "is no data directory" if os.path.isdir(path) else "there is no such directory"
        raise UseError(f"{path}: {reason}")
    with Storage(path) as kv:
        yield kv


def _print_json(value: Any) -> None:
    print(json.dumps(value))


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line.encode("utf-8", "backslashreplace").decode())


def _open(kv: Storage, name: str) -> Any:
    if not name:
        return kv
    kind = kv.collections().get(name)
    if kind is None:
        names = ", ".join(map(repr, kv.collections())) or "none"
        raise UseError(f"there is no collection {name!r}; there are {names}")
    if kind not in KINDS:
        raise UseError(f"{name!r} is a {kind}: it has no keys to look at")
    return open_collection(kv, name, kind)


def _info(options: argparse.Namespace) -> int:
    with _store(options.path) as kv:
        report = info(kv, memory=not options.quick)
    if options.json:
        _print_json(report)
    else:
        _print_lines(info_lines(report))
    return DONE


def _get(options: argparse.Namespace) -> int:
    with _store(options.path) as kv:
        collection = _open(kv, options.collection)
        key = _parse_key(collection, options.key)
        try:
            value, ttl = _value_and_ttl(collection, key)
        except (KeyError, IndexError):
            print(f"kv_storage: there is no key {options.key!r}", file=sys.stderr)
            return NO
        if options.json:
            _print_json({"key": json_key(key), "value": json_value(value), "ttl": ttl})
        else:
            _print_lines([repr(value)])
    return DONE


def _value_and_ttl(collection: Any, key: Any) -> tuple[Any, float | None]:
    """Raises KeyError or IndexError."""
    if hasattr(collection, "add"):  # a Set: the member itself
        if key not in collection:
            raise KeyError(key)
        return key, collection.ttl(key)
    return collection[key], collection.ttl(key) if hasattr(collection, "ttl") else None


def _parse_key(collection: Any, text: str) -> Any:
    kind = (
        getattr(collection, "key_type", "str") if hasattr(collection, "find") else "int"
    )  # a List has positions
    try:
        return _KEY_PARSERS[kind](text)
    except ValueError as error:
        raise UseError(f"the keys are of type {kind}, and {text!r} is none") from error


def _find(options: argparse.Namespace) -> int:
    with _store(options.path) as kv:
        collection = _open(kv, options.collection)
        entries = _matching(collection, options)
        found = False
        for entry in entries:
            found = True
            if options.json:
                key, *values = entry
                _print_json({"key": json_key(key), **({"value": json_value(values[0])} if values else {})})
            else:
                _print_lines(entry_lines([entry]))
    return DONE if found else NO


def _matching(collection: Any, options: argparse.Namespace) -> Iterator[tuple[Any, ...]]:
    """Each match as (key, value), or (key,) where values are not wanted or there are none."""
    try:
        matches = collection.find(options.pattern) if options.pattern != "*" else collection.range()
    except AttributeError:
        raise UseError("a List has no keys: dump it, or look at it in Python") from None
    except KindError:
        raise UseError(
            f"the keys are of type {collection.key_type}: the only pattern for them is *"
        ) from None
    matches = matches[: options.limit]
    if options.keys or not hasattr(matches, "items"):
        return ((key,) for key in matches)
    return iter(matches.items())


def _dump(options: argparse.Namespace) -> int:
    with _store(options.path) as kv:
        for name in options.collection or ():
            _open(kv, name)
        with _output(options.output) as file:
            collections, entries, left_out = dump(kv, file, options.collection)
    for name in left_out:
        print(f"kv_storage: the cache {name!r} is not in the dump", file=sys.stderr)
    print(f"kv_storage: dumped {entries} entries of {collections} collections", file=sys.stderr)
    return DONE


@contextmanager
def _output(path: str | None) -> Iterator[BinaryIO]:
    if path is None:
        if sys.stdout.isatty():
            raise UseError("a dump is binary: redirect it to a file, or use --output")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _load(options: argparse.Namespace) -> int:
    with _input(options.file) as file, _store(options.path, make=True) as kv:
        name = "standard input" if options.file == "-" else options.file
        collections, entries, expired = load(kv, file, name, replace=options.replace)
    if options.json:
        _print_json({"collections": collections, "entries": entries, "expired": expired})
    else:
        gone = f"; {expired} had expired" if expired else ""
        _print_lines([f"loaded {entries} entries into {collections} collections{gone}"])
    return DONE


@contextmanager
def _input(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    with open(path, "rb") as file:
        yield file


def _check(options: argparse.Namespace) -> int:
    with _store(options.path) as kv:
        violations = kv.verify()
        stats = kv.stats()
    keys = stats["keys"] + sum(figures["keys"] for figures in stats["collections"].values())
    if options.json:
        _print_json({"violations": violations, "keys": keys})
    else:
        count = len(stats["collections"])
        _print_lines(
            violations
            or [f"sound: {keys} keys, {count} collections beside the root, {len(stats['parts'])} parts"]
        )
    return NO if violations else DONE
