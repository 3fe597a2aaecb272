"""The file format of `dump` and `load`: checked blocks of MessagePack objects, in a row. docs/tools.md has it in full.

A file is written and read in one pass, so it may be a pipe. What is damaged is refused with file and offset.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from kv_storage import CorruptionError, _pack_all, _unpack_all

MAGIC = b"kv_storage dump 1\n"
_HEAD = struct.Struct("<QII")  # length of the payload, its CRC-32, CRC-32 of the twelve bytes before


class DumpError(Exception):
    """A dump that cannot be read, or not to its end: the message names file, offset and fault."""


class BlockWriter:
    """Writes blocks to a binary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.write(MAGIC)

    def write(self, payload: bytes) -> None:
        """Write a block whose objects are packed already."""
        numbers = _HEAD.pack(len(payload), zlib.crc32(payload), 0)[:12]
        self._file.write(numbers + zlib.crc32(numbers).to_bytes(4, "little"))
        self._file.write(payload)

    def write_objects(self, *objects: Any) -> None:
        """Write a block of these objects."""
        self.write(_pack_all(objects))


class BlockReader:
    """Reads the blocks of a binary file, each a list of objects."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._offset = 0
        self._block = 0
        if self._take(len(MAGIC), "it is no dump of kv_storage") != MAGIC:
            raise DumpError(f"{name}: it is no dump of kv_storage, or one of another version")

    def fault(self, what: str) -> DumpError:
        """The error that says `what` is wrong with the block read last."""
        return DumpError(f"{self._name}: block at byte {self._block}: {what}")

    def __iter__(self) -> Iterator[list[Any]]:
        while True:
            self._block = self._offset
            head = self._take(_HEAD.size, "the file ends before its last block")
            length, payload_sum, head_sum = _HEAD.unpack(head)
            if zlib.crc32(head[:12]) != head_sum:
                raise self.fault("its head is damaged")
            payload = self._take(length, "the file ends within this block")
            if zlib.crc32(payload) != payload_sum:
                raise self.fault("its contents are damaged")
            try:
                objects = _unpack_all(payload)
            except (CorruptionError, ValueError, TypeError, OverflowError) as error:
                raise self.fault(f"it is no MessagePack: {error}") from error
            if not objects or not isinstance(objects[0], str):
                raise self.fault("it does not say what it is")
            yield objects
            if objects[0] == "end":
                return

    def _take(self, size: int, otherwise: str) -> bytes:
        parts = []
        left = size
        while left:
            part = self._file.read(min(left, 1 << 24))  # a wrong length allocates no more than there is
            if not part:
                raise self.fault(f"{otherwise} (at byte {self._offset + size - left})")
            parts.append(part)
            left -= len(part)
        self._offset += size
        return b"".join(parts)
