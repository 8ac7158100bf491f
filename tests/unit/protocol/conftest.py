"""Where the message definitions come from, and all classes there are to be tested."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[3]
_VARIABLE = "AIOKAFKA_KAFKA_CLIENTS_JAR"


@pytest.fixture(scope="session")
def kafka_clients_jar() -> Path:
    """The jar of Kafka's Java client, which holds the message definitions as JSON."""
    named = os.environ.get(_VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            pytest.fail(f"{_VARIABLE} names {named}, which is not a file")
        return path
    found = sorted(_ROOT.glob(".kafka/libs/kafka-clients-*.jar"))
    if not found:
        pytest.skip(
            f"no kafka-clients jar: set {_VARIABLE}, or fetch the broker with "
            "`make test-integration`"
        )
    return found[-1]
