"""Which records of a partition are to be deleted."""

from __future__ import annotations


class RecordsToDelete:
    """For :meth:`~aiokafka.admin.AIOKafkaAdminClient.delete_records`.

    Parameters:
        before_offset: records before this offset go; -1: all up to the high watermark.
    """

    def __init__(self, before_offset: int) -> None:
        self.before_offset = before_offset

    def __repr__(self) -> str:
        return f"RecordsToDelete({self.before_offset})"
