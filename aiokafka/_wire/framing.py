"""Kafka's framing: every message is a 32-bit big-endian length and that many bytes.

Owns the receive buffers of one connection.  No tasks, no futures, no I/O: the caller asks for
a buffer, fills it, says how much came, and gets the frames that are now complete.

How the memory is handled, and why:

* Reading goes into one scratch buffer that lives as long as the connection.  Receiving into
  it (``asyncio.BufferedProtocol``) costs less than having the event loop allocate 256 KiB for
  every ``recv``: 8 of 47 microseconds of a small request's round trip.  Frames that lie wholly
  in the scratch buffer are handed out as ``bytes`` of their own, a copy far cheaper than what
  it replaces.
* A frame larger than that gets its own buffer, received into directly and handed out as a
  ``memoryview`` without another copy.
* The announced length is never trusted: the buffer never exceeds twice what has arrived plus
  64 KiB, or the largest frame this peer has already delivered.
"""

from __future__ import annotations

import struct

from aiokafka.errors import KafkaProtocolError

from .clues import recognise

#: Bytes of the scratch buffer, and what a large frame may get on credit.
CHUNK = 65536

#: Largest frame by default.  Kafka's own limit is the signed 32-bit length; above this it is
#: far more likely that the stream is not Kafka's, or out of step.
MAX_FRAME_BYTES = 1 << 30

_length_at = struct.Struct(">i").unpack_from

Frame = bytes | memoryview


class FrameError(KafkaProtocolError):
    """The bytes received cannot be a sequence of Kafka frames; the stream is lost.

    Attributes:
        clue: what the bytes look like instead (``"a TLS record"``), or None.
    """

    clue: str | None = None


class FrameParser:
    """Cut a byte stream into frames.

    Parameters:
        max_frame_bytes: a longer frame is an error; may be changed between calls.
    """

    __slots__ = (
        "_end",
        "_frame_have",
        "_frame_size",
        "_frame_view",
        "_proven",
        "_scratch",
        "_scratch_view",
        "frames_seen",
        "max_frame_bytes",
    )

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        #: Complete frames so far; zero means the peer has not yet spoken Kafka to us.
        self.frames_seen = 0
        self._scratch = bytearray(CHUNK)
        self._scratch_view = memoryview(self._scratch)
        self._end = 0  # how much of the scratch buffer is filled
        # The large frame being received, if any: its buffer so far, filled part, full size.
        self._frame_view: memoryview | None = None
        self._frame_have = 0
        self._frame_size = 0
        self._proven = 0

    @property
    def buffered(self) -> int:
        """Bytes received that belong to a frame not yet complete."""
        return self._end if self._frame_view is None else self._frame_have

    @property
    def allocated(self) -> int:
        """Bytes held in receive buffers at the moment."""
        return CHUNK + (0 if self._frame_view is None else len(self._frame_view))

    def get_buffer(self) -> memoryview:
        """Where to put the next bytes; never empty, valid until :meth:`buffer_updated`."""
        if self._frame_view is None:
            return self._scratch_view[self._end :] if self._end else self._scratch_view
        return self._frame_view[self._frame_have :]

    def buffer_updated(self, count: int) -> list[Frame]:
        """Take note of *count* bytes put into the buffer; return the frames now complete.

        Raises:
            FrameError: the stream is not Kafka's.  The parser must not be used again.
        """
        if self._frame_view is not None:
            return self._large_frame_updated(self._frame_view, count)
        scratch = self._scratch
        end = self._end + count
        position = 0
        frames: list[Frame] = []
        while end - position >= 4:
            (size,) = _length_at(scratch, position)
            if not 0 <= size <= self.max_frame_bytes:
                raise self._error(size, position, end)
            after = position + 4 + size
            if after > end:
                if size + 4 > CHUNK:
                    self._begin_large_frame(size, position + 4, end)
                    end = position = 0
                break
            frames.append(bytes(self._scratch_view[position + 4 : after]))
            position = after
        if position:
            # Only the head of the next frame is left to move, most often nothing.
            if position < end:
                scratch[: end - position] = scratch[position:end]
            end -= position
        self._end = end
        self.frames_seen += len(frames)
        return frames

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """The same for bytes that are already in a buffer of somebody else's.

        Raises:
            FrameError: as :meth:`buffer_updated`.
        """
        frames: list[Frame] = []
        rest = memoryview(data)
        while rest:
            target = self.get_buffer()
            count = min(len(target), len(rest))
            target[:count] = rest[:count]
            frames += self.buffer_updated(count)
            rest = rest[count:]
        return frames

    def _begin_large_frame(self, size: int, start: int, end: int) -> None:
        have = end - start
        view = memoryview(bytearray(self._allowance(size, have)))
        view[:have] = self._scratch_view[start:end]
        self._frame_view, self._frame_have, self._frame_size = view, have, size

    def _large_frame_updated(self, view: memoryview, count: int) -> list[Frame]:
        have = self._frame_have = self._frame_have + count
        if have == self._frame_size:
            self._frame_view = None
            self._proven = max(self._proven, have)
            self.frames_seen += 1
            return [view]
        if have == len(view):
            larger = memoryview(bytearray(self._allowance(self._frame_size, have)))
            larger[:have] = view
            self._frame_view = larger
        return []

    def _allowance(self, size: int, have: int) -> int:
        return min(size, max(2 * have + CHUNK, self._proven))

    def _error(self, size: int, start: int, end: int) -> FrameError:
        clue = recognise(bytes(self._scratch_view[start:end]))
        if clue is not None:
            text = f"the peer does not speak Kafka here: its bytes look like {clue}"
            if clue.startswith("a TLS"):
                text += "; is this a TLS port?"
        elif size < 0:
            text = f"a frame of negative length {size} was received"
        else:
            text = f"a frame of {size} bytes was announced, the limit is {self.max_frame_bytes}"
        error = FrameError(text)
        error.clue = clue
        return error
