"""asyncio client for Apache Kafka, in which no public call waits longer than it was told.

The package root only gathers the public names; nothing inside the package imports it.
"""

from ._version import __version__
from .abc import ConsumerRebalanceListener
from .client import AIOKafkaClient
from .errors import ConsumerStoppedError, IllegalOperation
from .producer import AIOKafkaProducer
from .structs import (
    ConsumerRecord,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    TopicPartition,
)

__all__ = [
    "AIOKafkaClient",
    "AIOKafkaProducer",
    "ConsumerRebalanceListener",
    "ConsumerRecord",
    "ConsumerStoppedError",
    "IllegalOperation",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "TopicPartition",
    "__version__",
]
