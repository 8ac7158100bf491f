"""Runs brokers to try things on: ``make broker ARGS="--brokers 3"``."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys

from .cluster import KafkaCluster
from .fetch import KafkaUnavailableError, kafka_version


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kafka", description=__doc__)
    parser.add_argument("--brokers", type=int, default=1, help="how many (default: 1)")
    parser.add_argument(
        "--secure", action="store_true", help="also SSL, SASL_PLAINTEXT and SASL_SSL listeners"
    )
    options = parser.parse_args()
    listeners = ("SSL", "SASL_PLAINTEXT", "SASL_SSL") if options.secure else ()
    try:
        cluster = KafkaCluster(options.brokers, listeners=listeners)
    except KafkaUnavailableError as exc:
        print(exc, file=sys.stderr)
        return 1
    with cluster, contextlib.suppress(KeyboardInterrupt):
        print(f"Kafka {kafka_version()} listens on {cluster.bootstrap}")
        for listener in listeners:
            print(f"  {listener}: {cluster.bootstrap_of(listener)}")
        if options.secure:
            print(f"  authority: {cluster.certificates.ca}; users: {cluster.users}")
        for node in cluster.nodes:
            print(f"  node {node.node_id}: pid {node.pid}, log {node.log_path}")
        print("Interrupt (Ctrl-C) to end it.", flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
