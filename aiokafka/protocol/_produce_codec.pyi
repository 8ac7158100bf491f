from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

R = TypeVar("R")

def encode(
    version: int,
    transactional_id: str | None,
    acks: int,
    timeout: int,
    topics: Sequence[tuple[str, Sequence[tuple[int, Any]]]],
    topic_ids: Mapping[str, UUID] | None,
) -> list[bytes | bytearray | memoryview] | None: ...
def decode(
    version: int,
    frame: bytes | bytearray | memoryview,
    start: int,
    names: dict[bytes, str] | None,
    result_type: type[R],
) -> tuple[list[R], int] | None: ...
