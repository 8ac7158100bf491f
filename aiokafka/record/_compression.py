"""Compression of batches by codec number, for both twins of the record code.

Pure functions: no tasks, no futures. ``aiokafka.codec`` is looked up at call time,
so that what it says it has is what is used.
"""

from __future__ import annotations

from aiokafka import codec as codecs
from aiokafka.errors import UnsupportedCodecError

__all__ = ["CODEC_NAMES", "check_legacy_codec", "check_level", "compress", "decompress"]

CODEC_GZIP = 1
CODEC_SNAPPY = 2
CODEC_LZ4 = 3
CODEC_ZSTD = 4

CODEC_NAMES = {0: "none", CODEC_GZIP: "gzip", CODEC_SNAPPY: "snappy", CODEC_LZ4: "lz4"}
CODEC_NAMES[CODEC_ZSTD] = "zstd"

# KIP-390
_LEVELS = {CODEC_GZIP: (-1, 9), CODEC_LZ4: (1, 17), CODEC_ZSTD: (-131072, 22)}


def check_level(codec: int, level: int | None) -> None:
    """Check a compression level against the codec (KIP-390).

    None is always right: the codec's default. Raises TypeError unless `level` is an
    int, ValueError for a level out of the codec's range or a codec without levels.
    """
    if level is None:
        return
    if not isinstance(level, int) or isinstance(level, bool):
        raise TypeError(f"compression_level must be an int, not {type(level).__name__}")
    name = CODEC_NAMES.get(codec, f"codec {codec}")
    if codec not in _LEVELS:
        raise ValueError(f"compression_level: {name} has no compression levels")
    low, high = _LEVELS[codec]
    if not low <= level <= high:
        raise ValueError(
            f"compression_level of {name} must be between {low} and {high}, not {level}"
        )


def _check_available(codec: int) -> None:
    name = CODEC_NAMES.get(codec)
    if name is None:
        raise UnsupportedCodecError(f"Unknown compression codec {codec:#04x}")
    if not getattr(codecs, f"has_{name}")():
        raise UnsupportedCodecError(f"Libraries for {name} compression codec not found")


def compress(codec: int, payload: bytes | bytearray | memoryview, level: int | None) -> bytes:
    """Compress `payload`. Raises UnsupportedCodecError."""
    _check_available(codec)
    if codec == CODEC_GZIP:
        return codecs.gzip_encode(payload, level)
    if codec == CODEC_SNAPPY:
        return codecs.snappy_encode(payload)
    if codec == CODEC_LZ4:
        return codecs.lz4_encode(payload) if level is None else codecs.lz4_encode(payload, level)
    return codecs.zstd_encode(payload, level)


def decompress(codec: int, payload: bytes | bytearray | memoryview) -> bytes:
    """Decompress `payload`.

    Raises UnsupportedCodecError, and CorruptRecordException for bad data or more
    than ``aiokafka.codec.MAX_DECOMPRESSED_SIZE`` bytes.
    """
    _check_available(codec)
    limit = codecs.MAX_DECOMPRESSED_SIZE
    if codec == CODEC_GZIP:
        return codecs.gzip_decode(payload, max_size=limit)
    if codec == CODEC_SNAPPY:
        return codecs.snappy_decode(payload, max_size=limit)
    if codec == CODEC_LZ4:
        return codecs.lz4_decode(payload, max_size=limit)
    return codecs.zstd_decode(payload, max_size=limit)


def check_legacy_codec(codec: int, magic: int) -> None:
    """Raise UnsupportedCodecError for a codec that `magic` 0 or 1 does not have."""
    if codec == CODEC_LZ4 and magic == 0:
        # Its frames carry a wrong header checksum, which no library writes or reads.
        raise UnsupportedCodecError("LZ4 compression is not supported for magic 0")
    if codec > CODEC_LZ4:
        raise UnsupportedCodecError(f"Codec {codec:#04x} does not exist for magic {magic}")
