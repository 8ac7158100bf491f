"""An embedded cluster to play with: librdkafka's mock brokers, which can be frozen."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import Any

from confluent_kafka.admin import AdminClient

from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)

QUIET = {"log_level": 2}  # librdkafka, which plays the cluster and the witness, logs by itself

#: Mock brokers offer newer versions of these requests, too, but read them like older ones.
READABLE: dict[Any, int] = {
    JoinGroupRequest: 5,
    SyncGroupRequest: 3,
    HeartbeatRequest: 3,
    LeaveGroupRequest: 1,
}


def speak_as_mock_brokers_read() -> None:
    """Have this process use no newer version of a request than mock brokers can read.

    Only needed for these brokers: real ones can read what they offer.
    """
    for request, version in READABLE.items():
        request._highest_version = lambda _, version=version: version


class MockCluster:
    """Three mock brokers, in a process of their own so that they can be frozen."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.bootstrap = self._process.stdout.readline().strip()
        if not self.bootstrap:
            raise RuntimeError("the mock cluster did not start")

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        # The signal takes effect a moment later: wait until every thread stands still.
        os.waitpid(self._process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def be_a_cluster() -> None:
    """What the child process does: be a cluster until the parent is gone."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    client = AdminClient({"bootstrap.servers": "mock", "test.mock.num.brokers": 3, **QUIET})
    brokers = client.list_topics(timeout=10).brokers.values()
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    be_a_cluster()
