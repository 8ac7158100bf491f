"""Repeat the run, and compare clients: ``python -m tests.integration.faults --runs 5``."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.integration.faults.run import CLIENTS, run
from tests.kafka import KafkaCluster


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.integration.faults")
    parser.add_argument("--runs", type=int, default=1, help="of each client, in turn")
    parser.add_argument("--seconds", type=float, default=45.0, help="how long a run writes")
    parser.add_argument("--clients", nargs="+", default=["aiokafka"], choices=CLIENTS)
    parser.add_argument("--keep", type=Path, help="folder to leave the journals in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, KafkaCluster(3) as kafka:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for turn in range(options.runs):
            for client in options.clients:
                try:
                    figures, events = asyncio.run(
                        run(kafka, client, options.seconds, folder, first=turn)
                    )
                except AssertionError as error:
                    print(f"{turn} {client}: FAILED: {error}", flush=True)
                    kafka.heal()
                    continue
                print(f"{turn} {figures}", flush=True)
                for line in [*events.errors, *events.out_of_order()][:20]:
                    print(f"    {line[:300]}", flush=True)


if __name__ == "__main__":
    main()
