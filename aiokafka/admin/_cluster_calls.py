"""The cluster as a whole: the calls of 0.14."""

from __future__ import annotations

from typing import Any

from aiokafka.admin._base import AdminBase
from aiokafka.admin._call import AdminCall
from aiokafka.protocol.api import throttle_time_ms
from aiokafka.protocol.metadata import parse


class ClusterCalls(AdminBase):
    """Describing the cluster."""

    async def describe_cluster(self, *, timeout_ms: int | None = None) -> dict[str, Any]:
        """The brokers of the cluster.

        Parameters:
            timeout_ms: bound of the call in milliseconds; None: ``request_timeout_ms``.

        Returns:
            ``{"throttle_time_ms", "brokers", "cluster_id", "controller_id"}``, brokers as dicts
            ``{"node_id", "host", "port", "rack"}``.  Under KRaft the controller is one of the
            brokers, that passes requests on.

        Raises:
            KafkaTimeoutError: no answer in time; ``__cause__`` is the last error.
            KafkaError: an error that another attempt cannot mend.

        .. versionchanged:: 0.14.1
            The keyword *timeout_ms*.
        """

        async def describe(call: AdminCall) -> dict[str, Any]:
            response = await call.retry(lambda: call.metadata([]))
            found = parse(response)
            return {
                "throttle_time_ms": throttle_time_ms(response),
                "brokers": [
                    {"node_id": node_id, "host": host, "port": port, "rack": rack}
                    for node_id, host, port, rack in found.brokers
                ],
                "cluster_id": found.cluster_id,
                "controller_id": found.controller_id,
            }

        return await self._call("Describing the cluster", timeout_ms, describe)
