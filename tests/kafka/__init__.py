"""Real Kafka brokers for the integration tests; see `tests.kafka.cluster`."""

from .cluster import ADMIN_PASSWORD, ADMIN_USER, SASL_MECHANISMS, KafkaCluster
from .fetch import KafkaUnavailableError, kafka_version
from .node import SERVER_JVM_OPTIONS, TEST_JVM_OPTIONS, BrokerError, KafkaNode
from .proxy import Link, Mode, Proxy
from .truth import StoredRecord, Truth

__all__ = [
    "ADMIN_PASSWORD",
    "ADMIN_USER",
    "SASL_MECHANISMS",
    "SERVER_JVM_OPTIONS",
    "TEST_JVM_OPTIONS",
    "BrokerError",
    "KafkaCluster",
    "KafkaNode",
    "KafkaUnavailableError",
    "Link",
    "Mode",
    "Proxy",
    "StoredRecord",
    "Truth",
    "kafka_version",
]
