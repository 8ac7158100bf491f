"""The producer's settings, checked and in seconds.

Pure: no loop, no task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka import codec
from aiokafka._config import at_least, milliseconds
from aiokafka._values import Value
from aiokafka.record._compression import check_level
from aiokafka.util import INTEGER_MAX_VALUE

CODECS: dict[str | None, tuple[Callable[[], bool], int]] = {
    None: (lambda: True, 0),
    "gzip": (lambda: codec.has_gzip(), 1),
    "snappy": (lambda: codec.has_snappy(), 2),
    "lz4": (lambda: codec.has_lz4(), 3),
    "zstd": (lambda: codec.has_zstd(), 4),
}

STOP_TIMEOUT_MS = 30000


class ProducerSettings(Value):
    """Settings of one producer; times in seconds."""

    acks: int
    idempotent: bool
    transactional_id: str | None
    transaction_timeout_ms: int
    compression: int
    compression_level: int | None
    max_batch_size: int
    max_request_size: int
    buffer_memory: int
    max_in_flight: int
    linger: float
    request_timeout: float
    max_block: float
    delivery_timeout: float
    stop_timeout: float

    @property
    def in_flight_per_partition(self) -> int:
        """Batches of one partition that may be under way without endangering their order.

        Brokers put an idempotent producer's batches in order, for the last five of them.
        Nobody does it for others; with ``acks=0`` nothing is ever sent again.
        """
        if self.idempotent or self.acks == 0:
            return self.max_in_flight
        return 1


def check_acks(acks: Any, missing: object, idempotent: bool) -> int:
    """The number of acknowledgements as the protocol has it."""
    if acks is missing:
        return -1 if idempotent else 1
    if isinstance(acks, bool) or acks not in (0, 1, -1, "all"):
        raise ValueError(f"`acks` should be 0, 1, -1 or 'all', not {acks!r}")
    if idempotent and acks in (0, 1):
        raise ValueError(f"acks={acks!r} not supported if enable_idempotence=True: use 'all'")
    return -1 if acks == "all" else int(acks)


def check_compression(compression_type: str | None, level: int | None) -> int:
    """The number of the codec.

    Raises:
        ValueError: unknown codec, or a level it does not have.
        RuntimeError: the codec's library is not installed.
    """
    if compression_type not in CODECS:
        raise ValueError(
            f"`compression_type` should be one of {list(CODECS)}, not {compression_type!r}"
        )
    available, number = CODECS[compression_type]
    if not available():
        raise RuntimeError(f"Compression library for {compression_type} not found")
    check_level(number, level)
    return number


def check_settings(
    *,
    acks: Any,
    missing: object,
    enable_idempotence: bool,
    transactional_id: str | None,
    transaction_timeout_ms: int,
    compression_type: str | None,
    compression_level: int | None,
    max_batch_size: int,
    max_request_size: int,
    buffer_memory: int,
    max_in_flight: int,
    linger_ms: float,
    request_timeout_ms: float,
    max_block_ms: float | None,
    delivery_timeout_ms: float,
    stop_timeout_ms: float | None,
) -> ProducerSettings:
    """Check all settings.

    Raises:
        ValueError: a setting that cannot work; the message names it.
        RuntimeError: the library of a codec is missing.
    """
    idempotent = bool(enable_idempotence) or transactional_id is not None
    linger = milliseconds("linger_ms", linger_ms)
    request_timeout = milliseconds("request_timeout_ms", request_timeout_ms)
    delivery = milliseconds("delivery_timeout_ms", delivery_timeout_ms, minimum=1)
    if delivery < linger:
        raise ValueError(
            f"`delivery_timeout_ms` ({delivery_timeout_ms}) should not be below `linger_ms`"
            f" ({linger_ms}): no batch could be delivered in time"
        )
    in_flight = at_least("max_in_flight_requests_per_connection", max_in_flight, 1)
    if idempotent and in_flight > 5:
        raise ValueError(
            "`max_in_flight_requests_per_connection` should be at most 5 with"
            f" enable_idempotence=True, not {in_flight}: brokers remember the last 5 batches"
        )
    return ProducerSettings(
        acks=check_acks(acks, missing, idempotent),
        idempotent=idempotent,
        transactional_id=transactional_id,
        transaction_timeout_ms=(
            INTEGER_MAX_VALUE if transactional_id is None else transaction_timeout_ms
        ),
        compression=check_compression(compression_type, compression_level),
        compression_level=compression_level,
        max_batch_size=at_least("max_batch_size", max_batch_size, 0),
        max_request_size=at_least("max_request_size", max_request_size, 0),
        buffer_memory=at_least("buffer_memory", buffer_memory, 1),
        max_in_flight=in_flight,
        linger=linger,
        request_timeout=request_timeout,
        max_block=(
            request_timeout if max_block_ms is None else milliseconds("max_block_ms", max_block_ms)
        ),
        delivery_timeout=delivery,
        stop_timeout=milliseconds(
            "stop_timeout_ms", STOP_TIMEOUT_MS if stop_timeout_ms is None else stop_timeout_ms
        ),
    )
