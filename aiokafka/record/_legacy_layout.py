"""Layout of messages of magic 0 and 1, the formats before Kafka 0.11.

Declarations only: no tasks, no futures. From
https://kafka.apache.org/documentation/#messageset

::

    Offset      int64
    MessageSize int32
    CRC         uint32    CRC-32 of what follows
    Magic       int8
    Attributes  int8
    Timestamp   int64     magic 1 only
    Key         int32 length, bytes
    Value       int32 length, bytes; with a codec: a compressed sequence of messages
"""

from __future__ import annotations

import struct

__all__ = ["LegacyRecordBase"]


class LegacyRecordBase:
    """Layout and flags of messages of magic 0 and 1."""

    HEADER_STRUCT_V0 = struct.Struct(">qiIbb")
    HEADER_STRUCT_V1 = struct.Struct(">qiIbbq")

    LOG_OVERHEAD = struct.calcsize(">qi")
    CRC_OFFSET = LOG_OVERHEAD
    MAGIC_OFFSET = struct.calcsize(">qiI")
    # CRC, magic, attributes, the timestamp in magic 1, and the two lengths
    RECORD_OVERHEAD_V0 = struct.calcsize(">Ibbii")
    RECORD_OVERHEAD_V1 = struct.calcsize(">Ibbqii")
    KEY_OFFSET_V0 = HEADER_STRUCT_V0.size
    KEY_OFFSET_V1 = HEADER_STRUCT_V1.size
    KEY_LENGTH = VALUE_LENGTH = struct.calcsize(">i")

    CODEC_MASK = 0x07
    CODEC_NONE = 0x00
    CODEC_GZIP = 0x01
    CODEC_SNAPPY = 0x02
    CODEC_LZ4 = 0x03
    TIMESTAMP_TYPE_MASK = 0x08

    LOG_APPEND_TIME = 1
    CREATE_TIME = 0
