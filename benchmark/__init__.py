"""Benchmarks of this client beside the other Kafka clients for Python.

``python -m benchmark`` (or ``make bench``) runs every contender in a child process of its
own, in turns, against one broker, and writes a JSON file, tables and charts.  See
:mod:`benchmark.__main__` for the command line.
"""
