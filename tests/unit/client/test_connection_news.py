"""What is logged of a broker that cannot be reached."""

from __future__ import annotations

import logging

import pytest

from aiokafka._client.connections import ConnectionGroup
from aiokafka._client.nodes import NodeState
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError


async def test_one_line_for_all_groups_of_connections(caplog: pytest.LogCaptureFixture) -> None:
    client = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")
    try:
        with caplog.at_level(logging.WARNING):
            for node_id in (5, 6):
                for group in ConnectionGroup:
                    node = client._pool.node(node_id, group)
                    node._become(NodeState.CONNECTING)
                    node._failed(KafkaConnectionError("refused"))
        lines = [record.getMessage() for record in caplog.records]
        assert [line.partition(":")[0] for line in lines] == [
            "Unable to connect to node 5",
            "Unable to connect to node 6",
        ]
    finally:
        await client.close()
