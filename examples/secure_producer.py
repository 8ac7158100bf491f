"""Connect with TLS, with a user name and password (SASL), or with both.

The password is read from the environment variable KAFKA_PASSWORD.

    python secure_producer.py --bootstrap-servers kafka:9093 --ca ca.pem
    python secure_producer.py --bootstrap-servers kafka:9094 --ca ca.pem \
        --username alice --mechanism SCRAM-SHA-512
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from aiokafka.helpers import create_ssl_context


def security(options: argparse.Namespace) -> dict[str, Any]:
    """The security keywords of a producer."""
    tls = bool(options.ca or options.system_ca)
    settings: dict[str, Any] = {}
    if tls:
        # Verifies the brokers' certificates and host names; TLS 1.2 or newer.
        # A client certificate is given by certfile= and keyfile=.
        settings["ssl_context"] = create_ssl_context(
            cafile=options.ca, certfile=options.certificate, keyfile=options.key
        )
    if options.username:
        settings["security_protocol"] = "SASL_SSL" if tls else "SASL_PLAINTEXT"
        settings["sasl_mechanism"] = options.mechanism
        settings["sasl_plain_username"] = options.username
        settings["sasl_plain_password"] = os.environ["KAFKA_PASSWORD"]
    else:
        settings["security_protocol"] = "SSL" if tls else "PLAINTEXT"
    return settings


async def main(options: argparse.Namespace) -> int:
    producer = AIOKafkaProducer(
        bootstrap_servers=options.bootstrap_servers,
        request_timeout_ms=10_000,
        **security(options),
    )
    try:
        await producer.start()
    except KafkaConnectionError as error:
        # Says for each server what went wrong; the most telling error is the cause.
        print(f"cannot connect: {error}")
        print(f"cause: {error.__cause__!r}")
        return 1
    else:
        metadata = await producer.send_and_wait(options.topic, b"value")
        print(f"stored: {metadata}")
        return 0
    finally:
        await producer.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--topic", default="example-secure")
    parser.add_argument("--ca", help="PEM file of the authority to trust; implies TLS")
    parser.add_argument("--system-ca", action="store_true", help="TLS, trusting the system's")
    parser.add_argument("--certificate", help="PEM file of the client's certificate")
    parser.add_argument("--key", help="PEM file of the client's key")
    parser.add_argument("--username", help="implies SASL")
    parser.add_argument(
        "--mechanism", default="PLAIN", choices=["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    )
    sys.exit(asyncio.run(main(parser.parse_args())))
