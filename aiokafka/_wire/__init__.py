"""The wire without a socket: bytes in, frames out, and which answer belongs to which request.

Nothing in this package knows asyncio, sockets or a clock of its own; times are passed in.
So it is tested and fuzzed alone, and :mod:`aiokafka.conn` is a thin adapter around it.
"""
