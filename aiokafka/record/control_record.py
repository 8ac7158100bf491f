"""Control records: the markers that end a transaction in the log.

Pure values: no tasks, no futures.
"""

from __future__ import annotations

import struct

from aiokafka.errors import CorruptRecordException

__all__ = ["ABORT_MARKER", "COMMIT_MARKER", "ControlRecord"]

_KEY = struct.Struct(">HH")


class ControlRecord:
    """Key of a control record: `version` of the format and `type_` of the marker.

    https://kafka.apache.org/documentation/#controlbatch
    """

    __slots__ = ("_type", "_version")

    def __init__(self, version: int, type_: int) -> None:
        self._version = version
        self._type = type_

    @property
    def version(self) -> int:
        return self._version

    @property
    def type_(self) -> int:
        return self._type

    @classmethod
    def parse(cls, data: bytes) -> ControlRecord:
        """Read the key of a control record; later versions may have more bytes.

        Raises CorruptRecordException for fewer than four bytes.
        """
        if len(data) < _KEY.size:
            raise CorruptRecordException(f"Control record key of {len(data)} bytes")
        version, type_ = _KEY.unpack_from(data)
        return cls(version, type_)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ControlRecord):
            return NotImplemented
        return self._version == other._version and self._type == other._type

    def __hash__(self) -> int:
        return hash((self._version, self._type))

    def __repr__(self) -> str:
        return f"ControlRecord(version={self._version}, type_={self._type})"


ABORT_MARKER = ControlRecord(0, 0)
COMMIT_MARKER = ControlRecord(0, 1)
