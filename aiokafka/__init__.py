"""asyncio client for Apache Kafka, in which no public call waits longer than it was told.

The package root only gathers the public names; nothing inside the package imports it.  What a
program does not name it does not load: the root's names and submodules are found on demand.
"""

from typing import TYPE_CHECKING

from ._on_demand import on_demand, submodules
from ._version import __version__
from .abc import ConsumerRebalanceListener
from .errors import ConsumerStoppedError, IllegalOperation
from .structs import (
    ConsumerRecord,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    TopicPartition,
)

if TYPE_CHECKING:
    from .client import AIOKafkaClient
    from .consumer import AIOKafkaConsumer
    from .producer import AIOKafkaProducer
else:
    _PLACES = {
        **submodules(
            __name__,
            "client",
            "cluster",
            "codec",
            "conn",
            "consumer",
            "coordinator",
            "partitioner",
            "producer",
            "protocol",
            "record",
            "util",
        ),
        "AIOKafkaClient": "aiokafka.client",
        "AIOKafkaConsumer": "aiokafka.consumer",
        "AIOKafkaProducer": "aiokafka.producer",
    }
    __getattr__ = on_demand(__name__, _PLACES)

__all__ = [
    "AIOKafkaClient",
    "AIOKafkaConsumer",
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


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
