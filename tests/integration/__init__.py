"""Tests on real Kafka brokers."""
