"""The consumer of records."""

from __future__ import annotations

from aiokafka.consumer.consumer import AIOKafkaConsumer

__all__ = ["AIOKafkaConsumer"]
