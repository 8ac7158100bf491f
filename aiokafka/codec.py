"""Compression codecs of record batches: gzip, snappy, LZ4 and Zstandard.

Owns the framing that Kafka expects around each codec and the bounds on what
decompression may produce. Pure functions over bytes: no tasks, no futures.

gzip is in the standard library; the others need the ``cramjam`` package (extras
``snappy``, ``lz4`` and ``zstd``). The ``has_*`` functions tell what is usable, and
callers look them up on this module at call time.

Every decoder raises :exc:`~aiokafka.errors.CorruptRecordException` for input that
is not a complete stream of its codec, and takes `max_size`, the largest output in
bytes it may produce (None: no limit): a few kilobytes of hostile input would
otherwise turn into gigabytes.
"""

from __future__ import annotations

import struct
from typing import Any

from .errors import CorruptRecordException

__all__ = [
    "MAX_DECOMPRESSED_SIZE",
    "gzip_decode",
    "gzip_encode",
    "has_gzip",
    "has_lz4",
    "has_snappy",
    "has_zstd",
    "lz4_decode",
    "lz4_encode",
    "snappy_decode",
    "snappy_encode",
    "zstd_decode",
    "zstd_encode",
]

Buffer = bytes | bytearray | memoryview

MAX_DECOMPRESSED_SIZE = 256 * 1024 * 1024
"""Largest decompressed size in bytes of one record batch that the readers accept.

A producer's ``max.request.size`` and a broker's ``message.max.bytes`` stay far below
it. Read at call time: assign to the module attribute to change it.

.. versionadded:: 0.14.1
"""

# The module of that name, None where it is not installed; see _find_library().
_NOT_LOOKED_FOR = object()
_cramjam: Any = _NOT_LOOKED_FOR

_GZIP_LEVEL = 9
_LZ4_LEVEL = 9
_ZSTD_LEVEL = 3
_ZLIB_GZIP_WBITS = 31  # 32 KiB window, gzip header and trailer

# Framing of the Java library snappy-java, which Kafka took over: a header, then
# blocks of raw snappy, each preceded by its size.
_XERIAL_HEADER = struct.pack(">8sii", b"\x82SNAPPY\x00", 1, 1)
_XERIAL_BLOCK = struct.Struct(">i")

_LZ4_MAGIC = 0x184D2204
_LZ4_MAX_RATIO = 255  # one more byte of a match length stands for 255 bytes at most
_ZSTD_MAGIC = 0xFD2FB528
_ZSTD_MAX_BLOCK = 128 * 1024
_SKIPPABLE_MAGIC = 0x184D2A50  # low four bits are free; the same for LZ4 and zstd


def has_gzip() -> bool:
    """Whether gzip can be used: always."""
    return True


def has_snappy() -> bool:
    """Whether snappy can be used."""
    return _find_library() is not None


def has_lz4() -> bool:
    """Whether LZ4 can be used."""
    return _find_library() is not None


def has_zstd() -> bool:
    """Whether Zstandard can be used."""
    return _find_library() is not None


def _find_library() -> Any:
    """The module ``cramjam``, None without it; loaded when it is first needed."""
    global _cramjam
    if _cramjam is _NOT_LOOKED_FOR:
        try:
            import cramjam as _cramjam
        except ImportError:  # the extras are optional
            _cramjam = None
    return _cramjam


# ----------------------------------------------------------------------- gzip


def gzip_encode(payload: Buffer, compresslevel: int | None = None) -> bytes:
    """Compress with gzip at `compresslevel` 1-9 or -1 (None and 0: 9)."""
    import zlib

    packer = zlib.compressobj(compresslevel or _GZIP_LEVEL, zlib.DEFLATED, _ZLIB_GZIP_WBITS)
    return packer.compress(payload) + packer.flush()


def gzip_decode(payload: Buffer, *, max_size: int | None = None) -> bytes:
    """Decompress one or several gzip members.

    .. versionchanged:: 0.14.1
        The keyword `max_size`.
    """
    import zlib

    parts: list[bytes] = []
    total = 0
    rest: Buffer = payload
    while True:
        unpacker = zlib.decompressobj(_ZLIB_GZIP_WBITS)
        # One byte more than allowed tells "exactly at the limit" from "beyond it".
        room = 0 if max_size is None else max_size - total + 1
        try:
            part = unpacker.decompress(rest, room)
        except zlib.error as exc:
            raise _corrupt("gzip", exc) from exc
        total += len(part)
        if max_size is not None and total > max_size:
            raise _too_large("gzip", max_size)
        if not unpacker.eof:
            raise _corrupt("gzip", "truncated stream")
        parts.append(part)
        rest = unpacker.unused_data
        if not rest:
            return parts[0] if len(parts) == 1 else b"".join(parts)


# --------------------------------------------------------------------- snappy


def snappy_encode(
    payload: Buffer, xerial_compatible: bool = True, xerial_blocksize: int = 32 * 1024
) -> bytes:
    """Compress with snappy, by default in snappy-java's framing.

    Kafka's own clients read and write that framing: blocks of at most
    `xerial_blocksize` bytes of input each. Raises NotImplementedError without the
    library.
    """
    lib = _library("snappy", has_snappy())
    if not xerial_compatible:
        return bytes(lib.snappy.compress_raw(payload))
    view = memoryview(payload).cast("B")
    parts = [_XERIAL_HEADER]
    for start in range(0, len(view), xerial_blocksize):
        block = bytes(lib.snappy.compress_raw(view[start : start + xerial_blocksize]))
        parts.append(_XERIAL_BLOCK.pack(len(block)))
        parts.append(block)
    return b"".join(parts)


def _detect_xerial_stream(payload: Buffer) -> bool:
    """Whether `payload` is in snappy-java's framing and has at least one block."""
    return len(payload) > len(_XERIAL_HEADER) and payload[: len(_XERIAL_HEADER)] == _XERIAL_HEADER


def snappy_decode(payload: Buffer, *, max_size: int | None = None) -> bytes:
    """Decompress snappy, framed by snappy-java or raw.

    Raises NotImplementedError without the library.

    .. versionchanged:: 0.14.1
        The keyword `max_size`.
    """
    lib = _library("snappy", has_snappy())
    if payload == _XERIAL_HEADER:
        return b""
    if not _detect_xerial_stream(payload):
        return _snappy_block(lib, payload, max_size, max_size)
    view = memoryview(payload).cast("B")
    parts: list[bytes] = []
    left = max_size
    pos = len(_XERIAL_HEADER)
    while pos < len(view):
        if pos + 4 > len(view):
            raise _corrupt("snappy", "truncated block length")
        (size,) = _XERIAL_BLOCK.unpack_from(view, pos)
        pos += 4
        if size < 0 or size > len(view) - pos:
            raise _corrupt("snappy", f"block of {size} bytes with {len(view) - pos} left")
        part = _snappy_block(lib, view[pos : pos + size], left, max_size)
        parts.append(part)
        if left is not None:
            left -= len(part)
        pos += size
    return b"".join(parts)


def _snappy_block(lib: Any, block: Buffer, left: int | None, max_size: int | None) -> bytes:
    """Decompress one raw block to at most `left` bytes."""
    try:
        size = lib.snappy.decompress_raw_len(block)
        if left is not None and size > left:
            raise _too_large("snappy", max_size)
        # The longest copy makes 64 bytes out of 2 (and a literal less): a block
        # that claims more is not worth allocating for.
        if size > 32 * len(block):
            raise _corrupt("snappy", f"{len(block)} bytes claim to hold {size}")
        return bytes(lib.snappy.decompress_raw(block))
    except _library_errors(lib) as exc:
        raise _corrupt("snappy", exc) from exc


# ------------------------------------------------------------------------ lz4


def lz4_encode(payload: Buffer, level: int = _LZ4_LEVEL) -> bytes:
    """Compress to one LZ4 frame of independent blocks without content checksum.

    Java's reader accepts nothing but independent blocks. Raises
    NotImplementedError without the library.
    """
    lib = _library("lz4", has_lz4())
    packer = lib.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
    packer.compress(bytes(payload))  # it takes nothing else
    return bytes(packer.finish())


def lz4_decode(payload: Buffer, *, max_size: int | None = None) -> bytes:
    """Decompress an LZ4 frame. Raises NotImplementedError without the library.

    Kafka writes one frame a batch. Whether frames behind it are read depends on the
    version of the library.

    .. versionchanged:: 0.14.1
        The keyword `max_size`.
    """
    lib = _library("lz4", has_lz4())
    bound = None if max_size is None else _lz4_bound(payload, max_size)
    return _unpack("lz4", lib, lib.lz4, payload, bound, max_size)


def _lz4_bound(payload: Buffer, limit: int) -> int:
    """Upper bound of what the LZ4 frames in `payload` hold; may stop past `limit`.

    Follows https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Whether
    the frames are valid is for the decoder to say: a walk that meets anything odd
    just ends.
    """
    if _LZ4_MAX_RATIO * len(payload) <= limit:
        return _LZ4_MAX_RATIO * len(payload)
    view = memoryview(payload).cast("B")
    pos = total = 0
    while total <= limit and pos + 7 <= len(view):
        magic = int.from_bytes(view[pos : pos + 4], "little")
        if magic & 0xFFFFFFF0 == _SKIPPABLE_MAGIC:
            pos += 8 + int.from_bytes(view[pos + 4 : pos + 8], "little")
            continue
        if magic != _LZ4_MAGIC:
            break
        flags, block = view[pos + 4], view[pos + 5]
        block_size = 1 << (8 + 2 * (block >> 4 & 7))
        pos += 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
        while total <= limit and pos + 4 <= len(view):
            size = int.from_bytes(view[pos : pos + 4], "little")
            pos += 4
            if size == 0:
                break
            size &= 0x7FFFFFFF
            total += min(block_size, _LZ4_MAX_RATIO * size)
            pos += size + (4 if flags & 0x10 else 0)
        pos += 4 if flags & 0x04 else 0
    return total


# ----------------------------------------------------------------------- zstd


def zstd_encode(payload: Buffer, level: int | None = None) -> bytes:
    """Compress to one Zstandard frame at `level` -131072-22 (None: 3).

    Raises NotImplementedError without the library.
    """
    lib = _library("zstd", has_zstd())
    return bytes(lib.zstd.compress(payload, level=_ZSTD_LEVEL if level is None else level))


def zstd_decode(payload: Buffer, *, max_size: int | None = None) -> bytes:
    """Decompress Zstandard frames. Raises NotImplementedError without the library.

    .. versionchanged:: 0.14.1
        The keyword `max_size`.
    """
    lib = _library("zstd", has_zstd())
    bound = None if max_size is None else _zstd_bound(payload, max_size)
    return _unpack("zstd", lib, lib.zstd, payload, bound, max_size)


def _zstd_bound(payload: Buffer, limit: int) -> int:
    """Upper bound of what the frames in `payload` hold; may stop past `limit`.

    Follows RFC 8878, section 3.1. The content size of a frame header is optional
    (and Java's streaming writer leaves it out), so the blocks are counted. Whether
    the frames are valid is for the decoder to say: a walk that meets anything odd
    just ends.
    """
    view = memoryview(payload).cast("B")
    pos = total = 0
    while total <= limit and pos + 5 <= len(view):
        magic = int.from_bytes(view[pos : pos + 4], "little")
        if magic & 0xFFFFFFF0 == _SKIPPABLE_MAGIC:
            pos += 8 + int.from_bytes(view[pos + 4 : pos + 8], "little")
            continue
        if magic != _ZSTD_MAGIC:
            break
        descriptor = view[pos + 4]
        single_segment = descriptor & 0x20
        content_size = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
        pos += 5 + (0 if single_segment else 1) + (0, 1, 2, 4)[descriptor & 3] + content_size
        last = 0
        while not last and total <= limit and pos + 3 <= len(view):
            header = int.from_bytes(view[pos : pos + 3], "little")
            pos += 3
            last, kind, size = header & 1, header >> 1 & 3, header >> 3
            total += _ZSTD_MAX_BLOCK if kind == 2 else size
            pos += 1 if kind == 1 else size
        pos += 4 if descriptor & 0x04 else 0
    return total


# -------------------------------------------------------------------- helpers


def _unpack(
    name: str, lib: Any, codec: Any, payload: Buffer, bound: int | None, max_size: int | None
) -> bytes:
    """Decompress with a codec of the library to at most `max_size` bytes."""
    try:
        if max_size is None or bound is None or bound <= max_size:
            return bytes(codec.decompress(payload))
        # The bound is far above the truth for a stream of many small blocks. The
        # memory is zeroed lazily by the system: pages not written are not used.
        output = bytearray(max_size)
        size = codec.decompress_into(payload, output)
        with memoryview(output) as view:
            return bytes(view[:size])
    except _library_errors(lib) as exc:
        if bound is not None and max_size is not None and bound > max_size:
            raise CorruptRecordException(
                f"{name} data is corrupt or larger than {max_size} bytes"
                f" (aiokafka.codec.MAX_DECOMPRESSED_SIZE): {exc}"
            ) from exc
        raise _corrupt(name, exc) from exc


def _library(name: str, available: bool) -> Any:
    lib = _find_library()
    if not available or lib is None:
        raise NotImplementedError(
            f"{name} compression needs the cramjam package: pip install aiokafka[{name}]"
        )
    return lib


def _library_errors(lib: Any) -> tuple[type[BaseException], ...]:
    """What the library raises for bad input (I/O errors for a truncated stream)."""
    return (lib.DecompressionError, OSError, OverflowError, ValueError)


def _corrupt(name: str, cause: object) -> CorruptRecordException:
    return CorruptRecordException(f"{name} data is corrupt: {cause}")


def _too_large(name: str, max_size: int | None) -> CorruptRecordException:
    return CorruptRecordException(
        f"{name} data is larger than {max_size} bytes when decompressed"
        " (aiokafka.codec.MAX_DECOMPRESSED_SIZE)"
    )
