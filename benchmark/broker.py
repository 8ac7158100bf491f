"""The broker that a run talks to: a real Kafka that the test harness starts, or a given one.

Owns the topics it creates.  Only addresses of the loopback interface are accepted: a
benchmark is a load test, and has no business elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

_TOPIC_TIMEOUT = 120.0


def require_loopback(bootstrap: str) -> None:
    """Refuse any address but those of this machine's loopback interface.

    Raises:
        ValueError: ``bootstrap`` is not ``host:port``, or resolves elsewhere.
    """
    host, colon, port = bootstrap.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"the broker is given as host:port, not {bootstrap!r}")
    for *_, address in socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM):
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise ValueError(f"{host} is not on the loopback interface of this machine")


class Topics:
    """Creates and deletes the topics of a run, through confluent-kafka's admin client."""

    def __init__(self, bootstrap: str) -> None:
        self._module: Any = importlib.import_module("confluent_kafka.admin")
        self._admin = self._module.AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})

    def create(self, names: list[str], partitions: int) -> None:
        """Create topics and wait until every partition has a leader."""
        config = {"file.delete.delay.ms": "1000"}
        topics = [self._module.NewTopic(name, partitions, 1, config=config) for name in names]
        created = self._admin.create_topics(
            topics, operation_timeout=_TOPIC_TIMEOUT, request_timeout=_TOPIC_TIMEOUT
        )
        for future in created.values():
            future.result(_TOPIC_TIMEOUT)

    def delete(self, names: list[str]) -> None:
        """Delete topics; their files go a second later."""
        deleted = self._admin.delete_topics(
            names, operation_timeout=_TOPIC_TIMEOUT, request_timeout=_TOPIC_TIMEOUT
        )
        for future in deleted.values():
            future.result(_TOPIC_TIMEOUT)


@contextlib.contextmanager
def running(bootstrap: str | None) -> Iterator[tuple[str, str]]:
    """``(host:port, Kafka version)`` of a broker, started for the run unless one is given."""
    if bootstrap is not None:
        require_loopback(bootstrap)
        yield bootstrap, "of unknown version, already running"
        return
    # Imported here: a run against a broker that is up needs neither Java nor the tests.
    from tests.kafka import SERVER_JVM_OPTIONS, KafkaCluster, kafka_version

    with KafkaCluster(jvm_options=SERVER_JVM_OPTIONS) as cluster:
        yield cluster.bootstrap, kafka_version()
