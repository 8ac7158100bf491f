"""The error classes, by where they come from; :mod:`aiokafka.errors` is their public home."""
