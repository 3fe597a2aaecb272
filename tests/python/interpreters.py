"""Interpreters of one process, as this version of Python offers them; for programs that tests run.

from interpreters import Interpreter, in_parallel
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Any

if sys.version_info >= (3, 13):
    import _interpreters
else:
    import _xxsubinterpreters as _interpreters  # type: ignore[import-not-found]

HAS_OWN_GIL = sys.version_info >= (3, 12)


class Interpreter:
    """One with a GIL of its own, where there is such a thing, or one that shares the main interpreter's."""

    def __init__(self, own_gil: bool = HAS_OWN_GIL) -> None:
        if sys.version_info >= (3, 13):
            self.id: Any = _interpreters.create("isolated" if own_gil else "legacy")
        else:
            self.id = _interpreters.create(isolated=own_gil)

    def run(self, program: str) -> None:
        """In its __main__, with the names it has by now. An exception there is one here."""
        if sys.version_info >= (3, 13):
            error = _interpreters.exec(self.id, program)
            if error is not None:
                raise AssertionError(error.errdisplay)
        else:
            _interpreters.run_string(self.id, program)

    def close(self) -> None:
        _interpreters.destroy(self.id)


def in_parallel(interpreters: Sequence[Interpreter], program: str) -> None:
    """Each in a thread of its own; `{number}` in the program is which of them it is."""
    errors: list[BaseException] = []

    def work(number: int, interpreter: Interpreter) -> None:
        try:
            interpreter.run(program.replace("{number}", str(number)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(interpreters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
