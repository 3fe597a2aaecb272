"""The invocations that must not be told apart from python3's, and the files they find in their directory."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

SHOW_SYSTEM = """
import sys
print(__name__, globals().get("__file__"), __spec__, __doc__, type(__builtins__), sorted(globals()))
print(sys.argv, sys.orig_argv[1:], sys.path)
print(sys.flags, sys.warnoptions, sys._xoptions)
"""

SHOW_INSTALLATION = """
import sys, sysconfig, site, os
print(sys.version, sys.implementation, sys.api_version, sys.abiflags, sys.hexversion, sys.platform)
print(sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, sys.platlibdir, sys._stdlib_dir)
print(sys.executable == sys._base_executable, os.path.isfile(sys.executable), sys._git)
print(sysconfig.get_paths(), sysconfig.is_python_build(), site.getsitepackages(), site.ENABLE_USER_SITE)
print(sorted(set(sys.builtin_module_names) - {"kv_storage"}), sorted(sys.stdlib_module_names))
"""

SHOW_STATE = """
import sys, signal, gc, locale, os, threading, faulthandler, warnings
print([signal.getsignal(number) for number in range(1, 32)])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(gc.isenabled(), gc.get_threshold(), gc.get_freeze_count())
print(sys.getrecursionlimit(), sys.getswitchinterval(), faulthandler.is_enabled())
for file in (sys.stdin, sys.stdout, sys.stderr):
    print(file.fileno(), file.encoding, file.errors, file.line_buffering, file.isatty())
print(locale.setlocale(locale.LC_CTYPE), locale.getpreferredencoding(), sys.getfilesystemencoding())
print(sys.getfilesystemencodeerrors())
print(threading.active_count(), threading.current_thread() is threading.main_thread())
print(sorted(os.listdir("/proc/self/fd")), sorted(os.environ), len(os.listdir("/proc/self/task")))
print(sys.displayhook, sys.excepthook, sys.getallocatedblocks() > 0, [f.__name__ for f in sys.meta_path])
print(warnings.filters, sys.dont_write_bytecode, sys.pycache_prefix)
"""

SPAWN = """
import multiprocessing, sys

def work(x):
    return x * x, __name__, multiprocessing.current_process().name

if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with context.Pool(1) as pool:
            print(method, pool.map(work, range(3)))
        queue = context.SimpleQueue()
        child = context.Process(target=queue.put, args=("hello",))
        child.start()
        print(queue.get(), child.join(), child.exitcode)
"""

THREADS = """
import threading, time, atexit
atexit.register(print, "atexit")
started = threading.Event()
def work():
    started.wait()
    print("in the thread, after main:", not threading.main_thread().is_alive())
threading.Thread(target=work).start()
threading.Thread(target=threading.Event().wait, daemon=True).start()
threading._register_atexit(started.set)
print("main ends")
"""

RAISES = """
def f(x):
    return 1 / x

try:
    f(0)
except ZeroDivisionError as error:
    raise KeyError("k") from error
"""

UNIT_TEST = """
import unittest

class Test(unittest.TestCase):
    def test(self):
        self.assertEqual(1, 1)
"""

POOL = """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2) as pool:
    print(list(pool.map(abs, [-1, 2])))
"""

CHILDREN = """
import subprocess, sys, os
print(subprocess.run([sys.executable, "-c", "import sys; print(sys.argv, sys.flags.optimize)", "x"],
                     capture_output=True, text=True))
print(os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", "raise SystemExit(7)"]))
print(subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]).returncode)
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    sys.exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.{}); import time; time.sleep(60)"

FILES = {
    "main.py": SHOW_SYSTEM,
    "directory/main.py": SHOW_SYSTEM,
    "directory/neighbour.py": "print('imported', __name__)",
    "directory/imports.py": "import neighbour, sys; print(sys.path[0])",
    "application/__main__.py": SHOW_SYSTEM,
    "package/__init__.py": "print('package', __name__)",
    "package/__main__.py": SHOW_SYSTEM,
    "package/module.py": SHOW_SYSTEM,
    "empty_directory/note.txt": "",
    "bom.py": "\ufeffprint('with a byte order mark')",
    "latin.py": "# coding: nonsense\nprint(1)",
    "nul.py": "print(1)\0",
    "syntax.py": "print('before')\nif True\n    pass\n",
    "indent.py": "if True:\nprint(1)\n",
    "raises.py": RAISES,
    "raises_at_import.py": "import broken\n",
    "broken.py": "raise RuntimeError('at import')\n",
    "group.py": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "with_first_line.py": "this is not Python\nprint('second line')",
    "startup.py": "print('startup file')",
    "data.json": '{"a": [1, 2]}',
    "spawn.py": SPAWN,
    "threads.py": THREADS,
    "children.py": CHILDREN,
    "test_something.py": UNIT_TEST,
}


@dataclass(frozen=True)
class Case:
    """One invocation."""

    name: str
    arguments: tuple[str | bytes, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""


def case(name: str, *arguments: str | bytes, stdin: str = "", **env: str) -> Case:
    return Case(name, arguments, env, stdin)


def code(name: str, text: str, *flags: str, **env: str) -> Case:
    return Case(name, (*flags, "-c", textwrap.dedent(text), "argument"), env)


CASES = [
    # what to run
    case("script", "main.py", "a", "--check", "-V", "--native_configuration=x"),
    case("script by absolute path", "{cwd}/main.py"),
    case("script in a directory", "directory/main.py", "1"),
    case("script with a neighbour", "directory/imports.py"),
    case("script through a link", "link.py"),
    case("script with odd path", "./directory/../main.py"),
    case("directory with __main__", "application", "x"),
    case("zip file with __main__", "application.zip", "x"),
    case("directory without __main__", "empty_directory"),
    case("no such script", "missing.py"),
    case("script in no such directory", "missing/main.py"),
    case("script that is an empty argument", ""),
    case("compiled script", "compiled.pyc"),
    case("script with byte order mark", "bom.py"),
    case("script with unknown coding", "latin.py"),
    case("script with NUL", "nul.py"),
    case("script with syntax error", "syntax.py"),
    case("script with bad indentation", "indent.py"),
    case("script that is binary", "binary.py"),
    case("script that raises", "raises.py"),
    case("script that raises at import", "raises_at_import.py"),
    case("script that raises a group", "group.py"),
    case("skipped first line", "-x", "with_first_line.py"),
    case("module", "-m", "package.module", "a", "-b"),
    case("package", "-m", "package", "a"),
    case("missing module", "-m", "no.such.module"),
    case("module of the library", "-m", "json.tool", "data.json"),
    case("module reading stdin", "-m", "json.tool", stdin='{"b": 1}'),
    case("module with error", "-m", "json.tool", stdin="{"),
    case("unittest", "-m", "unittest", "test_something"),
    case("platform", "-m", "platform"),
    case("site", "-m", "site"),
    case("compileall", "-m", "compileall", "-q", "directory"),
    case("doctest", "-m", "doctest", "directory/neighbour.py"),
    case("pip", "-m", "pip", "--version"),
    case("this", "-m", "this"),
    code("command", SHOW_SYSTEM),
    case("command with error", "-c", "1 / 0"),
    case("command with syntax error", "-c", "if"),
    case("command that is empty", "-c", ""),
    case("standard input", "-", "a", stdin=SHOW_SYSTEM),
    case("standard input by default", stdin=SHOW_SYSTEM),
    case("standard input with error", stdin="x = 1\nraise ValueError(x)\n"),
    case("standard input is empty"),
    case("interactive", "-i", stdin="1 + 1\nx\nfor i in range(2):\n  i\n\nexit(4)\n"),
    case("interactive, quiet", "-iq", stdin="import sys; sys.ps1\n"),
    case("interactive after command", "-i", "-c", "y = 2", stdin="y\n"),
    case("interactive after failing script", "-i", "raises.py", stdin="f\n"),
    case("interactive with startup file", "-iq", stdin="1\n", PYTHONSTARTUP="startup.py"),
    case("interactive by environment", "-c", "z = 3", stdin="z\n", PYTHONINSPECT="1"),
    # flags
    *[
        code(f"flags {flags}", SHOW_SYSTEM, *flags.split())
        for flags in (
            "-O",
            "-OO",
            "-B",
            "-E",
            "-I",
            "-s",
            "-S",
            "-P",
            "-u",
            "-b",
            "-bb",
            "-q",
            "-R",
            "-d",
            "-IS",
            "-Wd -Werror",
            "-W ignore::UserWarning",
            "-X utf8",
            "-X utf8=0",
            "-X dev",
            "-X faulthandler",
            "-X tracemalloc=3",
            "-X no_debug_ranges",
            "-X int_max_str_digits=1000",
            "-X frozen_modules=off",
            "-X unknown=1 -X other",
            "--check-hash-based-pycs always",
            "-X pycache_prefix=/nonexistent",
            "-X warn_default_encoding",
        )
    ],
    case("unbuffered script", "-u", "raises.py"),
    case("optimised assertion", "-O", "-c", "assert False; print(__debug__)"),
    case("bytes warning as error", "-bb", "-c", "print(str(b'x'))"),
    case("warning as error", "-W", "error", "-c", "import warnings; warnings.warn('w')"),
    case("warning", "-c", "import warnings; warnings.warn('w')"),
    case("resource warning", "-X", "dev", "-c", "open('main.py')"),
    case("help", "-h"),
    case("help by question mark", "-?"),
    case("help of environment", "--help-env"),
    case("help of options", "--help-xoptions"),
    case("version after a flag", "-I", "--version"),
    case("long version", "-VV"),
    case("unknown flag", "-Z"),
    case("unknown long flag", "--unknown"),
    case("flag without argument", "-c"),
    case("module flag without argument", "-m"),
    case("warning flag without argument", "-W"),
    case("bad value of check-hash-based-pycs", "--check-hash-based-pycs", "sometimes", "-c", "1"),
    case("bad utf8 mode", "-X", "utf8=7", "-c", "1"),
    case("bad warning filter", "-W", "nonsense:x:y:z:1", "-c", "1"),
    # environment
    code("environment PYTHONPATH", SHOW_SYSTEM, PYTHONPATH="directory:/nonexistent"),
    code("environment PYTHONHASHSEED", "print(hash('text'))", PYTHONHASHSEED="42"),
    code("environment PYTHONHASHSEED wrong", "print(1)", PYTHONHASHSEED="minus one"),
    code("environment PYTHONUTF8", SHOW_STATE, PYTHONUTF8="1"),
    code("environment PYTHONUTF8 wrong", "print(1)", PYTHONUTF8="2"),
    code("environment PYTHONIOENCODING", SHOW_STATE, PYTHONIOENCODING="latin-1:replace"),
    code("environment PYTHONIOENCODING wrong", "print(1)", PYTHONIOENCODING="nonsense"),
    code("environment PYTHONWARNINGS", SHOW_STATE, PYTHONWARNINGS="error,ignore::DeprecationWarning"),
    code("environment PYTHONOPTIMIZE", SHOW_SYSTEM, PYTHONOPTIMIZE="2"),
    code("environment PYTHONUNBUFFERED", SHOW_STATE, PYTHONUNBUFFERED="1"),
    code("environment PYTHONNOUSERSITE", SHOW_SYSTEM, PYTHONNOUSERSITE="1"),
    code("environment PYTHONSAFEPATH", SHOW_SYSTEM, PYTHONSAFEPATH="1"),
    code("environment PYTHONDEVMODE", SHOW_STATE, PYTHONDEVMODE="1"),
    code("environment PYTHONFAULTHANDLER", SHOW_STATE, PYTHONFAULTHANDLER="1"),
    code("environment PYTHONBREAKPOINT", "breakpoint(); print(1)", PYTHONBREAKPOINT="0"),
    code("environment PYTHONMALLOC", "print(1)", PYTHONMALLOC="malloc"),
    code("environment PYTHONMALLOC wrong", "print(1)", PYTHONMALLOC="nonsense"),
    code("environment PYTHONHOME", SHOW_INSTALLATION, PYTHONHOME="{prefix}"),
    code("environment ignored", SHOW_SYSTEM, "-E", PYTHONPATH="directory", PYTHONHASHSEED="minus one"),
    code("locale C", SHOW_STATE, LC_ALL="C"),
    code("locale C without coercion", SHOW_STATE, LC_ALL="C", PYTHONCOERCECLOCALE="0"),
    code("locale POSIX, coercion shown", SHOW_STATE, LC_ALL="", LANG="POSIX", PYTHONCOERCECLOCALE="warn"),
    code("locale unknown", SHOW_STATE, LC_ALL="xx_XX.nonsense"),
    code("user site", "import site, sys; print(site.USER_SITE, sys.path)", HOME="{cwd}"),
    # what a program sees
    code("installation", SHOW_INSTALLATION),
    code("installation, isolated", SHOW_INSTALLATION, "-I"),
    code("state", SHOW_STATE),
    code("state in development mode", SHOW_STATE, "-X", "dev"),
    case(
        "arguments that are not UTF-8",
        "-c",
        "import sys; print(ascii(sys.argv))",
        b"\xff\xfe",
        b"caf\xc3\xa9",
    ),
    case("script whose path is not UTF-8", b"caf\xe9.py"),
    code("output", "import sys; print('caf\\xe9'); print('err', file=sys.stderr)"),
    code("output without flush", "import sys; sys.stdout.write('no newline'); sys.stderr.write('e')"),
    code("input", "print(input('name? '))"),
    code(
        "modules found",
        "import ssl, sqlite3, ctypes, zlib, bz2, lzma, decimal, hashlib; print(ssl.OPENSSL_VERSION)",
    ),
    code("modules at start", "import sys; print(sorted(sys.modules))"),
    code("modules at start, without site", "import sys; print(sorted(sys.modules))", "-S"),
    # how it ends
    *[
        code(f"exit {what}", f"import sys; {what}")
        for what in (
            "sys.exit()",
            "sys.exit(3)",
            "sys.exit(None)",
            "sys.exit('message')",
            "sys.exit(256 + 5)",
            "sys.exit(-1)",
            "sys.exit(2 ** 40)",
            "sys.exit([1, 2])",
            "raise SystemExit(6)",
            "raise KeyboardInterrupt",
            "exit(8)",
            "quit()",
        )
    ],
    code(
        "exit at once",
        "import os, atexit; atexit.register(print, 'not seen'); print('lost', end=''); os._exit(4)",
    ),
    code(
        "exit from a thread",
        "import threading, _thread; t = threading.Thread(target=_thread.interrupt_main); t.start();"
        " t.join(); import time; time.sleep(60)",
    ),
    code("exit handlers", "import atexit; [atexit.register(print, i) for i in range(3)]; raise ValueError"),
    code("exit handler that raises", "import atexit; atexit.register(lambda: 1 / 0); print('main')"),
    code("exit handler that exits", "import atexit, sys; atexit.register(sys.exit, 5); print('main')"),
    code(
        "thread that raises",
        "import threading; t = threading.Thread(target=lambda: 1 / 0, name='T'); t.start(); t.join()",
    ),
    case("threads at the end", "threads.py"),
    code(
        "destructor at the end",
        "class C:\n  def __del__(self): print('deleted')\nc = C()\nloop = [c]; loop.append(loop)",
    ),
    code("destructor that raises", "class C:\n  def __del__(self): 1 / 0\nC()"),
    code("abort", "import os, sys; sys.stdout.flush(); os.abort()"),
    code("recursion", "def f(): f()\nf()"),
    code("exception without text", "raise Exception"),
    code("hook for exceptions", "import sys; sys.excepthook = lambda *a: print('hook', a[1]); 1 / 0"),
    code("hook that raises", "import sys; sys.excepthook = lambda *a: 1 / 0; 2 / 0"),
    code("closed standard output", "import sys, os; os.close(1); print('x')"),
    code("full standard output", "import sys; sys.stdout = open('/dev/full', 'w'); print('x')"),
    code(
        "broken pipe",
        "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); print('x'); sys.stdout.flush()",
    ),
    *[
        code(f"signal {name}", INTERRUPT.format(name))
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "SIGUSR1")
    ],
    code(
        "signal SIGINT handled",
        "import signal, os; signal.signal(signal.SIGINT, lambda *a: print('handled'));"
        " os.kill(os.getpid(), signal.SIGINT)",
    ),
    code(
        "signal SIGINT in asyncio",
        """
        import asyncio, os, signal
        async def main():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(60)
            finally:
                print("cancelled")
        asyncio.run(main())
    """,
    ),
    code(
        "signal SIGSEGV with faulthandler",
        "import faulthandler; faulthandler._sigsegv()",
        "-X",
        "faulthandler",
    ),
    # processes
    case("multiprocessing", "spawn.py"),
    case("children", "children.py"),
    code("children of a pool", POOL),
    code(
        "fork with warnings as errors",
        "import os; p = os.fork(); p or os._exit(3); print(os.waitpid(p, 0)[1])",
        "-W",
        "error",
    ),
    code("asyncio", "import asyncio; print(asyncio.run(asyncio.sleep(0, 'done')))"),
    code(
        "asyncio child",
        """
        import asyncio, sys
        async def main():
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(5)", stdout=-1)
            print(await child.communicate(), child.returncode)
        asyncio.run(main())
    """,
    ),
    code(
        "execution in place",
        "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(12)'])",
    ),
]
